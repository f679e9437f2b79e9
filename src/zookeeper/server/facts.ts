/** What a running server shows of itself to four-letter words and the AdminServer. */
import type { QuorumConfig } from '../zab/quorum-config.ts'
import type { LearnerCounts } from '../zab/replica.ts'
import type { Sessions } from '../znodes/sessions.ts'
import type { TransactionStore } from '../znodes/store.ts'
import type { ZnodeTree } from '../znodes/tree.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { ClientConnection } from './connection.ts'
import type { Statistics } from './statistics.ts'

export interface ServerFacts {
  readonly version: string
  readonly config: ZooKeeperConfig
  readonly port: number
  readonly serverId: number
  /** `standalone`, `leader`, `follower`, `observer`; `read-only` or `looking` while there is no leader. */
  readonly mode: string
  readonly isReadOnly: boolean
  /** Whether it would be, without a quorum. */
  readonly hasReadOnlyMode: boolean
  /** Whether some sessions are known to this server alone. */
  readonly hasLocalSessions: boolean
  /** Who leads the ensemble; undefined: unknown, or there is none. */
  readonly leaderId: number | undefined
  /** A leader's learners. */
  readonly learners: LearnerCounts | undefined
  /** What a member of an ensemble knows of it. */
  readonly membership: { readonly serverId: number; readonly config: QuorumConfig; readonly configText: string; readonly initLimit: number; readonly syncLimit: number } | undefined
  /** Transactions after which the tree was not what the leader said, since the start. */
  readonly digestMismatchCount: number
  readonly tree: ZnodeTree
  readonly sessions: Sessions
  readonly store: TransactionStore
  readonly statistics: Statistics
  readonly outstanding: number
  readonly folders: { readonly dataDir: string; readonly dataLogDir: string }
  connections(): ReadonlySet<ClientConnection>
  /** By name, without `zk_`. */
  metrics(): Promise<Map<string, number | string>>
  environment(): Map<string, string>
  /** A time of the monotonic clock as a date, as Java prints one; undefined: now. */
  dateAt(monotonic: number | undefined): string
}

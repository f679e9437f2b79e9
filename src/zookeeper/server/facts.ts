/** What a running server shows of itself to four-letter words and the AdminServer. */
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
  readonly mode: string
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

/** The rooms of a running broker, as its handlers reach them. */
import type { Host } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import type { Controller } from '../controller/controller.ts'
import type { GroupCoordinator } from '../groups/group-coordinator.ts'
import type { LogManager } from '../log/log-manager.ts'
import type { ConfigChanges } from '../metadata/config-changes.ts'
import type { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { Api } from '../protocol/api.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { ReplicationQuota } from '../replication/replication-quota.ts'
import type { TransactionCoordinator } from '../transactions/transaction-coordinator.ts'
import type { ControllerRequests } from './controller-requests.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { TopicAdmin } from './topic-admin.ts'
import type { TransactionMarkers } from './transaction-markers.ts'
import type { TransactionVerifier } from './transaction-verifier.ts'

export interface BrokerServices {
  readonly host: Host
  readonly brokerId: number
  readonly clusterId: string
  readonly settings: BrokerSettings
  /** Whether `advertised.listeners` (or `--advertise`) names addresses; otherwise clients are told the one they came to. */
  readonly advertised: boolean
  /** What the table of handlers serves. */
  readonly apis: readonly Api[]
  readonly zookeeper: KafkaZooKeeper
  readonly controller: Controller
  readonly controllerRequests: ControllerRequests
  readonly metadata: MetadataCache
  readonly configChanges: ConfigChanges
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  /** Bounds what followers outside the ISR take from this broker. */
  readonly leaderQuota: ReplicationQuota
  readonly groups: GroupCoordinator
  readonly fetchSessions: FetchSessions
  readonly transactions: TransactionCoordinator
  readonly transactionMarkers: TransactionMarkers
  readonly transactionVerifier: TransactionVerifier
  readonly topics: TopicAdmin
  /** `fetch.max.bytes` */
  readonly fetchMaxBytes: number
  /** Version of the znode `/feature`, −1 when there is none. */
  featureEpoch(): number
}

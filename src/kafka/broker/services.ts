/** The rooms of a running broker, as its handlers reach them. */
import type { Host } from '../../host/host.ts'
import type { GroupCoordinator } from '../groups/group-coordinator.ts'
import type { LogManager } from '../log/log-manager.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { ProducerIds } from './producer-ids.ts'

export interface BrokerServices {
  readonly host: Host
  readonly brokerId: number
  readonly clusterId: string
  readonly metadata: MetadataCache
  readonly logs: LogManager
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly fetchSessions: FetchSessions
  readonly producerIds: ProducerIds
}

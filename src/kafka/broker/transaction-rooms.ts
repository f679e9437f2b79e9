/** Wires the transaction coordinator to this broker's partitions, groups and neighbours. */
import type { Host } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import type { GroupCoordinator } from '../groups/group-coordinator.ts'
import { offsetsPartitionOf } from '../groups/offsets-partition-of.ts'
import type { MetadataCache } from '../metadata/metadata-cache.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import { transactionConfigOf } from '../transactions/transaction-config.ts'
import { TransactionCoordinator } from '../transactions/transaction-coordinator.ts'
import { BrokerLinks } from './broker-links.ts'
import { InternalLog } from './internal-log.ts'
import { transactionsTopic } from './internal-topics.ts'
import { TransactionMarkers } from './transaction-markers.ts'
import { TransactionVerifier } from './transaction-verifier.ts'

export interface TransactionRoomsFacts {
  readonly brokerId: number
  readonly settings: BrokerSettings
  readonly metadata: MetadataCache
  readonly replicas: ReplicaManager
  readonly groups: GroupCoordinator
  readonly interBrokerListener: string
  readonly topicExists: (topic: string) => Promise<boolean>
  readonly producerIds: { take(): Promise<number | undefined> }
}

export class TransactionRooms {
  readonly coordinator: TransactionCoordinator
  readonly markers: TransactionMarkers
  readonly verifier: TransactionVerifier
  readonly #links: readonly BrokerLinks[]

  constructor(host: Host, { brokerId, settings, metadata, replicas, groups, interBrokerListener, topicExists, producerIds }: TransactionRoomsFacts) {
    const { values } = settings
    // Named as Apache's own, and apart: a marker must not wait behind a verification.
    const linksOf = (what: string): BrokerLinks =>
      new BrokerLinks(host, { clientId: `broker-${brokerId}-${what}`, metadata, interBrokerListener, timeoutMs: values['request.timeout.ms'] })
    const markerLinks = linksOf('txn-marker-sender')
    const verifyLinks = linksOf('add-partitions-to-txn-manager')
    this.#links = [markerLinks, verifyLinks]
    const partitionFor = (id: string): number => offsetsPartitionOf(id, metadata.topic(transactionsTopic)?.partitions.length ?? values['transaction.state.log.num.partitions'])
    this.markers = new TransactionMarkers({
      brokerId, clock: host.clock, replicas, groups, metadata, links: markerLinks, topicExists, timeoutMs: values['request.timeout.ms'],
      ending: (producerId, partition) => this.verifier.ending(producerId, partition),
    })
    this.coordinator = new TransactionCoordinator(host, {
      config: transactionConfigOf(values), storage: new InternalLog(replicas, transactionsTopic), markers: this.markers, producerIds, partitionFor,
    })
    this.verifier = new TransactionVerifier({
      brokerId, coordinator: this.coordinator, links: verifyLinks,
      isEnabled: () => settings.values['transaction.partition.verification.enable'],
      coordinatorOf: (id) => metadata.partition(transactionsTopic, partitionFor(id))?.leader ?? -1,
    })
    replicas.onLeadership((change) => {
      if (change.topic !== transactionsTopic) return
      if (change.kind === 'elected') void this.coordinator.elected(change.partition.index, change.leaderEpoch)
      else this.coordinator.resigned(change.index, change.leaderEpoch)
    })
  }

  start(): void {
    this.coordinator.start()
  }
  async stop(): Promise<void> {
    for (const links of this.#links) links.close()
    await this.coordinator.stop()
  }
}

/** How a decided transaction reaches the partitions it wrote to; the broker implements it on its own partitions and on other brokers. */
import type { MarkerOutcome, ProducerClaim } from './steps.ts'
import type { TopicPartition } from './transaction-state.ts'

export interface Marker {
  readonly producer: ProducerClaim
  readonly committed: boolean
  /** Leader epoch of the partition of `__transaction_state`: of two coordinators the later one wins. */
  readonly coordinatorEpoch: number
}

export interface MarkerChannel {
  /**
   * Has the partitions' leaders append the marker, acks −1. An outcome for each partition, in order: 0, or why it is not known to
   * be there; what can be tried again is tried again by the coordinator. Never rejects.
   */
  write(marker: Marker, partitions: readonly TopicPartition[]): Promise<readonly MarkerOutcome[]>
}

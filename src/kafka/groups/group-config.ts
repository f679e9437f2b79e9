/** The configuration a coordinator takes, in its own units. */
import type { CodecName } from '../records/compression.ts'
import type { GroupLimits } from './group.ts'

export interface GroupConfig extends GroupLimits {
  readonly sessionTimeoutMsMin: number
  readonly sessionTimeoutMsMax: number
  readonly retentionMs: number
  readonly retentionCheckIntervalMs: number
  readonly loadBufferSize: number
  readonly commitTimeoutMs: number
  /** Of the batches written to `__consumer_offsets`. */
  readonly compression: CodecName
}

const codecs: readonly CodecName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** From Kafka's own keys. */
export function groupConfigOf(values: {
  readonly 'group.min.session.timeout.ms': number
  readonly 'group.max.session.timeout.ms': number
  readonly 'group.initial.rebalance.delay.ms': number
  readonly 'group.max.size': number
  readonly 'offset.metadata.max.bytes': number
  readonly 'offsets.retention.minutes': number
  readonly 'offsets.retention.check.interval.ms': number
  readonly 'offsets.load.buffer.size': number
  readonly 'offsets.commit.timeout.ms': number
  readonly 'offsets.topic.compression.codec': number
}): GroupConfig {
  return {
    sessionTimeoutMsMin: values['group.min.session.timeout.ms'],
    sessionTimeoutMsMax: values['group.max.session.timeout.ms'],
    initialRebalanceDelayMs: values['group.initial.rebalance.delay.ms'],
    sizeMax: values['group.max.size'],
    offsetMetadataMax: values['offset.metadata.max.bytes'],
    retentionMs: values['offsets.retention.minutes'] * 60_000,
    retentionCheckIntervalMs: values['offsets.retention.check.interval.ms'],
    loadBufferSize: values['offsets.load.buffer.size'],
    commitTimeoutMs: values['offsets.commit.timeout.ms'],
    compression: codecs[values['offsets.topic.compression.codec']] ?? 'none',
  }
}

/** Every configuration key of a topic of Kafka 3.9, with the broker key that supplies its default. */
import type { BrokerKey } from './broker-configs.ts'
import { bool, double, int, list, long, longMax, text, type Definition, type ValuesOf } from './definition.ts'
import { alwaysConverted, levelOfGzip, protocolVersionRule, throttledReplicas } from './rules.ts'

const tiered = { refused: 'tiered storage does not work yet' } as const
const throttle = { rule: throttledReplicas } as const

export const topicConfigs = {
  'cleanup.policy': list('delete', 'What happens to old segments: delete, compact, or both.', { oneOf: ['compact', 'delete'] }),
  'compression.type': text('producer', 'Codec of stored batches: one of the codecs, uncompressed, or producer (as they came).', { oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] }),
  'compression.gzip.level': int(-1, 'Level of gzip, when compression.type asks for it; −1: its own default.', { rule: levelOfGzip }),
  'compression.lz4.level': int(9, 'Level of lz4, when compression.type asks for it.', { from: 1, to: 17, ignored: 'lz4 has one level here' }),
  'compression.zstd.level': int(3, 'Level of zstd, when compression.type asks for it.', { from: -131072, to: 22 }),
  'delete.retention.ms': long(86400000, 'How long a tombstone stays after cleaning.', { from: 0 }),
  'file.delete.delay.ms': long(60000, 'How long a deleted segment keeps its file.', { from: 0 }),
  'flush.messages': long(longMax, 'Records appended before the log is flushed to the device; 1: before each acknowledgement.', { from: 1 }),
  'flush.ms': long(longMax, 'Longest time a record may wait to be flushed.', { from: 0 }),
  'follower.replication.throttled.replicas': list('', 'Replicas whose copying is throttled at the follower.', throttle),
  'leader.replication.throttled.replicas': list('', 'Replicas whose copying is throttled at the leader.', throttle),
  'index.interval.bytes': int(4096, 'Bytes appended between two entries of the offset index.', { from: 0 }),
  'local.retention.bytes': long(-2, 'Bytes of tiered segments that stay on the local disk.', { ...tiered, from: -2 }),
  'local.retention.ms': long(-2, 'How long tiered segments stay on the local disk.', { ...tiered, from: -2 }),
  'max.compaction.lag.ms': long(longMax, 'Age at which a record must have been seen by the cleaner.', { from: 1 }),
  'max.message.bytes': int(1048588, 'Largest record batch taken, after compression.', { from: 0 }),
  'message.downconversion.enable': bool(true, 'Whether old consumers get batches in the format they know.', { refused: alwaysConverted }),
  'message.format.version': text('3.0-IV1', 'Format of stored batches in releases before 3.0.', { rule: protocolVersionRule, ignored: 'batches are stored in format 2, as in every Kafka since 3.0' }),
  'message.timestamp.after.max.ms': long(longMax, 'How far a timestamp may lie after the clock of the broker.', { from: 0 }),
  'message.timestamp.before.max.ms': long(longMax, 'How far a timestamp may lie before the clock of the broker.', { from: 0 }),
  'message.timestamp.difference.max.ms': long(longMax, 'How far a timestamp may lie from the clock of the broker; deprecated: before and after win.', { from: 0 }),
  'message.timestamp.type': text('CreateTime', 'Whether records carry the time of the producer or of the append.', { oneOf: ['CreateTime', 'LogAppendTime'] }),
  'min.cleanable.dirty.ratio': double(0.5, 'Share of uncleaned bytes from which the log is cleaned.', { from: 0, to: 1 }),
  'min.compaction.lag.ms': long(0, 'Age below which a record is not compacted away.', { from: 0 }),
  'min.insync.replicas': int(1, 'Replicas that must have a record of acks=all before it is acknowledged; never more than the topic has.', { from: 1 }),
  'preallocate': bool(false, 'Whether a new segment gets its whole size on disk at once.'),
  'remote.log.copy.disable': bool(false, 'Whether a tiered topic stops copying segments.', tiered),
  'remote.log.delete.on.disable': bool(false, 'Whether remote segments go when tiering is turned off.', tiered),
  'remote.storage.enable': bool(false, 'Whether closed segments of the topic move to remote storage.', tiered),
  'retention.bytes': long(-1, 'Bytes of a partition beyond which its oldest segments go; −1: no bound.'),
  'retention.ms': long(604800000, 'How long closed segments are kept; −1: for ever.', { from: -1 }),
  'segment.bytes': int(1073741824, 'Size at which a segment is closed and the next begun.', { from: 14 }),
  'segment.index.bytes': int(10485760, 'Size of an index file while its segment is open.', { from: 4 }),
  'segment.jitter.ms': long(0, 'Chance taken off the age at which a segment is closed.', { from: 0 }),
  'segment.ms': long(604800000, 'Age at which a segment is closed.', { from: 1 }),
  'unclean.leader.election.enable': bool(false, 'Whether a replica outside the ISR may become leader, at the price of lost records.'),
}
export type TopicKey = keyof typeof topicConfigs
/** Every key with its typed value: `config['segment.bytes']` is a number. */
export type TopicConfig = ValuesOf<typeof topicConfigs>

export function topicDefinition(name: string): Definition | undefined {
  return Object.hasOwn(topicConfigs, name) ? (topicConfigs as Record<string, Definition>)[name] : undefined
}

/** The broker key whose synonyms supply a topic's default. Keys that are missing here have none. */
export const topicSynonyms: Readonly<Partial<Record<TopicKey, BrokerKey>>> = {
  'cleanup.policy': 'log.cleanup.policy',
  'compression.type': 'compression.type',
  'compression.gzip.level': 'compression.gzip.level',
  'compression.lz4.level': 'compression.lz4.level',
  'compression.zstd.level': 'compression.zstd.level',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'file.delete.delay.ms': 'log.segment.delete.delay.ms',
  'flush.messages': 'log.flush.interval.messages',
  'flush.ms': 'log.flush.interval.ms',
  'index.interval.bytes': 'log.index.interval.bytes',
  'local.retention.bytes': 'log.local.retention.bytes',
  'local.retention.ms': 'log.local.retention.ms',
  'max.compaction.lag.ms': 'log.cleaner.max.compaction.lag.ms',
  'max.message.bytes': 'message.max.bytes',
  'message.downconversion.enable': 'log.message.downconversion.enable',
  'message.format.version': 'log.message.format.version',
  'message.timestamp.after.max.ms': 'log.message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms': 'log.message.timestamp.before.max.ms',
  'message.timestamp.difference.max.ms': 'log.message.timestamp.difference.max.ms',
  'message.timestamp.type': 'log.message.timestamp.type',
  'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'min.insync.replicas': 'min.insync.replicas',
  'preallocate': 'log.preallocate',
  'retention.bytes': 'log.retention.bytes',
  'retention.ms': 'log.retention.ms',
  'segment.bytes': 'log.segment.bytes',
  'segment.index.bytes': 'log.index.size.max.bytes',
  'segment.jitter.ms': 'log.roll.jitter.ms',
  'segment.ms': 'log.roll.ms',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
}

/** A topic's configuration in the log room's terms: "for ever", 2^63−1 in Kafka's, is Infinity there. */
import type { TopicConfig } from '../config/topic-configs.ts'
import type { LogConfig } from '../log/log-config.ts'

/** Beyond it a long no longer means a time or a size. */
const forever = 2 ** 62

/** `isInternal`: what coordinators promise lies there, and its segments are small; waiting for them costs little. */
export function logConfigOf(topic: TopicConfig, { isInternal }: { isInternal: boolean }): LogConfig {
  const bounded = (value: number): number => (value >= forever ? Infinity : value)
  return {
    segmentBytes: topic['segment.bytes'],
    segmentMs: bounded(topic['segment.ms']),
    segmentJitterMs: topic['segment.jitter.ms'],
    segmentIndexBytes: topic['segment.index.bytes'],
    indexIntervalBytes: topic['index.interval.bytes'],
    retentionMs: topic['retention.ms'],
    retentionBytes: topic['retention.bytes'],
    fileDeleteDelayMs: topic['file.delete.delay.ms'],
    flushMessages: bounded(topic['flush.messages']),
    flushMs: bounded(topic['flush.ms']),
    maxMessageBytes: topic['max.message.bytes'],
    compressionType: topic['compression.type'] as LogConfig['compressionType'],
    compressionGzipLevel: topic['compression.gzip.level'],
    compressionLz4Level: topic['compression.lz4.level'],
    compressionZstdLevel: topic['compression.zstd.level'],
    messageTimestampType: topic['message.timestamp.type'] as LogConfig['messageTimestampType'],
    messageTimestampBeforeMaxMs: bounded(topic['message.timestamp.before.max.ms']),
    messageTimestampAfterMaxMs: bounded(topic['message.timestamp.after.max.ms']),
    cleanupPolicy: topic['cleanup.policy'] as LogConfig['cleanupPolicy'],
    deleteRetentionMs: topic['delete.retention.ms'],
    minCompactionLagMs: topic['min.compaction.lag.ms'],
    maxCompactionLagMs: bounded(topic['max.compaction.lag.ms']),
    minCleanableDirtyRatio: topic['min.cleanable.dirty.ratio'],
    preallocate: topic['preallocate'],
    segmentsInOrder: isInternal,
  }
}

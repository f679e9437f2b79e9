/** What a topic's configuration says to its logs (names as in Kafka's topic configuration, in camel case). Sizes in bytes, times in ms; −1 means without limit. */
export interface LogConfig {
  segmentBytes: number
  segmentMs: number
  segmentJitterMs: number
  segmentIndexBytes: number
  indexIntervalBytes: number
  retentionMs: number
  retentionBytes: number
  fileDeleteDelayMs: number
  /** Appends are answered when at most this many records less one are unflushed; Infinity: never flushed for an append. */
  flushMessages: number
  flushMs: number
  maxMessageBytes: number
  compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  compressionGzipLevel: number
  compressionLz4Level: number
  compressionZstdLevel: number
  messageTimestampType: 'CreateTime' | 'LogAppendTime'
  messageTimestampBeforeMaxMs: number
  messageTimestampAfterMaxMs: number
  cleanupPolicy: readonly ('delete' | 'compact')[]
  deleteRetentionMs: number
  minCompactionLagMs: number
  maxCompactionLagMs: number
  minCleanableDirtyRatio: number
  preallocate: boolean
  /**
   * A segment takes records only when the one before it is on the device, so that a power cut leaves no gap between them. Where offsets are
   * compacted away such a gap could not be told from theirs. No setting of Apache's: its rolls wait for nothing.
   */
  segmentsInOrder: boolean
}

/** Kafka 3.9's defaults; "for ever" is Infinity. */
export const logConfigDefaults: LogConfig = {
  segmentBytes: 1024 * 1024 * 1024,
  segmentMs: 168 * 3_600_000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10 * 1024 * 1024,
  indexIntervalBytes: 4096,
  retentionMs: 168 * 3_600_000,
  retentionBytes: -1,
  fileDeleteDelayMs: 60_000,
  flushMessages: Infinity,
  flushMs: Infinity,
  maxMessageBytes: 1024 * 1024 + 12,
  compressionType: 'producer',
  compressionGzipLevel: -1,
  compressionLz4Level: 9,
  compressionZstdLevel: 3,
  messageTimestampType: 'CreateTime',
  messageTimestampBeforeMaxMs: Infinity,
  messageTimestampAfterMaxMs: Infinity,
  cleanupPolicy: ['delete'],
  deleteRetentionMs: 24 * 3_600_000,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Infinity,
  minCleanableDirtyRatio: 0.5,
  preallocate: false,
  segmentsInOrder: false,
}

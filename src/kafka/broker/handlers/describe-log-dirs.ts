/** DescribeLogDirs: what lies in each log directory, and what is left of it. */
import { DescribeLogDirs } from '../../protocol/describe-log-dirs.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

export const describeLogDirs = handler({
  api: DescribeLogDirs,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, results: [] }),
  async answer({ topics }, { broker }) {
    const wanted = topics && new Map(topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
    const results = []
    for (const directory of await broker.logs.directories()) {
      if (directory.failure) {
        results.push({ errorCode: errors.kafkaStorageError.code, logDir: directory.path, topics: [] })
        continue
      }
      const byTopic = new Map<string, { partitionIndex: number; partitionSize: number; offsetLag: number; isFutureKey: boolean }[]>()
      for (const { topic, partition, size, isFuture } of directory.partitions) {
        if (wanted && !wanted.get(topic)?.has(partition)) continue
        const log = broker.logs.get(topic, partition)
        const list = byTopic.get(topic) ?? []
        byTopic.set(topic, list)
        const future = isFuture ? broker.logs.future(topic, partition) : undefined
        // Of a copy: what it lacks. Of a replica: how far what is committed is ahead of it.
        const ahead = future ? (log?.logEndOffset ?? 0) - future.logEndOffset : log ? log.highWatermark - log.logEndOffset : 0
        list.push({ partitionIndex: partition, partitionSize: size, offsetLag: Math.max(0, ahead), isFutureKey: isFuture })
      }
      results.push({
        errorCode: 0,
        logDir: directory.path,
        topics: [...byTopic].map(([name, partitions]) => ({ name, partitions })),
        totalBytes: directory.totalBytes,
        usableBytes: directory.usableBytes,
      })
    }
    return { throttleTimeMs: 0, errorCode: 0, results }
  },
})

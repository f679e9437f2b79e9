/** Directories that Apache Kafka wrote: opened, read, left as they were. */
import { describe, expect, test } from 'vitest'
import { apacheClusterId, diskOf, filesOf, logDirs, recordsOf } from './apache-logs.ts'
import { decodeSnapshot } from '../../../src/kafka/log/producer-snapshot.ts'
import { hostOn, openOn, readAll } from './bench.ts'

// Shortly after the recording, so that producers are not expired.
const hostStart = { start: 1_795_234_900_000 }
const config = { segmentBytes: 16_384 }

async function opened(broker: 'broker-3-stopped' | 'broker-1-killed') {
  const disk = diskOf(broker)
  const { manager } = await openOn(disk, config, { logDirs, cluster: apacheClusterId, brokerId: Number(/\d/.exec(broker)![0]), host: hostOn(disk, hostStart) })
  return { disk, manager }
}

describe.each(['broker-3-stopped', 'broker-1-killed'] as const)('%s', (broker) => {
  test('every record is read, with offset, timestamp, sizes and sequence as DumpLogSegments prints them', async () => {
    const { manager } = await opened(broker)
    expect(manager.all().length).toBeGreaterThan(4)
    let count = 0
    for (const log of manager.all()) {
      const found = (await readAll(log, 700)).map((record) => `${record.offset} ${record.timestamp} ${record.key?.length ?? -1} ${record.value?.length ?? -1} ${record.sequence}`)
      expect(found, log.name).toEqual(recordsOf(broker, log.directory).filter((record) => Number(record.split(' ')[0]) >= log.logStartOffset))
      count += found.length
    }
    expect(count).toBeGreaterThan(1400)
    await manager.close()
  })

  test('after opening and a clean stop the segments and their indexes are Apache’s, byte for byte', async () => {
    const { disk, manager } = await opened(broker)
    await manager.close()
    for (const [path, bytes] of filesOf(broker)) {
      if (/\.(deleted)$|checkpoint$|\.lock$|kafka_cleanshutdown$/.test(path)) continue
      // Indexes of the active segment were preallocated when the broker was killed.
      const isPreallocated = bytes.length >= 10_000_000
      const now = disk.peek(path)
      if (!isPreallocated) expect(now.equals(bytes), path).toBe(true)
      else expect(now.length, path).toBeLessThan(1000)
    }
    for (const directory of logDirs) expect(disk.peek(`${directory}/.kafka_cleanshutdown`).toString()).toBe('{"version":0,"brokerEpoch":-1}')
  })
})

test('recovery after a kill builds the indexes, snapshots and ends that the clean replica of the same partition has', async () => {
  const killed = await opened('broker-1-killed')
  await killed.manager.close()
  const clean = new Map(filesOf('broker-3-stopped'))
  let compared = 0
  for (const [path, bytes] of clean) {
    const partition = /\/(a-1|a-0|a-4|__consumer_offsets-2|__consumer_offsets-3)\/([0-9]+\.(index|timeindex|snapshot|log))$/.exec(path)
    if (!partition) continue
    const twin = killed.disk.files().find((other) => other.endsWith(`/${partition[1]}/${partition[2]}`))
    expect(twin, path).toBeDefined()
    // Apache writes producers in the order of a hash map.
    const inOrder = (file: Buffer) => decodeSnapshot(path, file).sort((a, b) => a.producerId - b.producerId)
    if (path.endsWith('.snapshot')) expect(inOrder(killed.disk.peek(twin!)), path).toEqual(inOrder(bytes))
    else expect(killed.disk.peek(twin!).equals(bytes), path).toBe(true)
    compared++
  }
  expect(compared).toBeGreaterThan(20)
})

test('what transactions left behind is known: aborted ones, producers and their last sequences', async () => {
  const { manager } = await opened('broker-3-stopped')
  const log = manager.get('a', 1)!
  expect(log.logStartOffset).toBe(5)
  expect(log.latestEpoch).toBe(0)
  expect(log.topicId).toBe('w9kn2776QcC5HpZLtF_HjA')
  expect(log.producers().length).toBe(5)
  const aborted = manager.all().flatMap((each) => each.segments.flatMap((segment) => segment.txnIndex.entries))
  expect(aborted.length).toBeGreaterThan(0)
  for (const entry of aborted) expect(entry.lastStableOffset).toBe(entry.lastOffset + 1)
  await manager.close()
})

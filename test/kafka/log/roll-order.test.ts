/** What a directory shows to whoever reads it after the process was killed amid a turn: no segment stands behind records that are not in their file. */
import { expect, test } from 'vitest'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { hostOn, numbered, openOn, produce } from './bench.ts'

test('a new segment is made when what lies before it is in its file, and who waits is told in turn', async () => {
  const disk = new SimulatedDisk()
  const host = hostOn(disk)
  const { manager } = await openOn(disk, { segmentBytes: 600, segmentIndexBytes: 240 }, { host })
  const log = await manager.create('t', 0, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
  log.assignLeaderEpoch(0)
  const told: number[] = []
  const asked: Promise<unknown>[] = []
  // All in one turn, until one of them begins a new segment.
  while (log.segments.length < 2) {
    const offset = log.nextOffset
    asked.push(produce(log, numbered(offset, 3)).then(() => told.push(offset)))
  }
  const [first, second] = log.segments
  expect((await host.disk.facts(first.log.path))?.size).toBe(first.size)
  expect(second.baseOffset).toBeGreaterThan(0)
  await Promise.all(asked)
  expect(told).toEqual(told.toSorted((one, other) => one - other))
  expect(log.logEndOffset).toBe(log.nextOffset)
  await manager.close()
})

/** The end of a move between log directories, cut off at every change of the disks (both are one device here). */
import { expect, test } from 'vitest'
import type { LogManager } from '../../../src/kafka/log/log-manager.ts'
import { PowerCutError, SimulatedDisk } from '../../../src/simulation/disk.ts'
import { isRefused } from '../../../src/kafka/log/append.ts'
import type { PartitionLog } from '../../../src/kafka/log/partition-log.ts'
import { append, hostOn, numbered, openOn, produce, readAll, textOf } from './bench.ts'

const config = { segmentBytes: 600, indexIntervalBytes: 100, segmentIndexBytes: 240, flushMessages: 1, fileDeleteDelayMs: 10 }
const logDirs = ['/a', '/b']

async function copy(log: PartitionLog, future: PartitionLog): Promise<void> {
  while (future.logEndOffset < log.logEndOffset) {
    const read = await log.read({ offset: future.logEndOffset, maxBytes: 300, minOneBatch: true, upTo: log.logEndOffset })
    if (isRefused(read)) throw new Error(read.message)
    await append(future, read.slices, { origin: 'replication' })
  }
}
/** Appends, moves, appends again; what was promised is what was flushed. */
async function workload(disk: SimulatedDisk): Promise<string[]> {
  const promised: string[] = []
  const host = hostOn(disk)
  const write = async (log: PartitionLog): Promise<void> => {
    const from = log.nextOffset
    const outcome = await produce(log, numbered(from, 3))
    if (isRefused(outcome)) throw new PowerCutError()
    for (let offset = from; offset < from + 3; offset++) promised.push(`${offset}:k${offset}=value ${offset}`)
    log.setHighWatermark(log.logEndOffset)
  }
  try {
    const { manager } = await openOn(disk, config, { host, logDirs })
    let log = await manager.create('t', 0, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
    log.assignLeaderEpoch(0)
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 2; index++) await write(log)
      const future = await manager.createFuture(log, log.logDir === '/a' ? '/b' : '/a')
      await copy(log, future)
      await write(log)
      expect(manager.replaceByFuture(log, future)).toBe(false)
      await copy(log, future)
      if (!(await replaced(manager, log, future)) && disk.isOff) throw new PowerCutError()
      expect(manager.get('t', 0)).toBe(future)
      log = future
      await write(log)
      host.pass(20)
    }
    await manager.close()
  } catch (error) {
    if (!disk.isOff) throw error
  }
  return promised
}
/** The logs may still be saving their small files. */
async function replaced(manager: LogManager, log: PartitionLog, future: PartitionLog): Promise<boolean> {
  for (let turn = 0; turn < 100; turn++) {
    if (manager.replaceByFuture(log, future)) return true
    await new Promise((done) => setImmediate(done))
  }
  return false
}

test('whatever moment the power is cut, what was acknowledged is there, once', async () => {
  const whole = new SimulatedDisk()
  expect((await workload(whole)).length).toBe(24)
  expect(whole.changes).toBeGreaterThan(100)
  for (let cut = 1; cut <= whole.changes; cut++) {
    const disk = new SimulatedDisk()
    disk.powerCutAt = cut
    const promised = await workload(disk)
    for (const [seed, keep] of [[0, 'synced'], [cut, 'some'], [cut + 1000, 'some']] as const) {
      const found = disk.afterPowerCut({ seed, keep })
      const note = `power cut at change ${cut}, seed ${seed}, keep ${keep}`
      const { manager } = await openOn(found, config, { logDirs }).catch((error: Error) => {
        throw new Error(`${note}: ${error.message}`, { cause: error })
      })
      const log = manager.get('t', 0)
      const texts = log ? textOf(await readAll(log)) : []
      expect(texts.slice(0, promised.length), note).toEqual(promised)
      const future = manager.future('t', 0)
      if (log && future) {
        await copy(log, future)
        expect(await replaced(manager, log, future), note).toBe(true)
        expect(textOf(await readAll(future)), note).toEqual(texts)
      }
      await manager.close()
      const again = await openOn(found, config, { logDirs })
      expect(again.manager.get('t', 0) ? textOf(await readAll(again.manager.get('t', 0)!)) : [], note).toEqual(texts)
      await again.manager.close()
    }
  }
})

test('of two directories that know nothing of each other the second is refused by name', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, config, { logDirs })
  await produce(await manager.create('t', 0), numbered(0, 1))
  await manager.close()
  await disk.makeDirectory('/b/t-0')
  const again = await openOn(disk, config, { logDirs })
  expect((await again.manager.directories()).map(({ failure }) => failure?.message)).toEqual([undefined, 't-0 lies in /a/t-0 and in /b/t-0; move one of them away'])
})

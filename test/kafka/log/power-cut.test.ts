import { expect, test } from 'vitest'
import { PowerCutError, SimulatedDisk } from '../../../src/simulation/disk.ts'
import { isRefused } from '../../../src/kafka/log/append.ts'
import type { LogConfig } from '../../../src/kafka/log/log-config.ts'
import { hostOn, numbered, openOn, produce, readAll, textOf } from './bench.ts'

const config = { segmentBytes: 600, indexIntervalBytes: 100, segmentIndexBytes: 240, flushMessages: 1, fileDeleteDelayMs: 10 }

/** What a broker does in a day: appends, rolls, retention, a truncation, clean stops and starts. Returns what was promised. */
async function workload(disk: SimulatedDisk, changed: Partial<LogConfig> = {}): Promise<{ promised: Map<number, string>; deletedBelow: number }> {
  const state = { promised: new Map<number, string>(), deletedBelow: 0 }
  const host = hostOn(disk)
  try {
    for (let run = 0; run < 3; run++) {
      const { manager } = await openOn(disk, { ...config, ...changed }, { host })
      const log = await manager.create('t', 0, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
      log.assignLeaderEpoch(run)
      for (let round = 0; round < 6; round++) {
        const from = log.nextOffset
        const options = round % 2 === 0 ? { producerId: 5, producerEpoch: run, baseSequence: Math.floor(round / 2) * 3 } : {}
        const outcome = await produce(log, numbered(from, 3), options)
        if (isRefused(outcome)) {
          if (disk.isOff) throw new PowerCutError()
          throw new Error(outcome.message)
        }
        for (let offset = outcome.baseOffset; offset <= outcome.lastOffset; offset++) state.promised.set(offset, `${offset}:k${offset}=value ${offset}`)
        log.setHighWatermark(log.logEndOffset)
      }
      if (run === 1) {
        const at = log.logEndOffset - 6
        for (const offset of state.promised.keys()) if (offset >= at) state.promised.delete(offset)
        await log.truncateTo(at)
      }
      if (run === 2) {
        state.deletedBelow = 12
        await log.deleteRecords(12)
        await manager.applyRetention()
        host.pass(20)
        await manager.checkpoint()
      }
      await manager.close()
    }
  } catch (error) {
    if (!disk.isOff) throw error
  }
  return state
}

test('whatever moment the power is cut, what was acknowledged and flushed is there, and the start after it never fails', async () => {
  const whole = new SimulatedDisk()
  await workload(whole)
  expect(whole.changes).toBeGreaterThan(150)
  for (let cut = 1; cut <= whole.changes; cut++) {
    const disk = new SimulatedDisk()
    disk.powerCutAt = cut
    const { promised, deletedBelow } = await workload(disk)
    for (const [seed, keep] of [[0, 'synced'], [cut, 'some'], [cut + 1000, 'some']] as const) {
      const found = disk.afterPowerCut({ seed, keep })
      const note = `power cut at change ${cut}, seed ${seed}, keep ${keep}`
      const { manager } = await openOn(found, config).catch((error: Error) => {
        throw new Error(`${note}: ${error.message}`, { cause: error })
      })
      const log = manager.get('t', 0)
      const texts = new Set(log ? textOf(await readAll(log)) : [])
      for (const [offset, text] of promised) if (offset >= deletedBelow && !texts.has(text)) throw new Error(`${note}: lost ${text}; found ${[...texts].join(' ')}`)
      if (log) {
        const offsets = (await readAll(log)).map(({ offset }) => offset)
        expect(offsets, note).toEqual(Array.from({ length: log.logEndOffset - log.logStartOffset }, (_, index) => log.logStartOffset + index))
        const outcome = await produce(log, numbered(log.nextOffset, 2))
        expect(outcome.errorCode, note).toBe(0)
      }
      await manager.close()
      const again = await openOn(found, config)
      expect(again.manager.get('t', 0)?.logEndOffset, note).toBe(log?.logEndOffset)
      await again.manager.close()
    }
  }
})

test.each<[string, Partial<LogConfig>]>([
  ['behind what an older segment has lost nothing is offered', {}],
  ['where compaction may leave gaps a segment waits until the one before is on the device', { cleanupPolicy: ['compact'], segmentsInOrder: true }],
])('where records are not flushed one by one a power cut leaves no gap: %s', async (_, changed) => {
  const lazy = { flushMessages: 1_000_000, ...changed }
  const whole = new SimulatedDisk()
  await workload(whole, lazy)
  for (let cut = 1; cut <= whole.changes; cut++) {
    for (const seed of [cut, cut + 1000, cut + 2000]) {
      const disk = new SimulatedDisk()
      disk.powerCutAt = cut
      await workload(disk, lazy)
      const { manager } = await openOn(disk.afterPowerCut({ seed, keep: 'some' }), { ...config, ...changed })
      const log = manager.get('t', 0)
      if (log) {
        const offsets = (await readAll(log)).map(({ offset }) => offset)
        expect(offsets, `power cut at change ${cut}, seed ${seed}`).toEqual(Array.from({ length: log.logEndOffset - log.logStartOffset }, (_, index) => log.logStartOffset + index))
      }
      await manager.close()
    }
  }
})

test('with segments in order the next takes records when the one before is on the device, also while an earlier flush is under way', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, { segmentBytes: 300, cleanupPolicy: ['compact'], segmentsInOrder: true })
  const log = await manager.create('t', 0, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
  await produce(log, numbered(0, 3))
  const operations: string[] = []
  disk.failure = ({ kind, path }) => {
    if ((kind === 'write' || kind === 'sync') && path.endsWith('.log')) operations.push(`${kind} ${Number(path.slice(path.lastIndexOf('/') + 1, -4))}`)
    return undefined
  }
  const flushed = log.flush()
  await Promise.all([flushed, produce(log, numbered(3, 3)), produce(log, numbered(6, 3))])
  expect(operations.slice(operations.lastIndexOf('write 0') + 1, operations.indexOf('write 6'))).toContain('sync 0')
  await manager.close()
})

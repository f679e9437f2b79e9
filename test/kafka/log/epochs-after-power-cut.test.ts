/** Where each leader epoch began is known after a power cut, although no new leader waits for the file that says so. */
import { expect, test } from 'vitest'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { append, hostOn, numbered, openOn, readAll } from './bench.ts'

test('whatever moment the power is cut, the epochs of what is left are those it was written in', async () => {
  /** Leaders follow hard on each other's heels. The last of ten writes two segments, which are flushed and told of in the checkpoint of recovery points. */
  async function work(disk: SimulatedDisk): Promise<void> {
    const { manager } = await openOn(disk, { segmentBytes: 120 }, { host: hostOn(disk) })
    const log = await manager.create('t', 0, { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
    for (let round = 0; round < 3; round++) {
      for (let epoch = round * 10; epoch < (round + 1) * 10; epoch++) log.assignLeaderEpoch(epoch)
      for (const from of [round * 6, round * 6 + 3]) await append(log, encodeBatch(numbered(from, 3)), { leaderEpoch: round * 10 + 9 })
      await log.flush()
      await manager.checkpoint()
    }
  }
  const whole = new SimulatedDisk()
  await work(whole)
  for (let cut = 1; cut <= whole.changes; cut++) {
    const disk = new SimulatedDisk()
    disk.powerCutAt = cut
    await work(disk).catch((error: unknown) => {
      if (!disk.isOff) throw error
    })
    for (const keep of ['synced', 'some'] as const) {
      const { manager } = await openOn(disk.afterPowerCut({ seed: cut, keep }))
      const log = manager.get('t', 0)
      if (!log) continue
      for (const { offset } of await readAll(log)) expect(log.epochOf(offset), `the record at ${offset}, power cut at change ${cut}, ${keep}`).toBe(Math.floor(offset / 6) * 10 + 9)
      await manager.close()
    }
  }
})

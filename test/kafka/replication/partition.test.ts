/** A partition whose broker ceases to lead while a write is on its way to the disk, or begins to while its producers' requests are. */
import { describe, expect, test } from 'vitest'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { Partition, type Produced } from '../../../src/kafka/replication/partition.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { numbered, openOn, topicId } from '../log/bench.ts'

async function made(): Promise<{ partition: Partition; pass: (ms: number) => void; close: () => Promise<void> }> {
  const { manager, host } = await openOn(new SimulatedDisk())
  const log = await manager.create('t', 0, { topicId, isNew: true })
  const partition = new Partition({
    topic: 't', index: 0, log, brokerId: 1, clock: host.clock, timers: host.timers, minInsyncReplicas: () => 1, lagMsMax: 30_000, backoffMs: 1_000, isAlive: () => true, propose: () => {},
  })
  return { partition, pass: (ms) => host.pass(ms), close: () => manager.close() }
}
async function leading(): ReturnType<typeof made> {
  const one = await made()
  one.partition.becomeLeader({ leader: 1, leaderEpoch: 1, partitionEpoch: 1, isr: [1, 2], replicas: [1, 2] })
  return one
}
const begun = (partition: Partition): Promise<Produced> => {
  const bytes = encodeBatch(numbered(0, 3))
  return new Promise((finished) => partition.append([bytes], bytes.length, { requiredAcks: -1, timeoutMs: 30_000, origin: 'client' }, finished))
}

test('whoever asked is told at once that it does not lead any more, and nothing keeps it from following', async () => {
  const { partition, close } = await leading()
  const answer = begun(partition)
  partition.becomeFollower({ leader: 2, leaderEpoch: 2, partitionEpoch: 2, isr: [2], replicas: [1, 2] })
  expect(await answer).toMatchObject({ errorCode: errors.notLeaderOrFollower.code, baseOffset: -1 })
  expect(() => partition.followerKnows({ highWatermark: 0, logStartOffset: 0 })).not.toThrow()
  await close()
})

test('a high watermark of the next leader acknowledges nothing of the one before', async () => {
  const { partition, close } = await leading()
  const answer = begun(partition)
  partition.becomeFollower({ leader: 2, leaderEpoch: 2, partitionEpoch: 2, isr: [2], replicas: [1, 2] })
  // Before the write is told of, the new leader says that three records are committed, which are its own.
  partition.log.setHighWatermark(3)
  expect(await answer).toMatchObject({ errorCode: errors.notLeaderOrFollower.code })
  await close()
})

test('one that leads on in a later epoch acknowledges when its followers have the records', async () => {
  const { partition, close } = await leading()
  const answer = begun(partition)
  partition.becomeLeader({ leader: 1, leaderEpoch: 2, partitionEpoch: 2, isr: [1, 2], replicas: [1, 2] })
  await new Promise<void>((written) => {
    const forget = partition.log.onAppend(() => (forget(), written()))
    if (partition.log.logEndOffset === 3) written()
  })
  partition.followerFetched(2, { fetchOffset: 3, logStartOffset: 0 })
  expect(await answer).toMatchObject({ errorCode: 0, baseOffset: 0 })
  await close()
})

test('who waited for a commit is told when it is known who leads now', async () => {
  const { partition, close } = await leading()
  const bytes = encodeBatch(numbered(0, 3))
  const written = new Promise<void>((done) => {
    const forget = partition.log.onAppend(() => (forget(), done()))
  })
  const told = new Promise((done) =>
    partition.append([bytes], bytes.length, { requiredAcks: -1, timeoutMs: 30_000, origin: 'client' }, ({ errorCode }) => done({ errorCode, leadership: partition.leadership })))
  await written
  partition.becomeFollower({ leader: 2, leaderEpoch: 2, partitionEpoch: 2, isr: [2], replicas: [1, 2] })
  expect(await told).toEqual({ errorCode: errors.notLeaderOrFollower.code, leadership: { leaderId: 2, leaderEpoch: 2 } })
  partition.stop()
  expect(partition.leadership).toBeUndefined()
  await close()
})

describe('a producer that has followed the partition to this leader', () => {
  const sequences = (baseSequence: number, { producerEpoch = 0, baseOffset = 0 } = {}): Buffer => encodeBatch(numbered(baseOffset, 3), { producerId: 9, producerEpoch, baseSequence })
  const codeOf = (partition: Partition, bytes: Buffer): Promise<number> =>
    new Promise((told) => partition.append([bytes], bytes.length, { requiredAcks: 1, timeoutMs: 30_000, origin: 'client' }, ({ errorCode }) => told(errorCode)))
  const [following, led] = [{ leader: 2, leaderEpoch: 1, partitionEpoch: 1, isr: [1, 2] }, { leader: 1, leaderEpoch: 2, partitionEpoch: 2, isr: [1, 2] }]
  const [taken, notLeader, outOfOrder] = [0, errors.notLeaderOrFollower.code, errors.outOfOrderSequenceNumber.code]
  /** Sequences 0 to 2 have come from the leader before. */
  async function elected(replicas = [1, 2]): ReturnType<typeof made> {
    const one = await made()
    one.partition.becomeFollower({ ...following, replicas })
    await one.partition.appendReplicated(sequences(0))
    expect(await codeOf(one.partition, sequences(3))).toBe(notLeader)
    one.partition.becomeLeader({ ...led, replicas })
    return one
  }

  test('is refused in the same way when what was sent next overtakes what was refused, and sends all again in order', async () => {
    const { partition, close } = await elected()
    expect(await codeOf(partition, sequences(6))).toBe(notLeader)
    expect(await codeOf(partition, sequences(9))).toBe(notLeader)
    for (const next of [3, 6, 9]) expect(await codeOf(partition, sequences(next))).toBe(taken)
    // It has written here now: what is missing was never sent.
    expect(await codeOf(partition, sequences(15))).toBe(outOfOrder)
    await close()
  })
  test('is told of what stays missing', async () => {
    const { partition, pass, close } = await elected()
    expect(await codeOf(partition, sequences(6))).toBe(notLeader)
    pass(2_000)
    expect(await codeOf(partition, sequences(6))).toBe(outOfOrder)
    await close()
  })
  test('in a new epoch, too, may have sent what it begins with to another', async () => {
    const { partition, close } = await elected()
    expect(await codeOf(partition, sequences(3, { producerEpoch: 1 }))).toBe(notLeader)
    expect(await codeOf(partition, sequences(0, { producerEpoch: 1 }))).toBe(taken)
    await close()
  })
  test('is out of order when it goes back, and where nobody else could have led', async () => {
    const { partition, close } = await elected()
    expect(await codeOf(partition, sequences(1))).toBe(outOfOrder)
    await close()
    const alone = await elected([1])
    expect(await codeOf(alone.partition, sequences(6))).toBe(outOfOrder)
    await alone.close()
  })
})

/** The driver: which broker answers for a group and when, what is appended where, and that nothing waits or ticks for nothing. */
import { expect, test } from 'vitest'
import { GroupCoordinator, type Asker } from '../../../src/kafka/groups/group-coordinator.ts'
import type { GroupConfig } from '../../../src/kafka/groups/group-config.ts'
import type { AppendedBatch, GroupStorage } from '../../../src/kafka/groups/group-storage.ts'
import { Batch } from '../../../src/kafka/records/batch.ts'
import type { RequestOf } from '../../../src/kafka/protocol/api.ts'
import type { JoinGroup } from '../../../src/kafka/protocol/join-group.ts'
import { goldenBatches } from './golden.ts'
import { Chance } from './simulation.ts'
import { VirtualHost } from './virtual-host.ts'

const [loadInProgress, notAvailable, notCoordinator, invalidGroupId, unknownMember, invalidSession, rebalanceInProgress] = [14, 15, 16, 24, 25, 26, 27]
const config: GroupConfig = {
  sizeMax: 1000, initialRebalanceDelayMs: 0, offsetMetadataMax: 4096, sessionTimeoutMsMin: 6_000, sessionTimeoutMsMax: 1_800_000,
  retentionMs: 60_000, retentionCheckIntervalMs: 600_000, loadBufferSize: 400, commitTimeoutMs: 5_000, compression: 'none',
}
const v9: Asker = { version: 9, clientId: 'c', clientHost: '/127.0.0.1' }

class MemoryStorage implements GroupStorage {
  readonly batches = new Map<number, Buffer[]>()
  /** Reads wait for it. */
  gate: Promise<void> = Promise.resolve()
  failures = 0
  errorCode = 0
  async append(partition: number, batch: Buffer): Promise<AppendedBatch> {
    if (this.errorCode !== 0) return { errorCode: this.errorCode, baseOffset: -1 }
    const log = this.#log(partition)
    const baseOffset = log.length === 0 ? 0 : new Batch(log[log.length - 1]).nextOffset
    new Batch(batch).baseOffset = baseOffset
    log.push(batch)
    return { errorCode: 0, baseOffset }
  }
  async read(partition: number, offset = 0, sizeMax: number): Promise<Buffer> {
    await this.gate
    if (this.failures-- > 0) throw new Error('the disk is away')
    const wanted: Buffer[] = []
    for (const batch of this.#log(partition)) {
      if (new Batch(batch).lastOffset < offset) continue
      if (wanted.length > 0 && Buffer.concat(wanted).length + batch.length > sizeMax) break
      wanted.push(batch)
    }
    return Buffer.concat(wanted)
  }
  #log(partition: number): Buffer[] {
    let log = this.batches.get(partition)
    if (!log) this.batches.set(partition, (log = []))
    return log
  }
}

function coordinator(change: Partial<GroupConfig> = {}) {
  const host = new VirtualHost()
  const storage = new MemoryStorage()
  const groups = new GroupCoordinator(host, { config: { ...config, ...change }, storage, partitionCount: () => 4 })
  return { host, storage, groups }
}
async function loaded(change: Partial<GroupConfig> = {}) {
  const all = coordinator(change)
  all.groups.start()
  for (let partition = 0; partition < 4; partition++) await all.groups.elected(partition, 0)
  return all
}
const joining = (wish: Partial<RequestOf<typeof JoinGroup>> = {}): RequestOf<typeof JoinGroup> => ({
  groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId: '', groupInstanceId: 'i', protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }], reason: null, ...wish,
})
const nobody = { memberId: '', instanceId: null, generation: -1 }
const offset = (topic: string, partition: number, value: number) => ({ topic, partition, offset: value, leaderEpoch: -1, metadata: '', commitTimestamp: 1_700_000_000_000, expireTimestamp: undefined })
const syncing = (memberId: string, generationId = 1) => ({
  groupId: 'g', generationId, memberId, groupInstanceId: 'i', protocolType: null, protocolName: null, assignments: [{ memberId, assignment: Buffer.from('a') }],
})
async function stable({ host, groups }: Awaited<ReturnType<typeof loaded>>): Promise<string> {
  const join = groups.join(joining(), v9)
  await host.pass(1)
  const { memberId } = await join
  expect((await groups.sync(syncing(memberId))).errorCode).toBe(0)
  return memberId
}

test('a coordinator that has not started, does not lead or still loads says so, each API as its clients understand it', async () => {
  const { storage, groups } = coordinator()
  const beat = { groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null }
  const ask = async () => [
    (await groups.join(joining(), v9)).errorCode, (await groups.sync(syncing('m'))).errorCode, (await groups.heartbeat(beat)).errorCode,
    (await groups.commitOffsets('g', nobody, [offset('t', 0, 1)]))[0], groups.fetchOffsets('g', null, { requireStable: false }).errorCode,
    (await groups.leave({ groupId: 'g', memberId: 'm', members: [] }, { version: 0 })).errorCode, groups.describe('g').errorCode,
    await groups.deleteGroup('g'), (await groups.deleteOffsets('g', [])).errorCode,
  ]
  expect(await ask()).toEqual(Array.from({ length: 9 }, () => notAvailable))
  groups.start()
  expect(await ask()).toEqual(Array.from({ length: 9 }, () => notCoordinator))
  let open = () => {}
  storage.gate = new Promise((resolve) => (open = resolve))
  const electing = groups.elected(groups.partitionFor('g'), 0)
  expect(await ask()).toEqual([loadInProgress, rebalanceInProgress, 0, loadInProgress, loadInProgress, loadInProgress, loadInProgress, loadInProgress, loadInProgress])
  expect(groups.list({ statesFilter: [], typesFilter: [] }).errorCode).toBe(loadInProgress)
  open()
  await electing
  expect(groups.describe('g')).toMatchObject({ errorCode: 0, groupState: 'Dead' })
})

test('the group id "" may only commit, fetch, be described and deleted', async () => {
  const { groups } = await loaded()
  expect((await groups.join(joining({ groupId: '' }), v9)).errorCode).toBe(invalidGroupId)
  expect((await groups.deleteOffsets('', [])).errorCode).toBe(invalidGroupId)
  expect(await groups.commitOffsets('', nobody, [offset('t', 0, 3)])).toEqual([0])
  expect(groups.fetchOffsets('', null, { requireStable: false }).offsets).toMatchObject([{ topic: 't', offset: 3 }])
  expect(groups.describe('')).toMatchObject({ errorCode: 0, groupState: 'Empty' })
  expect(await groups.deleteGroup('')).toBe(0)
})

test('a session shorter or longer than allowed is refused, and leaves no group behind', async () => {
  const { groups } = await loaded()
  for (const sessionTimeoutMs of [5_999, 1_800_001, -1]) expect((await groups.join(joining({ sessionTimeoutMs }), v9)).errorCode).toBe(invalidSession)
  expect((await groups.join(joining({ memberId: 'x' }), v9)).errorCode).toBe(unknownMember)
  expect((await groups.join(joining({ protocolType: '' }), v9)).errorCode).toBe(23)
  expect(groups.groupCount).toBe(0)
})

test('groups written by Apache are loaded in pieces, and can be listed, described and read', async () => {
  const { storage, groups } = coordinator()
  storage.batches.set(0, goldenBatches(0))
  storage.batches.set(2, goldenBatches(2).slice(0, 9))
  storage.batches.set(3, goldenBatches(3))
  groups.start()
  for (const partition of [0, 2, 3]) await groups.elected(partition, 0)
  const states = groups.list({ statesFilter: ['eMPTY'], typesFilter: ['Classic'] }).groups.map(({ groupId, groupState, protocolType, groupType }) => [groupId, groupState, protocolType, groupType])
  expect(states).toEqual([['gk', 'Empty', 'consumer', 'classic'], ['g1', 'Empty', 'consumer', 'classic'], ['g2', 'Empty', '', 'classic']])
  expect(groups.list({ statesFilter: [], typesFilter: ['consumer'] }).groups).toEqual([])
  expect(groups.fetchOffsets('g2', null, { requireStable: true }).offsets).toEqual([{ topic: 'a', partition: 0, offset: 50, leaderEpoch: -1, metadata: '', errorCode: 0 }])
})

test('records are appended to the group\'s partition; another coordinator goes on from them', async () => {
  const first = await loaded()
  const memberId = await stable(first)
  const member = { memberId, instanceId: 'i', generation: 1 }
  expect(await first.groups.commitOffsets('g', member, [offset('t', 0, 5), offset('t', 1, 6)])).toEqual([0, 0])
  expect([...first.storage.batches].filter(([, log]) => log.length > 0).map(([partition, log]) => [partition, log.length])).toEqual([[first.groups.partitionFor('g'), 2]])
  expect(first.storage.batches.get(first.groups.partitionFor('g'))!.map((batch) => new Batch(batch).baseSequence)).toEqual([-1, 0])

  const second = coordinator()
  for (const [partition, log] of first.storage.batches) second.storage.batches.set(partition, log)
  second.groups.start()
  await second.groups.elected(second.groups.partitionFor('g'), 1)
  expect(await second.groups.heartbeat({ groupId: 'g', generationId: 1, memberId, groupInstanceId: 'i' })).toEqual({ errorCode: 0 })
  expect(second.groups.fetchOffsets('g', [{ topic: 't', partition: 1 }], { requireStable: true }).offsets[0].offset).toBe(6)
  await second.host.pass(10_000)
  expect(second.groups.describe('g').groupState).toBe('Empty')
})

test('a partition that cannot be read is tried again, and served only when it was read whole', async () => {
  const { host, storage, groups } = coordinator()
  storage.batches.set(3, goldenBatches(3))
  storage.failures = 2
  groups.start()
  void groups.elected(3, 0)
  await host.pass(1_500)
  expect(groups.describe('g2').errorCode).toBe(loadInProgress)
  await host.pass(1_000)
  expect(groups.fetchOffsets('g2', null, { requireStable: false }).offsets[0].offset).toBe(50)
})

test('resigning answers everything that waits, and an older epoch changes nothing', async () => {
  const all = await loaded()
  const { groups } = all
  const memberId = await stable(all)
  const waiting = groups.join(joining({ memberId: '', groupInstanceId: 'other' }), v9)
  const partition = groups.partitionFor('g')
  await groups.elected(partition, 5)
  groups.resigned(partition, 4)
  expect(groups.describe('g').groupState).toBe('PreparingRebalance')
  groups.resigned(partition, 6)
  expect((await waiting).errorCode).toBe(notCoordinator)
  await groups.elected(partition, 5)
  expect(groups.describe('g').errorCode).toBe(notCoordinator)
  await groups.elected(partition, 7)
  expect(groups.describe('g')).toMatchObject({ errorCode: 0, groupState: 'Stable', members: [{ memberId }] })
})

test('stopping answers everything that waits and leaves no timer behind', async () => {
  const all = await loaded()
  const { host, groups } = all
  await stable(all)
  const waiting = groups.join(joining({ groupInstanceId: 'other' }), v9)
  expect(host.timerCount).toBe(2) // one for the group, one for retention
  await groups.stop()
  expect((await waiting).errorCode).toBe(notCoordinator)
  expect([groups.waitingCount, host.timerCount]).toEqual([0, 0])
})

test('offsets expire by themselves, and a group of which nothing is left is forgotten', async () => {
  const { host, groups, storage } = await loaded({ retentionMs: 60_000, retentionCheckIntervalMs: 50_000 })
  await groups.commitOffsets('g', nobody, [{ ...offset('t', 0, 5), commitTimestamp: host.now }])
  await host.pass(99_999)
  expect(groups.groupCount).toBe(1)
  await host.pass(1)
  expect(groups.groupCount).toBe(0)
  expect(groups.describe('g').groupState).toBe('Dead')
  expect(storage.batches.get(groups.partitionFor('g'))).toHaveLength(2)
})

test('what the records cannot hold is refused at the door: it would keep the group, or a list of groups, from being written', async () => {
  const { host, groups } = await loaded()
  const long = 'g'.repeat(32_768)
  expect(await groups.commitOffsets(long, nobody, [offset('t', 0, 1)])).toEqual([invalidGroupId])
  expect((await groups.join(joining({ groupId: 'ä'.repeat(16_384) }), v9)).errorCode).toBe(invalidGroupId)
  for (const wish of [{ groupInstanceId: long }, { protocolType: long }, { protocols: [{ name: long, metadata: Buffer.alloc(0) }] }])
    expect((await groups.join(joining(wish), v9)).errorCode).toBe(42)
  expect(groups.groupCount).toBe(0)
  const join = groups.join(joining({ groupInstanceId: null }), { ...v9, version: 3, clientId: 'c'.repeat(32_767) })
  await host.pass(1)
  expect(Buffer.byteLength((await join).memberId)).toBeLessThan(32_767)
})

test('ten thousand groups have one timer each, and none when they are gone', async () => {
  const { host, groups } = await loaded()
  const joins = Array.from({ length: 10_000 }, (_, index) => groups.join(joining({ groupId: `g${index}` }), v9))
  expect([groups.groupCount, host.timerCount]).toEqual([10_000, 10_001])
  await groups.stop()
  expect(new Set((await Promise.all(joins)).map(({ errorCode }) => errorCode))).toEqual(new Set([notCoordinator]))
  expect(host.timerCount).toBe(0)
})

test('whatever is asked in whatever order, everything is answered once and nothing breaks', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const chance = new Chance(seed)
    const all = await loaded({ initialRebalanceDelayMs: chance.below(2) * 3_000, sizeMax: 1 + chance.below(4) })
    const { host, groups, storage } = all
    const ids = ['', 'stranger']
    const one = <T>(of: readonly T[]): T => of[chance.below(of.length)]
    const protocols = () => Array.from({ length: chance.below(3) }, () => ({ name: one(['range', 'sticky', 'x']), metadata: Buffer.from(one(['a', 'b', ''])) }))
    const instance = () => one([null, null, 'i', 'j'])
    const claim = () => ({ groupId: 'g', memberId: one(ids), generationId: chance.below(4) - 1, groupInstanceId: instance() })
    const asked: Promise<unknown>[] = []
    for (let step = 0; step < 60; step++) {
      storage.errorCode = chance.one(8) ? 19 : 0
      const { memberId, groupInstanceId, generationId } = claim()
      switch (chance.below(11)) {
        case 0: case 1: case 2:
          asked.push(groups.join({
            groupId: 'g', sessionTimeoutMs: 6_000 + chance.below(3) * 5_000, rebalanceTimeoutMs: one([-1, 0, 1, 20_000]), memberId, groupInstanceId,
            protocolType: one(['consumer', 'consumer', 'consumer', 'connect', '']), protocols: protocols(), reason: null,
          }, { ...v9, version: chance.below(10) }).then((answer) => ids.push(answer.memberId)))
          break
        case 3: case 4:
          asked.push(groups.sync({ groupId: 'g', memberId, generationId, groupInstanceId, protocolType: one([null, 'consumer']), protocolName: one([null, 'range']), assignments: ids.map((id) => ({ memberId: id, assignment: Buffer.from('a') })) }))
          break
        case 5: asked.push(groups.heartbeat(claim())); break
        case 6: asked.push(groups.leave({ groupId: 'g', memberId, members: [{ memberId, groupInstanceId, reason: null }] }, { version: chance.below(6) })); break
        case 7: asked.push(groups.commitOffsets('g', { memberId, instanceId: groupInstanceId, generation: generationId }, [offset('t', chance.below(2), step)])); break
        case 8: asked.push(one([() => groups.deleteGroup('g'), () => groups.deleteOffsets('g', [{ topic: 't', partition: 0 }])])()); break
        case 9:
          if (chance.one(4)) {
            groups.resigned(groups.partitionFor('g'))
            asked.push(groups.elected(groups.partitionFor('g'), 0))
          } else groups.topicPartitionsDeleted([{ topic: 't', partition: 1 }])
          break
        default: await host.pass(chance.below(15_000))
      }
      groups.describe('g')
      groups.list({ statesFilter: [], typesFilter: [] })
    }
    await host.pass(10 * 60_000)
    expect(groups.waitingCount, `seed ${seed}`).toBe(0)
    await groups.stop()
    await Promise.all(asked)
    expect(host.timerCount, `seed ${seed}`).toBe(0)
  }
})

/** The same requests of the group protocol to Apache's broker and to Ottla's: the answers have to be the same, field by field. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { KafkaConnection } from '../../src/kafka/client/connection.ts'
import type { Api, RequestTo, ResponseOf } from '../../src/kafka/protocol/api.ts'
import { CreateTopics } from '../../src/kafka/protocol/create-topics.ts'
import { DeleteGroups } from '../../src/kafka/protocol/delete-groups.ts'
import { DescribeGroups } from '../../src/kafka/protocol/describe-groups.ts'
import { FindCoordinator } from '../../src/kafka/protocol/find-coordinator.ts'
import { Heartbeat } from '../../src/kafka/protocol/heartbeat.ts'
import { JoinGroup } from '../../src/kafka/protocol/join-group.ts'
import { LeaveGroup } from '../../src/kafka/protocol/leave-group.ts'
import { ListGroups } from '../../src/kafka/protocol/list-groups.ts'
import { OffsetCommit } from '../../src/kafka/protocol/offset-commit.ts'
import { OffsetDelete } from '../../src/kafka/protocol/offset-delete.ts'
import { OffsetFetch } from '../../src/kafka/protocol/offset-fetch.ts'
import { SyncGroup } from '../../src/kafka/protocol/sync-group.ts'
import type { Fields } from '../../src/wire/schema.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import { disposeOf, startKafka, startZookeeper } from './target.ts'
import type { Maker, Server } from './target.ts'
import { everyoneKnows } from './topics.ts'

type Ask = <Q extends Fields, S extends Fields>(api: Api<Q, S>, version: number, request: RequestTo<Api<Q, S>>) => Promise<ResponseOf<Api<Q, S>>>

/** One broker and what it has answered so far: by connection (a waiting JoinGroup holds one), with ids by order of appearance. */
class Side {
  answers: string[][] = []
  readonly #ids = new Map<string, string>()
  readonly #connections: KafkaConnection[] = []
  readonly #address: string
  readonly #host = nodeHost({ logger: silentLogger })
  constructor(address: string) {
    this.#address = address
  }
  /** A further connection; `isHeard`: its answers are compared. */
  async connect(isHeard: boolean): Promise<Ask> {
    const [host, port] = this.#address.split(':')
    const connection = await KafkaConnection.open({ host: this.#host, to: { host, port: Number(port) }, clientId: 'same' })
    const place = this.#connections.push(connection) - 1
    return async (api, version, request) => {
      const answer = (await connection.send(api, request, { version, timeoutMs: 120_000 })) as never
      if (isHeard) (this.answers[place] ??= []).push(`${api.name} ${version} ${this.#comparable(answer)}`)
      return answer
    }
  }
  close(): void {
    for (const connection of this.#connections) connection.close()
  }
  /** Apache answers in the order of its hash tables; sentences for people are each maker's own. */
  #comparable(answer: unknown): string {
    const text = JSON.stringify(answer, (name, value: unknown) => {
      if (typeof value === 'bigint') return String(value)
      if (name === 'port' || name === 'throttleTimeMs' || name === 'errorMessage') return undefined
      if (Buffer.isBuffer(value)) return value.toString('hex')
      return value
    })
    const anonymous = text.replaceAll(/[a-z]+-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
      if (!this.#ids.has(id)) this.#ids.set(id, `member ${this.#ids.size}`)
      return this.#ids.get(id)!
    })
    return JSON.stringify(JSON.parse(anonymous, (_, value: unknown) => (Array.isArray(value) ? value.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value)))
  }
}

const member = (groupId: string, memberId: string, more: Partial<RequestTo<typeof JoinGroup>> = {}): RequestTo<typeof JoinGroup> => ({
  groupId, memberId, sessionTimeoutMs: 300_000, rebalanceTimeoutMs: 300_000, protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 0x74, 0xff, 0xff, 0xff, 0xff]) }], ...more,
})
const commit = (groupId: string, memberId = '', generationIdOrMemberEpoch = -1, more: Partial<RequestTo<typeof OffsetCommit>> = {}): RequestTo<typeof OffsetCommit> => ({
  groupId, memberId, generationIdOrMemberEpoch,
  topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 0, committedMetadata: 'note' }, { partitionIndex: 7, committedOffset: 5, committedMetadata: null }] }, { name: 'none', partitions: [{ partitionIndex: 0, committedOffset: 5, committedMetadata: null }] }],
  ...more,
})
const fetchRequest = (version: number, groupId: string, all = false): RequestTo<typeof OffsetFetch> => {
  const topics = all ? null : [{ name: 't', partitionIndexes: [0, 1, 7] }]
  return version >= 8 ? { topics: null, groups: [{ groupId, topics }] } : { groupId, topics, groups: [] }
}

/** A conversation; whatever it is answered is kept by its side. */
const conversations: Record<string, (ask: Ask, other: Ask, quiet: Ask) => Promise<void>> = {
  async 'questions about groups that do not exist'(ask) {
    for (let version = 0; version <= 5; version++) await ask(DescribeGroups, version, { groups: ['none', ''], includeAuthorizedOperations: version >= 3 })
    for (let version = 0; version <= 9; version++) await ask(JoinGroup, version, member('none', 'stranger'))
    for (let version = 0; version <= 5; version++) await ask(SyncGroup, version, { groupId: 'none', generationId: 1, memberId: 'stranger', protocolType: 'consumer', protocolName: 'range', assignments: [] })
    for (let version = 0; version <= 4; version++) await ask(Heartbeat, version, { groupId: 'none', generationId: 1, memberId: 'stranger' })
    for (let version = 0; version <= 5; version++) await ask(LeaveGroup, version, { groupId: 'none', memberId: 'stranger', members: [{ memberId: 'stranger' }, { memberId: '', groupInstanceId: 'i' }] })
    for (let version = 0; version <= 9; version++) await ask(OffsetFetch, version, fetchRequest(version, 'none'))
    for (let version = 2; version <= 9; version++) await ask(OffsetFetch, version, fetchRequest(version, 'none', true))
    for (let version = 0; version <= 2; version++) await ask(DeleteGroups, version, { groupsNames: ['none', ''] })
    await ask(OffsetDelete, 0, { groupId: 'none', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] })
    for (let version = 0; version <= 5; version++) await ask(ListGroups, version, {})
  },
  async 'requests that are refused for what they say'(ask) {
    await ask(JoinGroup, 5, member('', ''))
    await ask(JoinGroup, 5, member('g', '', { sessionTimeoutMs: 1 }))
    await ask(JoinGroup, 5, member('g', '', { sessionTimeoutMs: 1_800_001 }))
    await ask(JoinGroup, 3, member('g', '', { protocols: [] }))
    await ask(JoinGroup, 9, member('g', '', { protocolType: '' }))
    await ask(SyncGroup, 5, { groupId: '', generationId: 1, memberId: 'm', protocolType: 'consumer', protocolName: 'range', assignments: [] })
    await ask(SyncGroup, 5, { groupId: 'g', generationId: 1, memberId: 'm', assignments: [] })
    await ask(Heartbeat, 4, { groupId: '', generationId: 1, memberId: 'm' })
    await ask(LeaveGroup, 4, { groupId: '', memberId: '', members: [{ memberId: 'm' }] })
    await ask(LeaveGroup, 1, { groupId: '', memberId: 'm', members: [] })
    await ask(OffsetCommit, 8, commit('fresh', 'stranger', 4))
    await ask(OffsetCommit, 8, commit('fresh', 'stranger', -1))
    await ask(OffsetDelete, 0, { groupId: '', topics: [] })
    for (const version of [0, 3, 4, 6]) for (const keyType of [0, 2, 7]) {
      if (version === 0 && keyType !== 0) continue
      await ask(FindCoordinator, version, version >= 4 ? { key: '', keyType, coordinatorKeys: ['g', 'h'] } : { key: 'g', keyType, coordinatorKeys: [] })
    }
  },
  async 'offsets of simple consumers'(ask) {
    for (let version = 1; version <= 9; version++) {
      await ask(OffsetCommit, version, commit(`simple-${version}`))
      for (let fetchVersion = 1; fetchVersion <= 9; fetchVersion++) await ask(OffsetFetch, fetchVersion, fetchRequest(fetchVersion, `simple-${version}`))
      await ask(OffsetFetch, 8, fetchRequest(8, `simple-${version}`, true))
    }
    await ask(OffsetCommit, 0, commit('zookeeper'))
    await ask(OffsetFetch, 0, fetchRequest(0, 'zookeeper'))
    const long = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: 'x'.repeat(4097) }, { partitionIndex: 1, committedOffset: 1, committedMetadata: 'x'.repeat(4096) }] }]
    await ask(OffsetCommit, 8, commit('long', '', -1, { topics: long }))
    await ask(OffsetCommit, 0, commit('long', '', -1, { topics: long }))
    await ask(OffsetDelete, 0, { groupId: 'long', topics: [{ name: 'none', partitions: [{ partitionIndex: 0 }] }, { name: 't', partitions: [{ partitionIndex: 1 }, { partitionIndex: 9 }] }] })
    await ask(DeleteGroups, 2, { groupsNames: ['simple-1'] })
    await ask(DescribeGroups, 5, { groups: ['simple-1', 'simple-2'], includeAuthorizedOperations: true })
  },
  async 'a life in a group'(ask, other, quiet) {
    for (const version of [0, 1, 3, 4, 5, 7, 9]) {
      const groupId = `life-${version}`
      const first = await ask(JoinGroup, version, member(groupId, ''))
      const a = first.errorCode === 79 ? await ask(JoinGroup, version, member(groupId, first.memberId)) : first
      const claim = { groupId, memberId: a.memberId, generationId: a.generationId }
      await ask(DescribeGroups, 5, { groups: [groupId] })
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 1))
      await ask(SyncGroup, Math.min(version, 4), { ...claim, assignments: [{ memberId: a.memberId, assignment: Buffer.from('share') }] })
      await ask(SyncGroup, 5, { ...claim, protocolType: 'consumer', protocolName: 'sticky', assignments: [] })
      await ask(SyncGroup, 5, { ...claim, protocolType: 'consumer', protocolName: 'range', assignments: [] })
      await ask(DescribeGroups, 5, { groups: [groupId] })
      await ask(Heartbeat, 3, claim)
      await ask(Heartbeat, 3, { ...claim, generationId: 7 })
      await ask(Heartbeat, 3, { ...claim, groupInstanceId: 'i' })
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 1))
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 0))
      await ask(OffsetCommit, 8, commit(groupId))
      await ask(OffsetDelete, 0, { groupId, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] })
      await ask(DeleteGroups, 2, { groupsNames: [groupId] })
      await ask(JoinGroup, version, member(groupId, '', { protocolType: 'connect' }))
      await ask(JoinGroup, version, member(groupId, '', { protocols: [{ name: 'sticky', metadata: Buffer.alloc(0) }] }))
      // Another one comes: the first is called back to joining.
      const incoming = other(JoinGroup, 3, member(groupId, ''))
      await until('the first is called', async () => (await quiet(Heartbeat, 3, claim)).errorCode === 27)
      await ask(SyncGroup, 3, { ...claim, assignments: [] })
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 1))
      await ask(JoinGroup, 3, member(groupId, a.memberId))
      const b = await incoming
      const again = { ...claim, generationId: 2 }
      await ask(JoinGroup, 3, member(groupId, b.memberId))
      await ask(SyncGroup, 3, { ...again, assignments: [{ memberId: b.memberId, assignment: Buffer.from('b') }] })
      await other(SyncGroup, 3, { groupId, memberId: b.memberId, generationId: 2, assignments: [] })
      await ask(JoinGroup, 3, member(groupId, b.memberId))
      await ask(LeaveGroup, 2, { groupId, memberId: b.memberId, members: [] })
      await ask(Heartbeat, 3, again)
      await ask(LeaveGroup, 5, { groupId, memberId: '', members: [{ memberId: a.memberId }, { memberId: b.memberId }, { memberId: '', groupInstanceId: 'i' }] })
      await ask(Heartbeat, 3, again)
      await ask(DescribeGroups, 5, { groups: [groupId] })
      await ask(OffsetFetch, 7, fetchRequest(7, groupId))
      await ask(OffsetDelete, 0, { groupId, topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] })
      await ask(DescribeGroups, 5, { groups: [groupId] })
    }
  },
  async 'static members'(ask, other, quiet) {
    for (const version of [5, 7, 9]) {
      const groupId = `static-${version}`
      const instance = { groupInstanceId: 'one' }
      const a = await ask(JoinGroup, version, member(groupId, '', instance))
      const claim = { groupId, memberId: a.memberId, generationId: 1, ...instance }
      await ask(SyncGroup, 4, { ...claim, assignments: [{ memberId: a.memberId, assignment: Buffer.from('share') }] })
      await ask(DescribeGroups, 5, { groups: [groupId] })
      const back = await ask(JoinGroup, version, member(groupId, '', instance))
      await ask(Heartbeat, 4, claim)
      await ask(SyncGroup, 4, { ...claim, assignments: [] })
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 1, instance))
      await ask(OffsetCommit, 8, commit(groupId, a.memberId, 1))
      await ask(JoinGroup, version, member(groupId, a.memberId, instance))
      await ask(LeaveGroup, 4, { groupId, memberId: '', members: [{ memberId: a.memberId, ...instance }] })
      const current = { ...claim, memberId: back.memberId }
      await ask(Heartbeat, 4, current)
      await ask(Heartbeat, 4, { ...current, groupInstanceId: null })
      await ask(SyncGroup, 4, { ...current, assignments: [] })
      await ask(OffsetCommit, 8, commit(groupId, back.memberId, 1, instance))
      // While it waits for another, it is replaced.
      const second = other(JoinGroup, version, member(groupId, '', { groupInstanceId: 'two' }))
      await until('the first is called', async () => (await quiet(Heartbeat, 4, current)).errorCode === 27)
      await ask(JoinGroup, version, member(groupId, '', instance))
      const two = await second
      await ask(DescribeGroups, 5, { groups: [groupId] })
      await ask(LeaveGroup, 5, { groupId, memberId: '', members: [{ memberId: '', groupInstanceId: 'two', reason: 'by hand' }, { memberId: '', groupInstanceId: 'three' }] })
      await ask(Heartbeat, 4, { groupId, memberId: two.memberId, generationId: 2, groupInstanceId: 'two' })
      await ask(LeaveGroup, 5, { groupId, memberId: '', members: [{ memberId: '', ...instance }] })
      await ask(DescribeGroups, 5, { groups: [groupId] })
    }
  },
}

describeWith(['apache'], 'the group protocol as Apache\'s broker answers it', () => {
  const servers: Server[] = []
  const sides: Side[] = []
  const asks: [Ask, Ask, Ask][] = []
  disposeOf(() => [...servers].reverse())
  beforeAll(async () => {
    for (const maker of ['apache', 'ottla'] as Maker[]) {
      const zookeeper = await startZookeeper({ maker: 'ottla' })
      servers.push(zookeeper)
      const kafka = await startKafka({ maker, zookeeper: zookeeper.address })
      servers.push(kafka)
      const side = new Side(kafka.address)
      const ask = await side.connect(false)
      await ask(CreateTopics, 4, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 60_000 })
      await everyoneKnows([kafka.address], 't', 2)
      await until('the coordinator is there', async () => (await ask(FindCoordinator, 2, { key: 'g', keyType: 0 })).errorCode === 0)
      await until('all groups are loaded', async () => (await ask(ListGroups, 0, {})).errorCode === 0 && (await ask(OffsetFetch, 7, fetchRequest(7, 'g'))).errorCode === 0)
      sides.push(side)
      asks.push([await side.connect(true), await side.connect(true), ask])
    }
  })
  afterAll(() => sides.forEach((side) => side.close()))

  test.each(Object.keys(conversations))('%s', async (name) => {
    for (const [index, side] of sides.entries()) {
      side.answers = []
      await conversations[name](...asks[index])
    }
    expect(sides[0].answers.flat().length).toBeGreaterThan(20)
    expect(sides[1].answers).toEqual(sides[0].answers)
  })
})

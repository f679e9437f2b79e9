import { describe, expect, test } from 'vitest'
import { packetType } from '../../../src/zookeeper/protocol/quorum.ts'
import { Learner, packetOf } from '../../../src/zookeeper/zab/learner.ts'
import { Leader, type LeaderFacts, type LeaderOutput } from '../../../src/zookeeper/zab/leader.ts'
import { LearnerInfo } from '../../../src/zookeeper/protocol/quorum.ts'
import { historyNeeded, joined, synchronizationOf } from '../../../src/zookeeper/zab/synchronization.ts'
import { ensembleOf } from './members.ts'

const zxid = (epoch: number, counter: number): bigint => (BigInt(epoch) << 32n) | BigInt(counter)
const transactions = (...zxids: bigint[]) => zxids.map((id) => ({ zxid: id, bytes: Buffer.from(String(id)) }))
const show = (id: bigint): string => `${id >> 32n}:${id & 0xffff_ffffn}`

describe('how a learner is synchronized (reference §5.3)', () => {
  const committed = transactions(zxid(1, 3), zxid(1, 4), zxid(1, 5), zxid(2, 1), zxid(2, 2))
  const plan = (peerLast: bigint, options: { lastProcessed?: bigint; committed?: typeof committed; forceSnapshot?: boolean } = {}): string => {
    const found = synchronizationOf({ peerLast, lastProcessed: zxid(2, 2), committed, ...options })
    return `${found.kind} ${show(found.zxid)}${found.kind === 'snap' ? '' : ` +${found.transactions.map((transaction) => show(transaction.zxid)).join(',')}`}`
  }
  test.each<[string, bigint, string]>([
    ['who has everything gets nothing', zxid(2, 2), 'diff 2:2 +'],
    ['who lacks the end gets it', zxid(1, 5), 'diff 2:2 +2:1,2:2'],
    ['who has only what is kept longest still gets a difference', zxid(1, 3), 'diff 2:2 +1:4,1:5,2:1,2:2'],
    ['who lacks more gets a snapshot', zxid(1, 2), 'snap 2:2'],
    ['who is empty gets a snapshot', 0n, 'snap 2:2'],
    ['what was never committed here is cut', zxid(2, 3), 'trunc 2:2 +'],
    ['an end of an older epoch that was never committed is cut, and what followed is sent', zxid(1, 7), 'trunc 1:5 +2:1,2:2'],
    ['who led an epoch without a transaction needs no cut', zxid(2, 0), 'diff 2:2 +2:1,2:2'],
  ])('%s', (_law, peerLast, expected) => expect(plan(peerLast)).toBe(expected))
  test('who has something of an epoch that is unknown here gets a snapshot', () => {
    expect(plan(zxid(2, 4), { committed: transactions(zxid(1, 5), zxid(3, 1)), lastProcessed: zxid(3, 1) })).toBe('snap 3:1')
  })
  test('logs and memory are one history where they meet, and memory alone where they do not', () => {
    const need = (peerLast: bigint) => historyNeeded({ peerLast, lastProcessed: zxid(2, 2), committed })
    expect([need(zxid(1, 2)), need(zxid(1, 3)), need(zxid(2, 9)), need(0n)]).toEqual([zxid(1, 3), undefined, undefined, undefined])
    const ids = (...history: bigint[]) => joined(transactions(...history), committed).map((found) => show(found.zxid)).join(' ')
    expect(ids(zxid(1, 1), zxid(1, 2))).toBe('1:1 1:2 1:3 1:4 1:5 2:1 2:2')
    expect(ids(zxid(1, 1), zxid(1, 2), zxid(1, 3), zxid(1, 4))).toBe('1:1 1:2 1:3 1:4 1:5 2:1 2:2')
    // Memory has moved on meanwhile.
    expect(ids(zxid(1, 1))).toBe('1:3 1:4 1:5 2:1 2:2')
    expect(ids(zxid(1, 1), zxid(2, 7))).toBe('1:3 1:4 1:5 2:1 2:2')
    expect(joined(undefined, committed)).toBe(committed)
  })
  test('forceSnapshotSync leaves no choice', () => expect(plan(zxid(2, 2), { forceSnapshot: true })).toBe('snap 2:2'))
})

describe('a learner promises and acknowledges nothing before it is durable', () => {
  const facts = { serverId: 1, role: 'follower', acceptedEpoch: 4, currentEpoch: 4, lastZxid: zxid(4, 2), configVersion: 0n } as const
  const version = Buffer.from([0, 1, 0, 0])
  const started = (role: 'follower' | 'observer' = 'follower'): Learner => {
    const learner = new Learner({ ...facts, role })
    learner.step({ kind: 'connected' })
    return learner
  }
  const say = (learner: Learner, type: number, id: bigint, data: Buffer | null = null) => learner.step({ kind: 'packet', packet: packetOf(type, id, data) })
  test('a new epoch is written before ACKEPOCH', () => {
    expect(say(started(), packetType.leaderInfo, zxid(5, 0), version)).toMatchObject([{ kind: 'persist', acceptedEpoch: 5, afterwards: [{ type: packetType.ackEpoch }] }])
  })
  test('an epoch that was promised already is answered with −1 and counts for no quorum', () => {
    const [output] = say(started(), packetType.leaderInfo, zxid(4, 0), version)
    expect(output).toMatchObject({ kind: 'send', packet: { type: packetType.ackEpoch, data: Buffer.from([255, 255, 255, 255]) } })
  })
  test('an older epoch than promised is refused', () => {
    expect(say(started(), packetType.leaderInfo, zxid(3, 0), version)).toMatchObject([{ kind: 'abort' }])
  })
  test('log and current epoch are durable before NEWLEADER is acknowledged, and transactions are acknowledged after UPTODATE', () => {
    const learner = started()
    say(learner, packetType.leaderInfo, zxid(5, 0), version)
    say(learner, packetType.diff, zxid(4, 3))
    expect(say(learner, packetType.proposal, zxid(4, 3), Buffer.from('t'))).toMatchObject([{ kind: 'append' }])
    expect(learner.step({ kind: 'logged', zxid: zxid(4, 3) })).toEqual([])
    expect(say(learner, packetType.commit, zxid(4, 3))).toMatchObject([{ kind: 'commit' }])
    expect(say(learner, packetType.newLeader, zxid(5, 0))).toMatchObject([{ kind: 'persist', log: true, currentEpoch: 5, afterwards: [{ type: packetType.ack, zxid: zxid(5, 0) }] }])
    expect(say(learner, packetType.upToDate, -1n)).toMatchObject([{ packet: { zxid: zxid(5, 0) } }, { packet: { zxid: zxid(4, 3) } }, { kind: 'serve' }])
    expect(say(learner, packetType.proposal, zxid(5, 1), Buffer.from('t'))).toMatchObject([{ kind: 'append' }])
    expect(learner.step({ kind: 'logged', zxid: zxid(5, 1) })).toMatchObject([{ kind: 'send', packet: { type: packetType.ack, zxid: zxid(5, 1) } }])
  })
  test('a gap between proposals, and a commit of something else, end the connection', () => {
    const learner = started()
    say(learner, packetType.leaderInfo, zxid(5, 0), version)
    say(learner, packetType.diff, zxid(4, 4))
    expect(say(learner, packetType.proposal, zxid(4, 4), Buffer.from('t'))).toMatchObject([{ kind: 'abort' }])
  })
  test('an observer never acknowledges a transaction', () => {
    const learner = started('observer')
    say(learner, packetType.leaderInfo, zxid(5, 0), version)
    say(learner, packetType.diff, zxid(4, 2))
    say(learner, packetType.newLeader, zxid(5, 0))
    say(learner, packetType.upToDate, -1n)
    expect(say(learner, packetType.inform, zxid(5, 1), Buffer.from('t'))).toMatchObject([{ kind: 'append' }, { kind: 'commit' }])
    expect(learner.step({ kind: 'logged', zxid: zxid(5, 1) })).toEqual([])
  })
})

describe('a leader', () => {
  const facts: LeaderFacts = {
    serverId: 3, acceptedEpoch: 4, currentEpoch: 4, lastZxid: zxid(4, 2), config: ensembleOf(1, 2, 3), committed: () => [], lastProcessed: () => zxid(4, 2),
    tickMs: 100, initLimit: 5, syncLimit: 2, now: 0,
  }
  const info = (serverId: number, epoch: number, configVersion = 0n) => packetOf(packetType.followerInfo, BigInt(epoch) << 32n, LearnerInfo.encode({ serverid: BigInt(serverId), protocolVersion: 0x10000, configVersion }))
  const epoch = (current: number, last: bigint) => {
    const data = Buffer.alloc(4)
    data.writeInt32BE(current)
    return packetOf(packetType.ackEpoch, last, data)
  }
  const hear = (leader: Leader, from: number, packet: ReturnType<typeof packetOf>, now = 0) => leader.step({ kind: 'packet', from, packet, now })
  const established = (): Leader => {
    const leader = new Leader(facts)
    hear(leader, 1, info(1, 4))
    leader.step({ kind: 'persisted', name: 'acceptedEpoch' })
    hear(leader, 1, epoch(4, zxid(4, 2)))
    leader.step({ kind: 'persisted', name: 'currentEpoch' })
    hear(leader, 1, packetOf(packetType.ack, zxid(5, 0)))
    expect(leader.isEstablished).toBe(true)
    return leader
  }
  test('chooses an epoch above all that a quorum has promised, and writes it before it says so', () => {
    const leader = new Leader(facts)
    expect(leader.begin()).toEqual([])
    expect(hear(leader, 1, info(1, 7))).toEqual([{ kind: 'persist', name: 'acceptedEpoch', epoch: 8 }])
    expect(leader.step({ kind: 'persisted', name: 'acceptedEpoch' })).toMatchObject([{ kind: 'send', packet: { type: packetType.leaderInfo, zxid: zxid(8, 0) } }])
  })
  test('lets no stranger use up the epochs, and no other server have its own number', () => {
    const leader = new Leader(facts)
    hear(leader, 2, info(9, 0x7fff_fff0))
    expect(hear(leader, 1, info(1, 4))).toEqual([{ kind: 'persist', name: 'acceptedEpoch', epoch: 5 }])
    expect(hear(leader, 4, info(3, 4))).toMatchObject([{ kind: 'close' }])
  })
  test('yields to a follower with a later history', () => {
    const leader = new Leader(facts)
    hear(leader, 1, info(1, 4))
    leader.step({ kind: 'persisted', name: 'acceptedEpoch' })
    expect(hear(leader, 1, epoch(4, zxid(4, 3)))).toMatchObject([{ kind: 'abdicate' }])
  })
  test('commits in order, only what a quorum of voters has logged', () => {
    const leader = established()
    const [first, second] = transactions(zxid(5, 1), zxid(5, 2))
    leader.step({ kind: 'propose', transaction: first, now: 0 })
    leader.step({ kind: 'propose', transaction: second, now: 0 })
    expect(hear(leader, 1, packetOf(packetType.ack, second.zxid))).toEqual([])
    expect(leader.step({ kind: 'logged', zxid: second.zxid })).toEqual([])
    expect(hear(leader, 1, packetOf(packetType.ack, first.zxid)).filter(({ kind }) => kind === 'commit')).toEqual([{ kind: 'commit', zxid: first.zxid }, { kind: 'commit', zxid: second.zxid }])
  })
  /** Found by a seed: it was cut off the follower's log and sent again, and meanwhile the leader committed it by the older acknowledgement. */
  test('a follower that comes again acknowledges again what is not committed, and only on its new connection', () => {
    const leader = established()
    const [first] = transactions(zxid(5, 1))
    leader.step({ kind: 'propose', transaction: first, now: 0 })
    hear(leader, 1, packetOf(packetType.ack, first.zxid))
    hear(leader, 2, info(1, 5))
    // The older connection is silent.
    for (let half = 0; half < 3; half++) leader.step({ kind: 'ticked', now: 0 })
    expect(hear(leader, 2, epoch(5, first.zxid))).toMatchObject([
      { kind: 'close', learner: 1 }, { kind: 'send', to: [2], packet: { type: packetType.trunc, zxid: zxid(4, 2) } }, { kind: 'send', to: [2], packet: { type: packetType.proposal, zxid: first.zxid } },
      { kind: 'send', to: [2], packet: { type: packetType.newLeader } },
    ])
    expect(leader.step({ kind: 'logged', zxid: first.zxid })).toEqual([])
    hear(leader, 2, packetOf(packetType.ack, zxid(5, 0)))
    expect(hear(leader, 2, packetOf(packetType.ack, first.zxid)).filter(({ kind }) => kind === 'commit')).toEqual([{ kind: 'commit', zxid: first.zxid }])
  })
  describe('that is told that a server comes which is here already', () => {
    const answered = (outputs: readonly LeaderOutput[], to: number) => outputs.some((output) => output.kind === 'send' && output.to.includes(to) && output.packet.type === packetType.leaderInfo)
    test('keeps the connection that answers, and sends the other one away', () => {
      const leader = established()
      expect(hear(leader, 2, info(1, 5))).toEqual([{ kind: 'double', learner: 2, serverId: 1 }])
      const outputs: LeaderOutput[] = []
      for (let half = 0; half < 4; half++) {
        outputs.push(...leader.step({ kind: 'ticked', now: 0 }))
        hear(leader, 1, packetOf(packetType.ping, zxid(5, 0)))
      }
      expect(outputs.filter(({ kind }) => kind === 'close')).toEqual([{ kind: 'close', learner: 2, reason: expect.stringMatching(/^server 1 is connected already, and answers there/) }])
      expect(answered(outputs, 2)).toBe(false)
      const [first] = transactions(zxid(5, 1))
      leader.step({ kind: 'propose', transaction: first, now: 0 })
      leader.step({ kind: 'logged', zxid: first.zxid })
      expect(hear(leader, 1, packetOf(packetType.ack, first.zxid)).filter(({ kind }) => kind === 'commit')).toEqual([{ kind: 'commit', zxid: first.zxid }])
    })
    test('takes it at once when the older connection ends', () => {
      const leader = established()
      hear(leader, 2, info(1, 5))
      expect(answered(leader.step({ kind: 'disconnected', from: 1 }), 2)).toBe(true)
    })
    test('takes it after a tick in which the older connection is silent, and not before', () => {
      const leader = established()
      hear(leader, 2, info(1, 5))
      // On its way when the other one came: no answer to anything since.
      hear(leader, 1, packetOf(packetType.ping, zxid(5, 0)))
      expect(answered(leader.step({ kind: 'ticked', now: 0 }), 2)).toBe(false)
      expect(answered(leader.step({ kind: 'ticked', now: 0 }), 2)).toBe(false)
      const last = leader.step({ kind: 'ticked', now: 0 })
      expect(answered(last, 2)).toBe(true)
      expect(last.filter(({ kind }) => kind === 'close')).toEqual([])
    })
    test('hears nothing from it before that', () => {
      const leader = established()
      hear(leader, 2, info(1, 5))
      expect(hear(leader, 2, packetOf(packetType.ack, zxid(5, 1)))).toMatchObject([{ kind: 'close', learner: 2 }])
      expect(leader.learners()).toMatchObject([{ key: 1, isSynced: true }])
    })
  })
  test('does not count who is no voter', () => {
    const leader = established()
    hear(leader, 2, info(9, 5))
    hear(leader, 2, epoch(-1, zxid(4, 2)))
    hear(leader, 2, packetOf(packetType.ack, zxid(5, 0)))
    const [first] = transactions(zxid(5, 1))
    leader.step({ kind: 'propose', transaction: first, now: 0 })
    leader.step({ kind: 'logged', zxid: first.zxid })
    expect(hear(leader, 2, packetOf(packetType.ack, first.zxid))).toEqual([])
  })
  test('answers a sync behind the commits that it waits for', () => {
    const leader = established()
    expect(leader.sync(1)).toMatchObject([{ packet: { type: packetType.sync } }])
    const [first] = transactions(zxid(5, 1))
    leader.step({ kind: 'propose', transaction: first, now: 0 })
    expect(leader.sync(1)).toEqual([])
    leader.step({ kind: 'logged', zxid: first.zxid })
    const types = hear(leader, 1, packetOf(packetType.ack, first.zxid)).map((output) => (output.kind === 'send' ? output.packet.type : output.kind))
    expect(types).toEqual([packetType.commit, 'commit', packetType.sync])
  })
  test('abdicates when it has not heard of a quorum for syncLimit ticks', () => {
    const leader = established()
    const kinds: string[] = []
    for (let half = 0; half < 12; half++) kinds.push(...leader.step({ kind: 'ticked', now: half * 50 }).map(({ kind }) => kind))
    expect(kinds).toContain('abdicate')
  })
  test('sends a learner that joins in the middle everything that is outstanding, before NEWLEADER', () => {
    const leader = established()
    const [first] = transactions(zxid(5, 1))
    leader.step({ kind: 'propose', transaction: first, now: 0 })
    hear(leader, 2, info(2, 4))
    const sent = hear(leader, 2, epoch(4, zxid(4, 2))).map((output) => (output.kind === 'send' ? output.packet.type : output.kind))
    expect(sent).toEqual([packetType.diff, packetType.proposal, packetType.newLeader])
  })
  test('refuses a learner that knows a later configuration, and strangers', () => {
    const leader = established()
    expect(hear(leader, 2, info(2, 4, 9n))).toMatchObject([{ kind: 'close' }])
    expect(hear(leader, 3, packetOf(packetType.request, -1n))).toMatchObject([{ kind: 'close' }])
  })
})

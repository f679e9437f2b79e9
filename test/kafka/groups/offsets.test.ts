/** The laws of committed offsets: who may commit, what counts when, how long it is kept (KIP-211), how it is removed. */
import { expect, test } from 'vitest'
import { GroupBench, subscription } from './group-bench.ts'

const none = 0
const [metadataTooLarge, coordinatorNotAvailable, notCoordinator, illegalGeneration, unknownMember, rebalanceInProgress] = [12, 15, 16, 22, 25, 27]
const [commitTooLarge, nonEmptyGroup, subscribed, unstable] = [28, 68, 86, 88]
const nobody = { memberId: '', generation: -1 }
const day = 24 * 60 * 60_000

// ---- committing

test('an offset counts once it is on record, and is never lost with the coordinator', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  bench.holdsLog = true
  const commit = bench.commit(a, { 't-0': 5, 't-1': 6 })
  expect([commit.answer, bench.committed('t-0')]).toEqual([undefined, -1])
  bench.release()
  expect(commit.answer?.errorCodes).toEqual([none, none])
  bench.reload()
  expect([bench.committed('t-0'), bench.committed('t-1'), bench.committed('t-2')]).toEqual([5, 6, -1])
})

test.each([
  ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 20, coordinatorNotAvailable], ['NOT_LEADER_OR_FOLLOWER', 6, notCoordinator],
  ['MESSAGE_TOO_LARGE', 10, commitTooLarge], ['REQUEST_TIMED_OUT', 7, 7],
])('an append that fails (%s, %i) is answered %i and leaves no trace', (_, stored, told) => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.logError = stored
  expect(bench.commit(nobody, { 't-0': 2 }).answer?.errorCodes).toEqual([told])
  expect([bench.committed('t-0'), bench.committed('t-0', true)]).toEqual([1, 1])
})

test('the commit that is later in the log wins, whichever is acknowledged first', () => {
  const bench = new GroupBench()
  bench.group.replay({ kind: 'offset', commit: { topic: 't', partition: 0, offset: 9, leaderEpoch: -1, metadata: '', commitTimestamp: 0, expireTimestamp: undefined } }, 20)
  bench.group.replay({ kind: 'offset', commit: { topic: 't', partition: 0, offset: 3, leaderEpoch: -1, metadata: '', commitTimestamp: 0, expireTimestamp: undefined } }, 10)
  expect(bench.committed('t-0')).toBe(9)
})

test('without a generation one may commit while the group is empty, and only then', () => {
  const bench = new GroupBench()
  expect(bench.commit(nobody, { 't-0': 1 }).answer?.errorCodes).toEqual([none])
  bench.stable(null)
  expect(bench.commit(nobody, { 't-0': 2 }).answer?.errorCodes).toEqual([unknownMember])
  expect(bench.committed('t-0')).toBe(1)
})

test('members commit in their generation, also while others are joining, but not between JoinGroup and assignment', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  const code = (claim: Parameters<GroupBench['commit']>[0]) => bench.commit(claim, { 't-0': 1 }).answer?.errorCode
  expect(code(a)).toBe(none)
  expect(code({ ...a, generation: 0 })).toBe(illegalGeneration)
  expect(code({ ...a, generation: -1 })).toBe(illegalGeneration)
  expect(code({ memberId: 'stranger', generation: 1 })).toBe(unknownMember)
  bench.join({ memberId: b.memberId, protocols: { range: 'changed' } })
  expect(code(a)).toBe(none)
  bench.join({ memberId: a.memberId })
  expect(bench.group.state).toBe('CompletingRebalance')
  expect(code({ ...a, generation: 2 })).toBe(rebalanceInProgress)
})

test('a commit is a sign of life', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  for (let waited = 0; waited < 30_000; waited += 9_000) {
    bench.pass(9_000)
    bench.commit(a, { 't-0': waited })
  }
  expect(bench.heartbeat(a)).toBe(none)
})

test('metadata that is too long refuses its partition alone', () => {
  const bench = new GroupBench()
  expect(bench.commit(nobody, { 't-0': 1 }, { metadata: 'x'.repeat(21) }).answer?.errorCodes).toEqual([metadataTooLarge])
  expect(bench.log).toEqual([])
  expect(bench.commit(nobody, { 't-0': 1 }, { metadata: 'x'.repeat(20) }).answer?.errorCodes).toEqual([none])
})

test('whoever requires stable offsets is told of commits under way (KIP-447)', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.holdsLog = true
  bench.commit(nobody, { 't-0': 2 })
  expect([bench.committed('t-0'), bench.committed('t-0', true)]).toEqual([1, -unstable])
  bench.release()
  expect(bench.committed('t-0', true)).toBe(2)
})

test('offsets of a transaction count when it commits, never when it aborts, and are unstable until then', () => {
  const bench = new GroupBench()
  const producer = { id: 7, epoch: 0 }
  for (const [committed, expected] of [[false, -1], [true, 5]] as const) {
    expect(bench.commit(nobody, { 't-0': 5 }, {}, producer).answer?.errorCodes).toEqual([none])
    expect([bench.committed('t-0'), bench.committed('t-0', true)]).toEqual([-1, -unstable])
    bench.tell({ kind: 'transactionEnded', producerId: 7, committed })
    expect([bench.committed('t-0'), bench.committed('t-0', true)]).toEqual([expected, expected])
  }
  bench.logError = 19
  expect(bench.commit(nobody, { 't-0': 6 }, {}, producer).answer?.errorCode).toBe(coordinatorNotAvailable)
  expect(bench.committed('t-0', true)).toBe(5)
})

// ---- retention

test('offsets of a simple consumer expire after the retention, counted from their commit', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.now += day
  bench.commit(nobody, { 't-1': 1 })
  bench.now += 6 * day - 1
  bench.expire(7 * day)
  expect(bench.committed('t-0')).toBe(1)
  bench.now++
  bench.expire(7 * day)
  expect([bench.committed('t-0'), bench.committed('t-1'), bench.group.state]).toEqual([-1, 1, 'Empty'])
  expect(bench.log.at(-1)).toEqual({ kind: 'offsetRemoved', of: { topic: 't', partition: 0 } })
})

test('offsets of a group that emptied expire counted from then, however old the commit; with the last one the group goes', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  bench.commit(a, { 't-0': 1 })
  for (let waited = 0; waited < 30; waited++) {
    bench.now += day
    bench.expire(7 * day) // subscriptions of this group cannot be read: nothing expires while it has members
  }
  expect(bench.committed('t-0')).toBe(1)
  bench.leave({ memberId: a.memberId })
  bench.now += 7 * day - 1
  bench.expire(7 * day)
  expect(bench.committed('t-0')).toBe(1)
  bench.now++
  bench.expire(7 * day)
  expect(bench.group.state).toBe('Dead')
  expect(bench.log.slice(-2)).toEqual([{ kind: 'offsetRemoved', of: { topic: 't', partition: 0 } }, { kind: 'groupRemoved' }])
})

test('in a stable consumer group only offsets of topics nobody subscribes to expire', () => {
  const bench = new GroupBench({ initialRebalanceDelayMs: 0 })
  const join = bench.join({ protocols: { range: subscription('read', 'also') }, sessionTimeoutMs: 30 * day, rebalanceTimeoutMs: 60_000 })
  bench.pass(1)
  const a = { memberId: join.answer!.memberId, generation: 1 }
  bench.sync(a)
  bench.commit(a, { 'read-0': 1, 'old-0': 2 })
  bench.now += 7 * day
  bench.expire(7 * day)
  expect([bench.committed('read-0'), bench.committed('old-0')]).toEqual([1, -1])
})

test('an expiry of its own counts alone', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 }, { expireTimestamp: bench.time.wallMs + 100 })
  bench.commit(nobody, { 't-1': 1 }, { expireTimestamp: bench.time.wallMs + 90 * day })
  bench.now += 99
  bench.expire(1)
  expect(bench.committed('t-0')).toBe(1)
  bench.now++
  bench.expire(1)
  expect([bench.committed('t-0'), bench.committed('t-1')]).toEqual([-1, 1])
})

test('an offset that is being committed does not expire, and one that cannot be removed stays', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.now += 7 * day
  bench.holdsLog = true
  bench.commit(nobody, { 't-0': 2 })
  bench.expire(7 * day)
  bench.release()
  expect([bench.held, bench.committed('t-0')]).toEqual([[], 2])
  bench.now += 7 * day
  bench.expire(7 * day)
  bench.release(19)
  expect(bench.committed('t-0')).toBe(2)
})

// ---- removing

test('only an empty group can be deleted, and everything goes with it', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  bench.commit(a, { 't-0': 1 })
  expect(bench.delete().answer?.errorCode).toBe(nonEmptyGroup)
  bench.leave({ memberId: a.memberId })
  expect(bench.delete().answer?.errorCode).toBe(none)
  expect(bench.group.state).toBe('Dead')
  bench.reload()
  expect([bench.group.isVoid, bench.committed('t-0')]).toEqual([true, -1])
})

test('a group whose deletion cannot be stored is still there', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.logError = 6
  expect(bench.delete().answer?.errorCode).toBe(notCoordinator)
  expect([bench.group.state, bench.committed('t-0')]).toEqual(['Empty', 1])
})

test('a commit behind the tombstones of a deletion stays', () => {
  const bench = new GroupBench()
  bench.commit(nobody, { 't-0': 1 })
  bench.holdsLog = true
  bench.delete()
  bench.commit(nobody, { 't-0': 2 })
  bench.release()
  bench.release()
  expect(bench.committed('t-0')).toBe(2)
  bench.reload()
  expect(bench.committed('t-0')).toBe(2)
})

test('OffsetDelete spares what members read; a group of another protocol is not touched while it has members', () => {
  const bench = new GroupBench({ initialRebalanceDelayMs: 0 })
  const join = bench.join({ protocols: { range: subscription('read') } })
  bench.pass(1)
  const a = { memberId: join.answer!.memberId, generation: 1 }
  bench.sync(a)
  bench.commit(a, { 'read-0': 1, 'old-0': 2 })
  expect(bench.deleteOffsets('read-0', 'old-0', 'never-0').answer).toMatchObject({ errorCode: none, errorCodes: [subscribed, none, none] })
  expect([bench.committed('read-0'), bench.committed('old-0')]).toEqual([1, -1])

  const connect = new GroupBench({ initialRebalanceDelayMs: 0 })
  connect.join({ protocolType: 'connect' })
  connect.pass(1)
  expect(connect.deleteOffsets('t-0').answer).toMatchObject({ errorCode: nonEmptyGroup })
})

test('offsets of deleted partitions go, whoever reads them', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  bench.commit(a, { 'gone-0': 1, 'stays-0': 2 })
  bench.tell({ kind: 'partitionsDeleted', partitions: [{ topic: 'gone', partition: 0 }, { topic: 'gone', partition: 1 }], time: bench.time })
  expect([bench.committed('gone-0'), bench.committed('stays-0'), bench.group.state]).toEqual([-1, 2, 'Stable'])
})

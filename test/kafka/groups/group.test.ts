/** The laws of one classic group: KIP-62 and 134 (rebalance), 394 (ids), 345 and 814 (static members), errors as Apache gives them. */
import { expect, test } from 'vitest'
import { GroupBench } from './group-bench.ts'

const none = 0
const [coordinatorNotAvailable, notCoordinator, illegalGeneration, inconsistentProtocol, unknownMember, rebalanceInProgress] = [15, 16, 22, 23, 25, 27]
const [memberIdRequired, groupFull, fenced] = [79, 81, 82]

// ---- joining

test('the first generation waits for the initial delay, again for each newcomer, at most for the rebalance timeout', () => {
  const bench = new GroupBench()
  const first = bench.join({ rebalanceTimeoutMs: 8_000 })
  bench.pass(2_000)
  const second = bench.join({ rebalanceTimeoutMs: 8_000 })
  bench.pass(1_500) // 3,500: put off to 6,000
  expect(first.answer).toBeUndefined()
  const third = bench.join({ rebalanceTimeoutMs: 8_000 })
  bench.pass(2_600) // 6,100: put off to 8,000, the rebalance timeout
  expect(first.answer).toBeUndefined()
  bench.join({ rebalanceTimeoutMs: 8_000 })
  bench.pass(1_899)
  expect(first.answer).toBeUndefined()
  bench.pass(1)
  expect([first, second, third].map(({ answer }) => answer?.generationId)).toEqual([1, 1, 1])
})

test('the leader gets everybody with metadata, the others get nobody; all learn generation, protocol and leader', () => {
  const bench = new GroupBench()
  const a = bench.join({ protocols: { range: 'A' } })
  const b = bench.join({ protocols: { range: 'B' }, instanceId: 'i' })
  bench.pass(10_000)
  expect(a.answer).toMatchObject({ errorCode: none, generationId: 1, protocolType: 'consumer', protocolName: 'range', leader: 'c-u1', memberId: 'c-u1', skipAssignment: false })
  expect(a.answer!.members.map(({ memberId, groupInstanceId, metadata }) => [memberId, groupInstanceId, String(metadata)])).toEqual([['c-u1', null, 'A'], ['i-u2', 'i', 'B']])
  expect(b.answer).toMatchObject({ errorCode: none, generationId: 1, leader: 'c-u1', memberId: 'i-u2', members: [] })
})

test('a dynamic member of version 4 has to come back with the id it is given (KIP-394)', () => {
  const bench = new GroupBench({ initialRebalanceDelayMs: 0 })
  const asked = bench.join({ memberIdRequired: true })
  expect(asked.answer).toMatchObject({ errorCode: memberIdRequired, memberId: 'c-u1', generationId: -1 })
  const joined = bench.join({ memberIdRequired: true, memberId: 'c-u1' })
  bench.pass(1)
  expect(joined.answer).toMatchObject({ errorCode: none, memberId: 'c-u1', generationId: 1 })
})

test('an id that is handed out and not used is forgotten after the session timeout, and holds up the rebalance until then', () => {
  const bench = new GroupBench({ initialRebalanceDelayMs: 0 })
  const [a] = bench.stable(null)
  bench.join({ memberIdRequired: true, sessionTimeoutMs: 7_000 })
  const again = bench.join({ memberId: a.memberId, protocols: { range: 'new' } })
  bench.pass(6_999)
  expect(again.answer).toBeUndefined()
  bench.pass(1)
  expect(again.answer?.generationId).toBe(2)
  expect(bench.join({ memberIdRequired: true, memberId: 'c-u2' }).answer?.errorCode).toBe(unknownMember)
})

test('a member id nobody was given is unknown', () => {
  const bench = new GroupBench()
  bench.stable(null)
  expect(bench.join({ memberId: 'stranger' }).answer?.errorCode).toBe(unknownMember)
})

test('whoever shares no protocol with all others is refused: wrong type, no protocol in common, none at all', () => {
  const bench = new GroupBench()
  expect(bench.join({ protocolType: '' }).answer?.errorCode).toBe(inconsistentProtocol)
  expect(bench.join({ protocols: {} }).answer?.errorCode).toBe(inconsistentProtocol)
  bench.stable(null)
  expect(bench.join({ protocolType: 'connect' }).answer?.errorCode).toBe(inconsistentProtocol)
  expect(bench.join({ protocols: { sticky: 'x' } }).answer?.errorCode).toBe(inconsistentProtocol)
  expect(bench.group.state).toBe('Stable')
})

test('the protocol is the one most members prefer among those that all support', () => {
  const bench = new GroupBench()
  const a = bench.join({ protocols: { range: '', sticky: '' } })
  bench.join({ protocols: { sticky: '', range: '', only: '' } })
  bench.join({ protocols: { only: '', sticky: '', range: '' } })
  bench.pass(20_000)
  expect(a.answer?.protocolName).toBe('sticky')
})

test('a group is never larger than group.max.size', () => {
  const bench = new GroupBench({ sizeMax: 2 })
  const [a, b] = bench.stable(null, null)
  expect(bench.join().answer).toMatchObject({ errorCode: groupFull, memberId: '' })
  expect(bench.heartbeat(a)).toBe(none)
  expect(bench.heartbeat(b)).toBe(none)
})

test('a loaded group that is too large rebalances, and the last to join are turned away', () => {
  const bench = new GroupBench()
  const claims = bench.stable(null, null, null)
  bench.reload({ sizeMax: 2 })
  expect(bench.group.state).toBe('PreparingRebalance')
  const joins = claims.map(({ memberId }) => bench.join({ memberId }))
  expect(joins.map(({ answer }) => answer?.errorCode)).toEqual([none, none, groupFull])
  expect(bench.group.size).toBe(2)
})

test('a rebalance is complete when everybody is there again; who is not there in time is removed', () => {
  const bench = new GroupBench()
  const [a, b, c] = bench.stable(null, null, null)
  const again = bench.join({ memberId: a.memberId, protocols: { range: 'changed' } })
  expect(bench.heartbeat(b)).toBe(rebalanceInProgress)
  bench.join({ memberId: b.memberId })
  for (let waited = 0; waited < 59_000; waited += 5_000) {
    bench.heartbeat(c)
    bench.pass(Math.min(5_000, 59_000 - waited))
  }
  expect(again.answer).toBeUndefined()
  bench.pass(1_000)
  expect(again.answer).toMatchObject({ errorCode: none, generationId: 2 })
  expect(bench.heartbeat({ ...c, generation: 2 })).toBe(unknownMember)
})

test('when the leader does not join again, another member leads', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  const joined = bench.join({ memberId: b.memberId, protocols: { range: 'changed' } })
  bench.pass(10_000) // the leader's session
  expect(bench.heartbeat(a)).toBe(unknownMember)
  expect(joined.answer).toMatchObject({ generationId: 2, leader: b.memberId })
  expect(joined.answer!.members).toHaveLength(1)
})

test('in a stable group the leader joining rebalances; a follower joining unchanged is answered at once', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  expect(bench.join({ memberId: b.memberId }).answer).toMatchObject({ errorCode: none, generationId: 1, members: [], leader: a.memberId })
  expect(bench.group.state).toBe('Stable')
  expect(bench.join({ memberId: a.memberId }).answer).toBeUndefined()
  expect(bench.group.state).toBe('PreparingRebalance')
})

test('while the assignment is awaited, joining unchanged repeats the answer, joining changed rebalances', () => {
  const bench = new GroupBench()
  const [a, b] = [bench.join(), bench.join()]
  bench.pass(10_000)
  const [leader, follower] = [a.answer!, b.answer!]
  expect(bench.join({ memberId: leader.memberId }).answer?.members).toHaveLength(2)
  expect(bench.join({ memberId: follower.memberId }).answer).toMatchObject({ generationId: 1, members: [] })
  const waiting = bench.sync({ memberId: follower.memberId, generation: 1 })
  bench.join({ memberId: leader.memberId, protocols: { range: 'changed' } })
  expect(waiting.answer?.errorCode).toBe(rebalanceInProgress)
  expect(bench.group.state).toBe('PreparingRebalance')
})

test('a member that joins twice gets an answer to each request', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  const first = bench.join({ memberId: a.memberId })
  const second = bench.join({ memberId: a.memberId })
  expect(first.answer?.errorCode).toBe(rebalanceInProgress)
  bench.join({ memberId: b.memberId })
  expect(second.answer).toMatchObject({ errorCode: none, generationId: 2 })
})

test('a new member whose JoinGroup waits for five minutes is told to start anew', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  bench.join({ memberIdRequired: true, sessionTimeoutMs: 1_000_000 }) // holds the rebalance up
  const waiting = bench.join({ rebalanceTimeoutMs: 900_000 })
  for (let waited = 0; waited < 299_000; waited += 1_000) {
    bench.heartbeat(a)
    bench.pass(1_000)
  }
  expect(waiting.answer).toBeUndefined()
  bench.pass(1_000)
  expect(waiting.answer).toMatchObject({ errorCode: unknownMember, memberId: '' })
})

// ---- syncing

test('nobody gets an assignment before it is on record; members the leader forgot get an empty one', () => {
  const bench = new GroupBench()
  const joins = [bench.join(), bench.join(), bench.join()]
  bench.pass(10_000)
  const [a, b, c] = joins.map(({ answer }) => ({ memberId: answer!.memberId, generation: 1 }))
  const early = bench.sync(b)
  bench.holdsLog = true
  const leader = bench.sync(a, { [a.memberId]: 'for a', [b.memberId]: 'for b' })
  expect([leader.answer, early.answer, bench.group.state]).toEqual([undefined, undefined, 'CompletingRebalance'])
  bench.release()
  expect(bench.group.state).toBe('Stable')
  expect([leader, early, bench.sync(c)].map(({ answer }) => String(answer?.assignment))).toEqual(['for a', 'for b', ''])
  expect(early.answer).toMatchObject({ protocolType: 'consumer', protocolName: 'range' })
})

test('a leader that syncs again while its assignment is being written does not change it', () => {
  const bench = new GroupBench()
  const join = bench.join()
  bench.pass(10_000)
  const a = { memberId: join.answer!.memberId, generation: 1 }
  bench.holdsLog = true
  const first = bench.sync(a, { [a.memberId]: 'one' })
  const second = bench.sync(a, { [a.memberId]: 'two' })
  expect(first.answer?.errorCode).toBe(rebalanceInProgress)
  expect(bench.held).toHaveLength(1)
  bench.release()
  expect(String(second.answer?.assignment)).toBe('one')
})

test.each([
  ['NOT_ENOUGH_REPLICAS', 19, 15], ['UNKNOWN_TOPIC_OR_PARTITION', 3, 15], ['NOT_LEADER_OR_FOLLOWER', 6, 16], ['KAFKA_STORAGE_ERROR', 56, 16],
  ['REQUEST_TIMED_OUT', 7, 27], ['MESSAGE_TOO_LARGE', 10, -1],
])('an assignment that is not stored (%s) is nobody\'s: everybody is told %i → %i and joins again', (_, stored, told) => {
  const bench = new GroupBench()
  const joins = [bench.join(), bench.join()]
  bench.pass(10_000)
  const [a, b] = joins.map(({ answer }) => ({ memberId: answer!.memberId, generation: 1 }))
  const follower = bench.sync(b)
  bench.logError = stored
  const leader = bench.sync(a, { [a.memberId]: 'x' })
  expect([leader.answer?.errorCode, follower.answer?.errorCode]).toEqual([told, told])
  expect(leader.answer?.assignment).toHaveLength(0)
  expect(bench.group.state).toBe('PreparingRebalance')
  expect(bench.log).toEqual([])
})

test('SyncGroup refuses the wrong generation, protocol and member, and sends members of a new rebalance back to joining', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  const code = (...args: Parameters<GroupBench['sync']>) => bench.sync(...args).answer?.errorCode
  expect(code({ ...a, generation: 7 })).toBe(illegalGeneration)
  expect(code({ memberId: 'stranger', generation: 1 })).toBe(unknownMember)
  expect(code(a, {}, { protocolType: 'connect' })).toBe(inconsistentProtocol)
  expect(code(a, {}, { protocolName: 'sticky' })).toBe(inconsistentProtocol)
  expect(code(b, {}, { protocolType: 'consumer', protocolName: 'range' })).toBe(none)
  bench.leave({ memberId: b.memberId })
  expect(code(a)).toBe(rebalanceInProgress)
})

test('members that do not sync within the rebalance timeout are removed, though they send heartbeats', () => {
  const bench = new GroupBench()
  const joins = [bench.join({ rebalanceTimeoutMs: 20_000 }), bench.join({ rebalanceTimeoutMs: 20_000 })]
  bench.pass(6_000)
  const [a, b] = joins.map(({ answer }) => ({ memberId: answer!.memberId, generation: 1 }))
  bench.sync(a, {})
  expect(bench.group.state).toBe('Stable')
  for (let waited = 0; waited < 20_000; waited += 2_000) {
    bench.heartbeat(a)
    bench.heartbeat(b)
    bench.pass(2_000)
  }
  expect(bench.heartbeat(b)).toBe(unknownMember)
  expect(bench.heartbeat(a)).toBe(rebalanceInProgress)
})

// ---- staying and leaving

test('a member that is silent for its session timeout is removed and the others rebalance; heartbeats keep it', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  for (let beat = 0; beat < 3; beat++) {
    bench.pass(9_000)
    expect(bench.heartbeat(a)).toBe(beat < 1 ? none : rebalanceInProgress)
  }
  expect(bench.heartbeat(b)).toBe(unknownMember)
})

test('a member that waits for an answer is not silent', () => {
  const bench = new GroupBench()
  const joins = [bench.join({ sessionTimeoutMs: 6_000 }), bench.join({ sessionTimeoutMs: 6_000 })]
  bench.pass(6_000)
  const [, b] = joins.map(({ answer }) => ({ memberId: answer!.memberId, generation: 1 }))
  const waiting = bench.sync(b)
  bench.pass(5_999)
  expect(waiting.answer).toBeUndefined()
  bench.pass(1) // the leader is silent, the follower is not: it waits
  expect(waiting.answer?.errorCode).toBe(rebalanceInProgress)
  expect(bench.group.size).toBe(1)
})

test('heartbeats tell a member where it stands', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, null)
  expect(bench.heartbeat(a)).toBe(none)
  expect(bench.heartbeat({ ...a, generation: 0 })).toBe(illegalGeneration)
  expect(bench.heartbeat({ memberId: 'x', generation: 1 })).toBe(unknownMember)
  bench.leave({ memberId: b.memberId })
  expect(bench.heartbeat(a)).toBe(rebalanceInProgress)
  bench.join({ memberId: a.memberId })
  expect(bench.heartbeat({ ...a, generation: 2 })).toBe(none) // its assignment is not there yet
  bench.leave({ memberId: a.memberId })
  expect(bench.heartbeat({ ...a, generation: 3 })).toBe(unknownMember)
})

test('the last member leaving empties the group: a new generation, on record without members', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null)
  expect(bench.leave({ memberId: a.memberId })).toMatchObject({ errorCode: none, errorCodes: [none] })
  expect([bench.group.state, bench.group.generation]).toEqual(['Empty', 2])
  expect(bench.log.at(-1)).toMatchObject({ kind: 'group', value: { protocolType: 'consumer', generation: 2, protocol: null, leader: null, members: [] } })
})

test('leaving answers each member by itself, and takes back an id that was only handed out', () => {
  const bench = new GroupBench()
  bench.stable('i', null)
  bench.join({ memberIdRequired: true })
  const left = bench.leave({ memberId: 'c-u3' }, { memberId: 'stranger' }, { memberId: 'c-u2', instanceId: 'i' }, { instanceId: 'unknown' }, {}, { instanceId: 'i' })
  expect(left?.errorCodes).toEqual([none, unknownMember, fenced, unknownMember, unknownMember, none])
})

test('a waiting JoinGroup of a member that is removed is answered', () => {
  const bench = new GroupBench()
  const [a] = bench.stable('i', null)
  const waiting = bench.join({ memberId: a.memberId, instanceId: 'i', protocols: { range: 'changed' } })
  bench.leave({ instanceId: 'i' })
  expect(waiting.answer?.errorCode).toBe(unknownMember)
})

// ---- static members

test('a static member that comes back in a stable group gets a new id and its old place, without a rebalance; the id is on record', () => {
  const bench = new GroupBench()
  const [leader, b] = bench.stable(null, 'i')
  const back = bench.join({ instanceId: 'i', clientId: 'other' })
  expect(back.answer).toMatchObject({ errorCode: none, generationId: 1, memberId: 'i-u3', leader: leader.memberId, members: [], skipAssignment: false })
  expect(bench.group.state).toBe('Stable')
  expect(String(bench.sync({ memberId: 'i-u3', generation: 1, instanceId: 'i' }).answer?.assignment)).toBe('share 1')
  expect(bench.heartbeat(b)).toBe(fenced)
  bench.reload()
  expect(bench.heartbeat({ memberId: 'i-u3', generation: 1, instanceId: 'i' })).toBe(none)
  expect(bench.heartbeat(b)).toBe(fenced)
})

test('a static leader that comes back is told to keep its assignment (KIP-814), or before version 9 not to take itself for the leader', () => {
  const bench = new GroupBench()
  const [leader] = bench.stable('i', null)
  const back = bench.join({ instanceId: 'i' }).answer
  expect(back).toMatchObject({ leader: 'i-u3', memberId: 'i-u3', skipAssignment: true })
  expect(back?.members).toHaveLength(2)
  const old = bench.join({ instanceId: 'i', canSkipAssignment: false }).answer
  expect(old).toMatchObject({ leader: 'i-u3', memberId: 'i-u4', skipAssignment: false, members: [] })
  expect(leader.memberId).not.toBe('i-u3')
})

test('a static member that comes back with protocols that change the choice rebalances the group', () => {
  const bench = new GroupBench()
  bench.join({ protocols: { range: '', sticky: '' } })
  const i = bench.join({ instanceId: 'i', protocols: { range: '', sticky: '' } })
  bench.pass(10_000)
  bench.sync({ memberId: 'c-u1', generation: 1 }, {})
  bench.sync({ memberId: i.answer!.memberId, generation: 1, instanceId: 'i' })
  expect(bench.group.state).toBe('Stable')
  expect(bench.join({ instanceId: 'i', protocols: { sticky: '' } }).answer).toBeUndefined()
  expect(bench.group.state).toBe('PreparingRebalance')
})

test('a static member that comes back while the assignment is awaited rebalances the group: the leader may be assigning to the old id', () => {
  const bench = new GroupBench()
  const joins = [bench.join(), bench.join({ instanceId: 'i' })]
  bench.pass(10_000)
  const waiting = bench.sync({ memberId: joins[1].answer!.memberId, generation: 1, instanceId: 'i' })
  bench.join({ instanceId: 'i' })
  expect(waiting.answer?.errorCode).toBe(fenced)
  expect(bench.group.state).toBe('PreparingRebalance')
})

test('the waiting request of a static member that is replaced is fenced, and so is everything it asks later', () => {
  const bench = new GroupBench()
  const [, b] = bench.stable(null, 'i')
  const waiting = bench.join({ memberId: b.memberId, instanceId: 'i', protocols: { range: 'changed' } })
  const replacing = bench.join({ instanceId: 'i' })
  expect(waiting.answer).toMatchObject({ errorCode: fenced, memberId: b.memberId })
  expect(replacing.answer).toBeUndefined()
  expect(bench.heartbeat(b)).toBe(fenced)
  expect(bench.join({ memberId: b.memberId, instanceId: 'i' }).answer?.errorCode).toBe(fenced)
  expect(bench.sync(b).answer?.errorCode).toBe(fenced)
  expect(bench.commit(b, { 't-0': 1 }).answer?.errorCodes).toEqual([fenced])
  expect(bench.heartbeat({ memberId: b.memberId, generation: 1, instanceId: 'nobody' })).toBe(unknownMember)
})

test('a new id that cannot be stored is taken back: the old one stays valid', () => {
  const bench = new GroupBench()
  const [, b] = bench.stable(null, 'i')
  bench.holdsLog = true
  const first = bench.join({ instanceId: 'i', clientId: 'x', protocols: { range: 'other' } })
  const second = bench.join({ instanceId: 'i', clientId: 'y' })
  expect(first.answer?.errorCode).toBe(fenced)
  bench.release(19)
  bench.release(19)
  expect(second.answer).toMatchObject({ errorCode: coordinatorNotAvailable, memberId: '' })
  expect(bench.heartbeat(b)).toBe(none)
  expect(bench.group.describe().members[1]).toMatchObject({ memberId: b.memberId, clientId: 'c', memberMetadata: Buffer.from('topics') })
})

test('static members that are away at a rebalance keep their place until their sessions end', () => {
  const bench = new GroupBench()
  const claims = bench.stable('i', 'j')
  bench.leave({ instanceId: 'j' }) // rebalance, with i away
  expect(bench.group.state).toBe('PreparingRebalance')
  bench.pass(9_000)
  expect(bench.heartbeat(claims[0])).toBe(rebalanceInProgress)
  bench.pass(9_999)
  expect(bench.group.size).toBe(1)
  bench.pass(1)
  expect([bench.group.size, bench.group.state]).toEqual([0, 'Empty'])
})

test('static members alone do not end a rebalance that none of them has joined', () => {
  const bench = new GroupBench()
  const [i] = bench.stable('i', 'j')
  bench.leave({ instanceId: 'j' })
  for (let waited = 0; waited < 200_000; waited += 5_000) {
    expect(bench.heartbeat(i)).toBe(rebalanceInProgress)
    bench.pass(5_000)
  }
  expect(bench.group.generation).toBe(1)
  expect(bench.join({ memberId: i.memberId, instanceId: 'i' }).answer).toMatchObject({ errorCode: none, generationId: 2 })
})

// ---- the coordinator

test('unloading answers everything that waits; what was being appended changes nothing any more', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null, null)
  bench.holdsLog = true
  const commit = bench.commit(a, { 't-0': 5 })
  const join = bench.join({ memberId: a.memberId })
  const held = bench.held
  bench.reload()
  expect(join.answer).toMatchObject({ errorCode: notCoordinator, memberId: a.memberId })
  expect(commit.answer?.errorCode).toBe(notCoordinator)
  expect(held).toHaveLength(1)
  expect(bench.group.state).toBe('Stable')
  expect(bench.heartbeat(a)).toBe(none)
})

test('a loaded group is what it was: members, assignments, offsets; sessions begin anew', () => {
  const bench = new GroupBench()
  const [a, b] = bench.stable(null, 'i')
  bench.commit(a, { 't-0': 7 })
  const before = bench.group.describe()
  bench.pass(9_000)
  bench.reload()
  expect(bench.group.describe()).toEqual(before)
  expect(bench.committed('t-0')).toBe(7)
  bench.pass(9_999)
  expect([bench.heartbeat(a), bench.heartbeat(b)]).toEqual([none, none])
})

test('the group shows metadata and assignments only while they are settled', () => {
  const bench = new GroupBench()
  const [a] = bench.stable(null, null)
  expect(bench.group.describe()).toMatchObject({ state: 'Stable', protocol: 'range', protocolType: 'consumer' })
  expect(String(bench.group.describe().members[0].memberAssignment)).toBe('share 0')
  bench.join({ memberId: a.memberId })
  expect(bench.group.describe()).toMatchObject({ state: 'PreparingRebalance', protocol: '', protocolType: 'consumer' })
  expect(bench.group.describe().members[0].memberMetadata).toHaveLength(0)
})

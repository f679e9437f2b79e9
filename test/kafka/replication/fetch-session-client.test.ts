import { expect, test } from 'vitest'
import { FetchSessionClient, wishKeys, type SessionWish } from '../../../src/kafka/replication/fetch-session-client.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { uuidZero } from '../../../src/wire/schema.ts'

const id = 'AAAAAAAAAAAAAAAAAAAAAQ'
const wish = (partition: number, fetchOffset = 0, { topicId = id, leaderEpoch = 1 } = {}): SessionWish => ({
  topic: 't', topicId, partition, currentLeaderEpoch: leaderEpoch, fetchOffset, lastFetchedEpoch: 0, logStartOffset: 0, keys: wishKeys('t', topicId, partition),
})
const offsets = (wishes: readonly SessionWish[]) => wishes.map(({ partition, fetchOffset }) => [partition, fetchOffset])
const ok = { errorCode: 0, sessionId: 9 }

test('all is said once; then what is new or has changed, and what is not wanted any more', () => {
  const client = new FetchSessionClient()
  const [a, b, c] = [wish(0), wish(1), wish(2)]
  expect(client.begin([a, b, c])).toMatchObject({ sessionId: 0, sessionEpoch: 0, byId: true, changed: [a, b, c], forgotten: [] })
  expect(client.answered(ok)).toBe(true)
  expect(client.begin([a, b, c])).toMatchObject({ sessionId: 9, sessionEpoch: 1, changed: [], forgotten: [] })
  client.answered(ok)
  // Another object that says the same is no change; it is the one that answers are for from now on.
  const again = wish(0)
  const moved = wish(1, 5)
  const next = client.begin([again, moved, wish(3)])
  expect(next.sessionEpoch).toBe(2)
  expect(offsets(next.changed)).toEqual([[1, 5], [3, 0]])
  expect(next.forgotten).toEqual([c])
  expect(client.wishOf({ topic: '', topicId: id }, 0)).toBe(again)
  expect(client.wishOf({ topic: '', topicId: id }, 1)).toBe(moved)
  expect(client.wishOf({ topic: '', topicId: id }, 2)).toBeUndefined()
  client.answered(ok)
  expect(offsets(client.begin([wish(0, 0, { leaderEpoch: 2 }), moved, wish(3)]).changed)).toEqual([[0, 0]])
})
test.each([
  ['a lost answer', (client: FetchSessionClient) => client.reset()],
  ['a session the leader has forgotten', (client: FetchSessionClient) => void client.answered({ errorCode: errors.fetchSessionIdNotFound.code, sessionId: 0 })],
  ['an epoch the leader did not expect', (client: FetchSessionClient) => void client.answered({ errorCode: errors.invalidFetchSessionEpoch.code, sessionId: 0 })],
])('after %s everything is said again', (_, happens) => {
  const client = new FetchSessionClient()
  const [a, b] = [wish(0), wish(1)]
  client.begin([a, b])
  client.answered(ok)
  client.begin([a])
  happens(client)
  expect(client.begin([a, b])).toMatchObject({ sessionEpoch: 0, changed: [a, b], forgotten: [] })
})
test('one topic without an id, and all are named by their names', () => {
  const client = new FetchSessionClient()
  const [a, b] = [wish(0), wish(1, 0, { topicId: uuidZero })]
  client.begin([a])
  client.answered(ok)
  expect(client.begin([a, b])).toMatchObject({ sessionEpoch: 0, byId: false, changed: [a, b], forgotten: [] })
  expect(client.wishOf({ topic: 't', topicId: uuidZero }, 0)).toBe(a)
})
test('a request that stands for itself names everything each time', () => {
  const client = new FetchSessionClient({ isSingle: true })
  const a = wish(0)
  expect(client.begin([a])).toMatchObject({ sessionEpoch: -1, changed: [a] })
  client.answered({ errorCode: 0, sessionId: 0 })
  expect(client.begin([a])).toMatchObject({ sessionEpoch: -1, changed: [a], forgotten: [] })
})

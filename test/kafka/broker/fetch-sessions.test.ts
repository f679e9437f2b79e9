import { beforeEach, describe, expect, test } from 'vitest'
import { FetchSessions, type FetchNews, type FetchSessionRequest, type FetchTarget } from '../../../src/kafka/broker/fetch-sessions.ts'
import { uuidZero } from '../../../src/wire/schema.ts'

const target = (topic: string, partition: number, fetchOffset = 0): FetchTarget => ({
  topic, topicId: uuidZero, partition, currentLeaderEpoch: -1, fetchOffset, lastFetchedEpoch: -1, logStartOffset: -1, maxBytes: 1000,
})
const request = (sessionId: number, sessionEpoch: number, targets: FetchTarget[] = [], rest: Partial<FetchSessionRequest> = {}): FetchSessionRequest => ({
  sessionId, sessionEpoch, targets, forgotten: [], usesTopicIds: false, privileged: false, ...rest,
})
const news = (over: Partial<FetchNews> = {}): FetchNews => ({
  errorCode: 0, recordsSize: 0, highWatermark: 10, logStartOffset: 0, preferredReadReplica: -1, diverging: false, ...over,
})
let sessions: FetchSessions
let ids: number
beforeEach(() => {
  ids = 100
  sessions = new FetchSessions({ slots: 2, freshId: () => ids++ })
})

test('a fetch with epoch -1 is full and leaves no session', () => {
  const context = sessions.begin(request(0, -1, [target('t', 0)]), 0)
  expect(context.sessionId).toBe(0)
  expect(context.isNews(context.targets[0], news())).toBe(true)
  expect(sessions.size).toBe(0)
})

describe('an incremental fetch', () => {
  let first: ReturnType<FetchSessions['begin']>
  beforeEach(() => {
    first = sessions.begin(request(0, 0, [target('t', 0), target('t', 1)]), 0)
    for (const each of first.targets) expect(first.isNews(each, news())).toBe(true)
  })
  test('repeats all partitions of the session and tells only news', () => {
    const next = sessions.begin(request(first.sessionId, 1), 1)
    expect(next.targets.map(({ partition }) => partition)).toEqual([0, 1])
    expect(next.isNews(next.targets[0], news())).toBe(false)
    expect(next.isNews(next.targets[1], news({ highWatermark: 11 }))).toBe(true)
  })
  test('changes, adds and forgets partitions', () => {
    const next = sessions.begin(request(first.sessionId, 1, [target('t', 0, 7), target('u', 0)], { forgotten: [{ topic: 't', topicId: uuidZero, partition: 1 }] }), 1)
    expect(next.targets.map(({ topic, partition, fetchOffset }) => [topic, partition, fetchOffset])).toEqual([['t', 0, 7], ['u', 0, 0]])
  })
  test('serves a partition that gave data last the next time', () => {
    const next = sessions.begin(request(first.sessionId, 1), 1)
    next.isNews(next.targets[0], news({ recordsSize: 5 }))
    expect(sessions.begin(request(first.sessionId, 2), 2).targets.map(({ partition }) => partition)).toEqual([1, 0])
  })
  test('repeats an error, and what follows it', () => {
    const second = sessions.begin(request(first.sessionId, 1), 1)
    expect(second.isNews(second.targets[0], news({ errorCode: 6, highWatermark: -1 }))).toBe(true)
    const third = sessions.begin(request(first.sessionId, 2), 2)
    expect(third.isNews(third.targets[0], news())).toBe(true)
  })
  test('with a wrong epoch is INVALID_FETCH_SESSION_EPOCH', () => expect(sessions.begin(request(first.sessionId, 5), 1).errorCode).toBe(71))
  test('of an unknown session is FETCH_SESSION_ID_NOT_FOUND', () => expect(sessions.begin(request(7, 1), 1).errorCode).toBe(70))
  test('that turns to topic ids is FETCH_SESSION_TOPIC_ID_ERROR', () =>
    expect(sessions.begin(request(first.sessionId, 1, [], { usesTopicIds: true }), 1).errorCode).toBe(106))
  test('that forgets everything ends the session', () => {
    const forgotten = [0, 1].map((partition) => ({ topic: 't', topicId: uuidZero, partition }))
    expect(sessions.begin(request(first.sessionId, 1, [], { forgotten }), 1).sessionId).toBe(0)
    expect(sessions.size).toBe(0)
  })
  test('with epoch -1 closes the session', () => {
    sessions.begin(request(first.sessionId, -1, [target('t', 0)]), 1)
    expect(sessions.size).toBe(0)
  })
})

describe('when the cache is full', () => {
  beforeEach(() => {
    for (let each = 0; each < 2; each++) sessions.begin(request(0, 0, [target('t', 0), target('t', 1)]), 0)
  })
  test('a newcomer of the same rank gets no session', () => expect(sessions.begin(request(0, 0, [target('u', 0)]), 60_000).sessionId).toBe(0))
  test('a session idle for two minutes makes room', () => expect(sessions.begin(request(0, 0, [target('u', 0)]), 120_001).sessionId).not.toBe(0))
  test("a follower pushes out a consumer's", () => expect(sessions.begin(request(0, 0, [target('u', 0)], { privileged: true }), 1).sessionId).not.toBe(0))
})

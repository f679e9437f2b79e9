/** Where a client is sent that came to the wrong broker (KIP-951). */
import { expect, test } from 'vitest'
import { leaderHint } from '../../../src/kafka/broker/endpoints.ts'
import type { RequestContext } from '../../../src/kafka/broker/handler.ts'

type Leadership = { leaderId: number; leaderEpoch: number } | undefined
/** What the replica here was told (LeaderAndIsr), and what all brokers were (UpdateMetadata). */
const hinted = (told: Leadership, known: Leadership) =>
  leaderHint({
    broker: { replicas: { find: () => told && { leadership: told } }, metadata: { partition: () => known && { leader: known.leaderId, leaderEpoch: known.leaderEpoch } } },
  } as unknown as RequestContext, 't', 0)

test.each<[string, Leadership, Leadership, Leadership]>([
  ['a replica hears of its leader first', { leaderId: 2, leaderEpoch: 5 }, { leaderId: 1, leaderEpoch: 4 }, { leaderId: 2, leaderEpoch: 5 }],
  ['one that heard nothing yet', { leaderId: 1, leaderEpoch: 4 }, { leaderId: 2, leaderEpoch: 5 }, { leaderId: 2, leaderEpoch: 5 }],
  ['a broker without a replica', undefined, { leaderId: 2, leaderEpoch: 5 }, { leaderId: 2, leaderEpoch: 5 }],
  ['a replica of a topic that metadata does not name yet', { leaderId: 2, leaderEpoch: 0 }, undefined, { leaderId: 2, leaderEpoch: 0 }],
  ['nobody knows', undefined, undefined, { leaderId: -1, leaderEpoch: -1 }],
])('%s', (_, told, known, hint) => {
  expect(hinted(told, known)).toEqual(hint)
})

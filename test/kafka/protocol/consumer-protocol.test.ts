import { expect, test } from 'vitest'
import { Assignment, Subscription } from '../../../src/kafka/protocol/consumer-protocol.ts'

test('a subscription keeps what its version has', () => {
  const whole = { topics: ['b', 'a'], userData: Buffer.from('u'), ownedPartitions: [{ topic: 'a', partitions: [0, 2] }], generationId: 4, rackId: 'r' }
  expect(Subscription.decode(Subscription.encode(whole, 3))).toEqual({ version: 3, ...whole })
  expect(Subscription.decode(Subscription.encode(whole, 0))).toEqual({ version: 0, topics: ['b', 'a'], userData: Buffer.from('u'), ownedPartitions: [], generationId: -1, rackId: null })
})
test('a newer subscription is read as the newest known one', () => {
  const bytes = Buffer.concat([Subscription.encode({ topics: ['t'] }, 3), Buffer.from('later')])
  bytes.writeInt16BE(9, 0)
  expect(Subscription.decode(bytes)).toMatchObject({ version: 9, topics: ['t'], rackId: null })
})
test("an assignment is the bytes that Java's consumers write", () => {
  const bytes = Assignment.encode({ assignedPartitions: [{ topic: 'a', partitions: [0, 1] }] }, 3)
  expect(bytes.toString('hex')).toBe('0003' + '00000001' + '000161' + '00000002' + '00000000' + '00000001' + 'ffffffff')
  expect(Assignment.decode(bytes).assignedPartitions).toEqual([{ topic: 'a', partitions: [0, 1] }])
})

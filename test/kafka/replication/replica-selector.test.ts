import { expect, test } from 'vitest'
import { nearestReplica } from '../../../src/kafka/replication/replica-selector.ts'

const leader = { id: 1, rack: 'a' }
const follower = (id: number, rack: string | null, logEndOffset = 10, lastCaughtUpMs = 0) => ({ id, rack, logEndOffset, lastCaughtUpMs })

test('the leader serves its own rack, racks without replicas, and consumers without a rack', () => {
  const followers = [follower(2, 'a'), follower(3, 'b'), follower(4, null)]
  expect(nearestReplica('a', leader, followers)).toBe(1)
  expect(nearestReplica('c', leader, followers)).toBe(1)
  expect(nearestReplica('', leader, followers)).toBe(1)
})
test('of several in the rack who has most serves, and of these who was level last', () => {
  expect(nearestReplica('b', leader, [follower(2, 'b', 9, 50), follower(3, 'b', 10), follower(4, 'c', 11)])).toBe(3)
  expect(nearestReplica('b', leader, [follower(2, 'b', 10, 50), follower(3, 'b', 10, 60)])).toBe(3)
})

import { expect, test } from 'vitest'
import { judge } from '../../../src/kafka/controller/alter-partition.ts'
import { electFirst, electForShutdown, electOffline, electPreferred, withoutReplica } from '../../../src/kafka/controller/elections.ts'
import type { PartitionState } from '../../../src/kafka/metadata/partition-state-znode.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'

const state = (more: Partial<PartitionState> = {}): PartitionState => ({ leader: 1, leaderEpoch: 5, isr: [1, 2, 3], leaderRecoveryState: 0, controllerEpoch: 1, partitionEpoch: 7, ...more })
const online = (...ids: number[]) => (id: number): boolean => ids.includes(id)

test('a new partition is led by the first assigned replica that lives; all that live are in sync', () => {
  expect(electFirst({ assigned: [1, 2, 3], isOnline: online(2, 3) })).toEqual({ leader: 2, isr: [2, 3], leaderRecoveryState: 0 })
  expect(electFirst({ assigned: [1], isOnline: online() })).toBeUndefined()
})

test('a lost leader is followed by the first assigned that lives and is in sync; the ISR keeps its order and loses the dead', () => {
  expect(electOffline({ assigned: [1, 2, 3], isOnline: online(2, 3) }, state({ isr: [3, 1, 2] }), false)).toEqual({ leader: 2, isr: [3, 2], leaderRecoveryState: 0 })
  expect(electOffline({ assigned: [1, 2, 3], isOnline: online(3) }, state({ isr: [1, 2] }), false)).toBeUndefined()
})

test('an unclean election takes the first that lives, alone in sync and recovering; a clean candidate still wins', () => {
  expect(electOffline({ assigned: [1, 2, 3], isOnline: online(2, 3) }, state({ isr: [1] }), true)).toEqual({ leader: 2, isr: [2], leaderRecoveryState: 1 })
  expect(electOffline({ assigned: [1, 2, 3], isOnline: online(2, 3) }, state({ isr: [3] }), true)).toEqual({ leader: 3, isr: [3], leaderRecoveryState: 0 })
})

test('the preferred replica leads when it lives and is in sync', () => {
  expect(electPreferred({ assigned: [2, 1], isOnline: online(1, 2) }, state({ isr: [1, 2] }))).toEqual({ leader: 2, isr: [1, 2], leaderRecoveryState: 0 })
  expect(electPreferred({ assigned: [2, 1], isOnline: online(1, 2) }, state({ isr: [1] }))).toBeUndefined()
  expect(electPreferred({ assigned: [2, 1], isOnline: online(1) }, state({ isr: [1, 2] }))).toBeUndefined()
})

test('a broker that shuts down hands over to one in sync that stays, and leaves the ISR', () => {
  expect(electForShutdown({ assigned: [1, 2, 3], isOnline: online(1, 2, 3) }, state({ isr: [1, 2, 3] }), new Set([1, 2]))).toEqual({ leader: 3, isr: [3], leaderRecoveryState: 0 })
  expect(electForShutdown({ assigned: [1, 2], isOnline: online(1, 2) }, state({ isr: [1] }), new Set([1]))).toBeUndefined()
})

test('the last replica in sync stays in the ISR when it dies', () => {
  expect(withoutReplica(state(), 1)).toEqual({ leader: -1, isr: [2, 3] })
  expect(withoutReplica(state(), 3)).toEqual({ leader: 1, isr: [1, 2] })
  expect(withoutReplica(state({ isr: [1] }), 1)).toEqual({ leader: -1, isr: [1] })
})

test('proposals of another ISR are judged in the order of the rules', () => {
  const proposal = { brokerId: 1, leaderEpoch: 5, partitionEpoch: 7, isr: [1, 2], leaderRecoveryState: 0 }
  const verdict = (more: Partial<typeof proposal> = {}, known: Partial<PartitionState> = {}) => judge({ ...proposal, ...more }, state(known), online(1, 2, 3), errors.ineligibleReplica.code)
  expect(verdict()).toEqual(state({ isr: [1, 2] }))
  expect(verdict({ partitionEpoch: 8 })).toBe(errors.notController.code)
  expect(verdict({ leaderEpoch: 6 })).toBe(errors.notController.code)
  expect(verdict({ leaderEpoch: 4 })).toBe(errors.fencedLeaderEpoch.code)
  expect(verdict({ partitionEpoch: 6 })).toBe(errors.invalidUpdateVersion.code)
  expect(verdict({ partitionEpoch: 6, isr: [1, 2, 3] })).toBe('same')
  // Compared as lists: the same members in another order are a change.
  expect(verdict({ isr: [2, 1, 3] })).toEqual(state({ isr: [2, 1, 3] }))
  expect(verdict({ isr: [1, 4] })).toBe(errors.ineligibleReplica.code)
  const shuttingDown = (isr: number[]): unknown => judge({ ...proposal, isr }, state({ isr: [1] }), online(2), errors.ineligibleReplica.code)
  expect(shuttingDown([1, 2])).toEqual(state({ isr: [1, 2] }))
  expect(shuttingDown([1, 3])).toBe(errors.ineligibleReplica.code)
  // The leader alone proposes, itself among the others, each once.
  for (const forged of [{ brokerId: 2 }, { isr: [] }, { isr: [2, 3] }, { isr: [1, 2, 2] }]) expect(verdict(forged)).toBe(errors.invalidRequest.code)
  expect(verdict({ leaderRecoveryState: 1, isr: [1] })).toBe(errors.invalidRequest.code)
  expect(verdict({ leaderRecoveryState: 1, isr: [1, 2] }, { leaderRecoveryState: 1 })).toBe(errors.invalidRequest.code)
  expect(verdict({ leaderRecoveryState: 0, isr: [1] }, { leaderRecoveryState: 1, isr: [1] })).toEqual(state({ isr: [1] }))
})

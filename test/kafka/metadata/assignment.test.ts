import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignReplicas, assignmentFault } from '../../../src/kafka/metadata/replica-assignment.ts'
import { collides, topicNameFault } from '../../../src/kafka/metadata/topic-names.ts'

const brokers = (count: number, racks = 0) => Array.from({ length: count }, (_, id) => ({ id, rack: racks === 0 ? undefined : `r${id % racks}` }))

test('the example in the comment of AdminUtils: five brokers, ten partitions, three replicas, start 0 and shift 0', () => {
  const assignment = assignReplicas(brokers(5), { partitions: 10, replicationFactor: 3, startIndex: 0, shift: 0 })
  expect([...assignment.values()]).toEqual([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0], [4, 0, 1], [0, 2, 3], [1, 3, 4], [2, 4, 0], [3, 0, 1], [4, 1, 2]])
})

test('every partition has as many different replicas as asked for, leaders are even, racks are all used', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 3 }), fc.nat(20), fc.nat(20), (count, partitions, racks, startIndex, shift) => {
      const list = brokers(count, racks)
      for (let replicationFactor = 1; replicationFactor <= count; replicationFactor++) {
        const assignment = assignReplicas(list, { partitions, replicationFactor, startIndex: startIndex % count, shift: shift % count })
        expect(assignment.size).toBe(partitions)
        const leads = new Map<number, number>()
        for (const replicas of assignment.values()) {
          expect(new Set(replicas).size).toBe(replicationFactor)
          leads.set(replicas[0], (leads.get(replicas[0]) ?? 0) + 1)
          if (racks > 0) expect(new Set(replicas.map((id) => id % racks)).size).toBe(Math.min(replicationFactor, racks, count))
        }
        expect(Math.max(...leads.values()) - Math.min(...list.map(({ id }) => leads.get(id) ?? 0))).toBeLessThanOrEqual(1)
      }
    }),
    { numRuns: 60 },
  )
})

test('what cannot be assigned is said before', () => {
  expect(assignmentFault(brokers(2), { partitions: 0, replicationFactor: 1 })).toBe('partitions')
  expect(assignmentFault(brokers(2), { partitions: 1, replicationFactor: 3 })).toBe('replicationFactor')
  expect(assignmentFault(brokers(2), { partitions: 1, replicationFactor: 2 })).toBeUndefined()
})

test('topic names: 1 to 249 of letters, digits, dot, underscore and dash, but not . and ..', () => {
  for (const good of ['a', 'A.b_c-9', 'x'.repeat(249), '__consumer_offsets']) expect(topicNameFault(good)).toBeUndefined()
  for (const bad of ['', '.', '..', 'x'.repeat(250), 'a b', 'ä', 'a/b']) expect(topicNameFault(bad)).toBeDefined()
  expect(collides('a.b', 'a_b')).toBe(true)
  expect(collides('a.b', 'a-b')).toBe(false)
})

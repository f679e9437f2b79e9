import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assignors, range, roundRobin, type Shares, type Subscriber } from '../../../src/kafka/client/assignors.ts'
import { murmur2, partitionOfKey } from '../../../src/kafka/client/partitioner.ts'

test.each([
  ['21', -973932308], ['foobar', -790332482], ['a-little-bit-long-string', -985981536], ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971], ['abc', 479470107],
])("murmur2('%s') is what Java's clients compute", (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})
test('a negative hash still makes a partition', () => {
  expect(partitionOfKey(Buffer.from('21'), 10)).toBe((-973932308 & 0x7fff_ffff) % 10)
})

const member = (memberId: string, topics: string[], groupInstanceId: string | null = null): Subscriber => ({ memberId, topics, groupInstanceId })
const plain = (shares: Shares) => Object.fromEntries([...shares].map(([id, share]) => [id, Object.fromEntries(share)]))

describe('range', () => {
  test('gives consecutive partitions, the first members one more', () => {
    expect(plain(range([member('b', ['t', 'u']), member('a', ['t'])], (topic) => (topic === 't' ? 5 : 2)))).toEqual({ a: { t: [0, 1, 2] }, b: { t: [3, 4], u: [0, 1] } })
  })
  test('puts static members first, by their instance ids', () => {
    expect(plain(range([member('a', ['t']), member('z', ['t'], 'i2'), member('y', ['t'], 'i1')], () => 4))).toEqual({ y: { t: [0, 1] }, z: { t: [2] }, a: { t: [3] } })
  })
})
test('round robin deals all partitions of all topics in turn, to subscribers only', () => {
  expect(plain(roundRobin([member('a', ['t', 'u']), member('b', ['t'])], () => 3))).toEqual({ a: { t: [0, 2], u: [0, 1, 2] }, b: { t: [1] } })
})
test('whatever the members, every partition of a subscribed topic has exactly one owner, who subscribed to it', () => {
  const topics = fc.uniqueArray(fc.constantFrom('t', 'u', 'v', 'w'))
  const members = fc.uniqueArray(fc.record({ memberId: fc.string({ minLength: 1, maxLength: 3 }), topics, groupInstanceId: fc.option(fc.string({ maxLength: 2 })) }), { selector: ({ memberId }) => memberId, minLength: 1, maxLength: 6 })
  const counts = fc.record({ t: fc.nat(7), u: fc.nat(7), v: fc.nat(7), w: fc.nat(7) })
  fc.assert(
    fc.property(fc.constantFrom('range', 'roundrobin'), members, counts, (name, group, partitions) => {
      const shares = assignors[name](group, (topic) => partitions[topic as 't'])
      const owners = new Map<string, string>()
      for (const [id, share] of shares)
        for (const [topic, list] of share)
          for (const partition of list) {
            expect(owners.has(`${topic}-${partition}`)).toBe(false)
            expect(group.find(({ memberId }) => memberId === id)!.topics).toContain(topic)
            owners.set(`${topic}-${partition}`, id)
          }
      const subscribed = new Set(group.flatMap((one) => one.topics))
      expect(owners.size).toBe([...subscribed].reduce((sum, topic) => sum + partitions[topic as 't'], 0))
    }),
  )
})

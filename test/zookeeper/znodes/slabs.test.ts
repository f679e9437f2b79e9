/** Znodes whose numbers and data lie outside the heap: nothing is lost, nothing is another's, and what is not used goes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Reader } from '../../../src/wire/reader.ts'
import { Writer } from '../../../src/wire/writer.ts'
import { Stat, StatPersisted } from '../../../src/zookeeper/protocol/records.ts'
import { placedMax, SlabMemory } from '../../../src/zookeeper/znodes/slabs.ts'
import { statOf, Znode } from '../../../src/zookeeper/znodes/znode.ts'

const int64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const time = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
const stat = fc.record<StatPersisted>({ czxid: int64, mzxid: int64, pzxid: int64, ctime: time, mtime: time, version: int32, cversion: int32, aversion: int32, ephemeralOwner: int64 })
const size = fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 8, 9, 128, 129, 192, 193, placedMax, placedMax + 1, 2048, 16_384, 16_385, 40_000))
const bytes = fc.tuple(size, fc.nat(255)).map(([length, first]) => Buffer.from(Array.from({ length }, (_, index) => (first + index * 7) & 0xff)))
const data = fc.oneof(fc.constant(null), bytes)

test('numbers and data are what was last written, whoever else comes, changes and goes', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('create' as const), data, stat }),
    fc.record({ kind: fc.constant('set' as const), at: fc.nat(), data, stat }),
    fc.record({ kind: fc.constant('delete' as const), at: fc.nat() }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const memory = new SlabMemory()
      const live: { node: Znode; data: Buffer | null; stat: StatPersisted; aclId: number }[] = []
      for (const [index, each] of steps.entries()) {
        if (each.kind === 'create') {
          const aclId = index % 2 ? -1 : 2 ** 40 + index
          live.push({ node: new Znode(memory, each.data, aclId, each.stat), data: each.data, stat: each.stat, aclId })
        } else if (live.length > 0) {
          const at = each.at % live.length
          const { node } = live[at]
          if (each.kind === 'delete') {
            node.release()
            live.splice(at, 1)
          } else {
            const { mzxid, pzxid, mtime, version, cversion, aversion } = each.stat
            node.setData(each.data)
            Object.assign(node, { mzxid, pzxid, mtime, version, cversion, aversion })
            live[at] = { ...live[at], data: each.data, stat: { ...live[at].stat, mzxid, pzxid, mtime, version, cversion, aversion } }
          }
        }
        for (const { node, data: expected, stat: numbers, aclId } of live) {
          expect(node.data?.equals(expected!) ?? null).toBe(expected && true)
          expect(node.dataLength).toBe(expected?.length ?? 0)
          expect(node.aclId).toBe(aclId)
          expect(node.isPersistent).toBe(numbers.ephemeralOwner === 0n)
          const writer = new Writer()
          node.writePersisted(writer)
          expect(StatPersisted.decode(writer.toBuffer())).toEqual(numbers)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('data and Stat stand in replies as in records, and small data is copied', () => {
  fc.assert(
    fc.property(data, stat, fc.boolean(), (content, numbers, shows) => {
      const node = new Znode(new SlabMemory(), content, 1, numbers)
      node.children = new Set(['/a', '/b'])
      const writer = new Writer()
      node.writeData(writer)
      node.writeStat(writer, shows)
      if (content && content.length <= 16_384) node.setData(Buffer.alloc(content.length, 0xee))
      const reply = new Reader(writer.toBuffer())
      const read = reply.int32()
      expect(read).toBe(content ? content.length : -1)
      if (content) expect(content.equals(reply.view(read))).toBe(true)
      expect(Stat.read(reply)).toEqual({ ...statOf(node, shows ? numbers.ephemeralOwner : 0n), dataLength: content?.length ?? 0 })
    }),
  )
})

test('which of two zxids is younger', () => {
  fc.assert(
    fc.property(int64, int64, stat, (czxid, zxid, numbers) => {
      const node = new Znode(new SlabMemory(), null, 1, { ...numbers, czxid })
      const isYounger = (than: bigint): boolean => node.isYoungerThan(Number(BigInt.asIntN(32, than >> 32n)), Number(BigInt.asUintN(32, than)))
      expect(isYounger(zxid)).toBe(czxid > zxid)
      expect(isYounger(czxid)).toBe(false)
      expect(isYounger(czxid ^ 0x8000_0000n)).toBe(czxid > (czxid ^ 0x8000_0000n))
    }),
  )
})

test('memory is used again, and given back when the znodes are gone', () => {
  const memory = new SlabMemory()
  const none: StatPersisted = { czxid: 1n, mzxid: 1n, pzxid: 1n, ctime: 1, mtime: 1, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n }
  const make = (): Znode[] => Array.from({ length: 10_000 }, () => new Znode(memory, Buffer.alloc(100), 1, none))
  const first = make()
  const full = memory.size
  expect(full).toBeLessThan(10_000 * (80 + 104) * 1.1)
  for (const node of first) node.release()
  expect(memory.size).toBeLessThanOrEqual(4 * 65_536)
  const second = make()
  expect(memory.size).toBeLessThanOrEqual(full)
  // In another order than they came.
  for (const [index, node] of second.entries()) if (index % 2) node.release()
  for (const [index, node] of second.entries()) if (index % 2 === 0) node.release()
  expect(memory.size).toBeLessThanOrEqual(4 * 65_536)
})

test('who looks at a znode that was deleted fails, and does not see another’s numbers', () => {
  const memory = new SlabMemory()
  const none: StatPersisted = { czxid: 1n, mzxid: 1n, pzxid: 1n, ctime: 1, mtime: 1, version: 0, cversion: 0, aversion: 0, ephemeralOwner: 0n }
  const node = new Znode(memory, Buffer.from('x'), 1, none)
  node.release()
  expect(() => node.version).toThrow('a znode that has been deleted was looked at')
  expect(() => node.release()).toThrow('a znode that has been deleted was looked at')
})

/** A snapshot is work in slices, bounded in znodes, bytes and time, whatever the tree is like. */
import { expect, test } from 'vitest'
import type { Clock, DiskFile } from '../../../src/host/host.ts'
import { sliceCountMax, sliceMs, snapshotSlices } from '../../../src/zookeeper/storage/snapshot-slices.ts'
import { SnapshotWriter } from '../../../src/zookeeper/storage/snapshot-write.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { openAcl } from '../../../src/zookeeper/protocol/open-acl.ts'
import { ZnodeTree } from '../../../src/zookeeper/znodes/tree.ts'
import type { Znode } from '../../../src/zookeeper/znodes/znode.ts'

class Bench {
  readonly tree = new ZnodeTree()
  #zxid = 0n
  #count = 0
  create(path: string, data: Buffer): void {
    const zxid = ++this.#zxid
    this.tree.apply({ header: { clientId: 1n, cxid: 1, zxid, time: 1, type: op.create }, body: { type: op.create, path, data, acl: [...openAcl], ephemeral: false, parentCVersion: ++this.#count }, digest: undefined })
  }
}
const file = { write: async () => {}, sync: async () => {} } as unknown as DiskFile

/** What each slice did, until there is no more to do. `msFor` each znode on a clock that nothing else moves. */
function* slices(view: ReturnType<ZnodeTree['beginSnapshot']>, msFor: number, between: () => void = () => {}) {
  let now = 0
  let znodes = 0
  let entries = 0
  class Counting extends SnapshotWriter {
    override node(path: string, aclId: number, node: Znode): void {
      znodes++
      now += msFor
      super.node(path, aclId, node)
    }
    override session(id: bigint, timeoutMs: number): void {
      entries++
      super.session(id, timeoutMs)
    }
  }
  const clock: Clock = { now: () => now, monotonic: () => now }
  const writer = new Counting(file)
  let before = 0
  for (const end of snapshotSlices(view, writer, clock)) {
    yield { end, znodes, entries, bytes: writer.size - before, ms: now }
    before = writer.size
    if (end === 'full') void writer.flush()
    znodes = entries = now = 0
    between()
  }
  yield { end: 'last', znodes, entries, bytes: writer.size - before, ms: now }
}

test('no slice has more znodes, sessions or bytes than are allowed', () => {
  const bench = new Bench()
  for (let index = 0; index < 5000; index++) bench.create(`/${index}`, Buffer.alloc(index < 4000 ? 0 : 900))
  for (let id = 1n; id <= 3000n; id++) bench.tree.restoreSession(id, 4000)
  const all = [...slices(bench.tree.beginSnapshot(), 0)]
  for (const { znodes, entries, bytes } of all) {
    expect(znodes + entries).toBeLessThanOrEqual(sliceCountMax)
    expect(bytes).toBeLessThanOrEqual(128 * 1024)
  }
  expect(all.reduce((sum, { znodes }) => sum + znodes, 0)).toBe(bench.tree.nodeCount - 1)
  expect(all.reduce((sum, { entries }) => sum + entries, 0)).toBe(3000)
  expect(all.map(({ end }) => end)).toContain('full')
  expect(all.map(({ end }) => end)).toContain('pause')
})

test('a slice that is slow ends with its time, within the few znodes between two looks at the clock', () => {
  const bench = new Bench()
  for (let index = 0; index < 2000; index++) bench.create(`/${index}`, Buffer.from('x'))
  const all = [...slices(bench.tree.beginSnapshot(), 0.1)]
  for (const { ms } of all) expect(ms).toBeLessThanOrEqual(sliceMs + 32 * 0.1)
  expect(all.length).toBeGreaterThan(30)
})

test('what has come since, and is passed over, counts as well', () => {
  const bench = new Bench()
  bench.create('/a', Buffer.alloc(0))
  const view = bench.tree.beginSnapshot()
  let most = 0
  const get = bench.tree
  for (let index = 0; index < 20_000; index++) bench.create(`/new${index}`, Buffer.alloc(0))
  const all = [...slices(view, 0)]
  for (const { znodes } of all) most = Math.max(most, znodes)
  expect(most).toBeLessThanOrEqual(6)
  // 20,000 of them in slices of about a thousand.
  expect(all.length).toBeGreaterThanOrEqual(Math.floor(20_000 / sliceCountMax))
  view.close()
  expect(get.nodeCount).toBe(20_006)
})

test('a znode that goes and comes back between two slices is in the snapshot once or not at all', () => {
  const bench = new Bench()
  for (let index = 0; index < 3000; index++) bench.create(`/${index}`, Buffer.alloc(0))
  const view = bench.tree.beginSnapshot()
  const seen: string[] = []
  const walk = view.walk()
  let zxid = 10_000n
  for (let step = walk.next(); step !== 'end'; step = walk.next()) {
    if (step !== 'znode') continue
    seen.push(walk.path)
    const path = `/${(seen.length * 7) % 3000}`
    const header = { clientId: 1n, cxid: 1, time: 1 }
    bench.tree.apply({ header: { ...header, zxid: ++zxid, type: op.delete }, body: { type: op.delete, path }, digest: undefined })
    bench.tree.apply({ header: { ...header, zxid: ++zxid, type: op.create }, body: { type: op.create, path, data: null, acl: [...openAcl], ephemeral: false, parentCVersion: Number(zxid) }, digest: undefined })
  }
  view.close()
  expect(new Set(seen).size).toBe(seen.length)
  expect(bench.tree.nodeCount).toBe(3005)
})

test('what is written and not synced never grows, so that the sync of a log behind it in the journal is short', async () => {
  const bench = new Bench()
  for (let index = 0; index < 6000; index++) bench.create(`/${index}`, Buffer.alloc(1000))
  let unsynced = 0
  let most = 0
  let syncs = 0
  const disk = {
    write: async (pieces: readonly Uint8Array[]) => {
      for (const { length } of pieces) unsynced += length
      most = Math.max(most, unsynced)
    },
    sync: async () => {
      unsynced = 0
      syncs++
    },
  } as unknown as DiskFile
  const writer = new SnapshotWriter(disk)
  for (const end of snapshotSlices(bench.tree.beginSnapshot(), writer, { now: () => 0, monotonic: () => 0 })) if (end === 'full') await writer.flush()
  await writer.flush()
  expect(writer.size).toBeGreaterThan(6_000_000)
  expect(syncs).toBeGreaterThanOrEqual(4)
  expect(most).toBeLessThanOrEqual(1024 * 1024 + 128 * 1024)
})

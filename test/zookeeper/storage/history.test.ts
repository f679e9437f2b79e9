/** What logs of the past are good for: sent to who was away, and never continued across a leader's snapshot. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { encodeTransaction, type TxnBody } from '../../../src/zookeeper/protocol/transactions.ts'
import { openStore, type DiskStore, type StoreConfig } from '../../../src/zookeeper/storage/store.ts'
import { ZnodeTree } from '../../../src/zookeeper/znodes/tree.ts'

const host = nodeHost({ logger: silentLogger })
let dataDir: string
let files: string
const stores: DiskStore[] = []
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ottla-history-'))
  files = join(dataDir, 'version-2')
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  rmSync(dataDir, { recursive: true, force: true })
})
async function open(config: Partial<StoreConfig> = {}): Promise<{ store: DiskStore; tree: ZnodeTree }> {
  const tree = new ZnodeTree()
  const store = await openStore(host, { dataDir, preallocSize: 65536, snapshotAtStart: false, snapshotSizeFactor: 0, ...config }, tree)
  stores.push(store)
  return { store, tree }
}
const zxid = (epoch: number, counter: number): bigint => (BigInt(epoch) << 32n) | BigInt(counter)
function add({ store, tree }: { store: DiskStore; tree: ZnodeTree }, id: bigint): void {
  const body: TxnBody = { type: op.create, path: `/n${id}`, data: Buffer.alloc(10), acl: [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }], ephemeral: false, parentCVersion: -1 }
  const header = { clientId: 1n, cxid: 0, zxid: id, time: 1, type: body.type }
  tree.apply({ header, body })
  store.append({ zxid: id, bytes: encodeTransaction({ header, body, digest: undefined }) })
}
async function addAll(to: Awaited<ReturnType<typeof open>>, ...ids: bigint[]): Promise<void> {
  for (const id of ids) add(to, id)
  await to.store.flushed()
}
const history = async (store: DiskStore, from: bigint, below: bigint): Promise<string | undefined> => (await store.history(from, below))?.map((found) => `${found.zxid >> 32n}:${found.zxid & 0xffffffffn}`).join(' ')

test('from the last transaction that somebody has, across files and epochs, up to what is in memory', async () => {
  const opened = await open()
  await addAll(opened, zxid(1, 1), zxid(1, 2), zxid(1, 3))
  await opened.store.snapshot()
  await addAll(opened, zxid(1, 4), zxid(2, 1), zxid(2, 2))
  await opened.store.snapshot()
  await addAll(opened, zxid(2, 3), zxid(3, 1))
  const { store } = opened
  expect(readdirSync(files).filter((name) => name.startsWith('log.'))).toHaveLength(3)
  expect(await history(store, zxid(1, 2), zxid(2, 3))).toBe('1:2 1:3 1:4 2:1 2:2')
  expect(await history(store, zxid(1, 1), zxid(3, 2))).toBe('1:1 1:2 1:3 1:4 2:1 2:2 2:3 3:1')
  // Somebody has more of an epoch than was committed: what it keeps is what stands before.
  expect(await history(store, zxid(1, 9), zxid(2, 3))).toBe('1:4 2:1 2:2')
  expect(await history(store, zxid(2, 0), zxid(2, 3))).toBe('1:4 2:1 2:2')
  expect(await history(store, 0n, zxid(2, 3))).toBe(undefined)
})
test('snapshotSizeFactor: no more than is worth it', async () => {
  const opened = await open({ snapshotSizeFactor: 0.5 })
  for (let count = 1; count <= 100; count++) add(opened, zxid(1, count))
  await opened.store.flushed()
  expect(await history(opened.store, zxid(1, 1), zxid(1, 100))).toBe(undefined)
  await opened.store.snapshot()
  expect(await history(opened.store, zxid(1, 1), zxid(1, 100))).toBe(undefined)
  expect(await history(opened.store, zxid(1, 80), zxid(1, 84))).toBe('1:80 1:81 1:82 1:83')
  const { store } = opened
  await store.close()
  stores.pop()
  const off = await open({ snapshotSizeFactor: -1 })
  expect(await history(off.store, zxid(1, 80), zxid(1, 84))).toBe(undefined)
})
test('what is held is written when it may be, in its order', async () => {
  const opened = await open()
  await addAll(opened, zxid(1, 1))
  let release = (): void => {}
  opened.store.hold(new Promise<void>((resolve) => (release = resolve)))
  let isDurable = false
  const added = addAll(opened, zxid(1, 2), zxid(1, 3)).then(() => (isDurable = true))
  expect(await history(opened.store, zxid(1, 1), zxid(1, 2))).toBe('1:1')
  expect(isDurable).toBe(false)
  expect(await history(opened.store, zxid(1, 1), zxid(1, 4))).toBe(undefined)
  release()
  await added
  expect(await history(opened.store, zxid(1, 1), zxid(1, 4))).toBe('1:1 1:2 1:3')
})
test('a gap ends it', async () => {
  const opened = await open()
  await addAll(opened, zxid(1, 1), zxid(1, 2))
  await opened.store.snapshot()
  await addAll(opened, zxid(1, 3))
  await opened.store.snapshot()
  await addAll(opened, zxid(1, 4), zxid(1, 5))
  rmSync(join(files, 'log.100000003'))
  expect(await history(opened.store, zxid(1, 2), zxid(1, 6))).toBe(undefined)
  expect(await history(opened.store, zxid(1, 4), zxid(1, 6))).toBe('1:4 1:5')
})

/** A server whose log ends with 1:3, which nobody committed, and that a leader of epoch 2 sends its tree. */
async function installed(): Promise<Awaited<ReturnType<typeof open>>> {
  const opened = await open()
  await addAll(opened, zxid(1, 1), zxid(1, 2), zxid(1, 3))
  opened.tree.clear()
  opened.tree.finishRestore(zxid(2, 0))
  await opened.store.install()
  await addAll(opened, zxid(2, 1), zxid(2, 2))
  return opened
}
test('what stood in the logs before a leader sent its snapshot is nobody’s history any more', async () => {
  const { store } = await installed()
  expect(readFileSync(join(files, 'installed'), 'latin1')).toBe('200000000')
  expect(await history(store, zxid(1, 2), zxid(2, 2))).toBe(undefined)
  expect(await history(store, zxid(2, 1), zxid(2, 3))).toBe('2:1 2:2')
  await store.close()
  stores.pop()
  const again = await open()
  expect(again.store.lastZxid).toBe(zxid(2, 2))
  expect(again.tree.get(`/n${zxid(1, 3)}`)).toBe(undefined)
  // Apache's server has no such mark: its snapshot between the epochs says the same.
  rmSync(join(files, 'installed'))
  expect(await history(again.store, zxid(1, 2), zxid(2, 2))).toBe(undefined)
})
test('nor where what is asked for ends right behind that snapshot', async () => {
  const opened = await open()
  await addAll(opened, zxid(1, 1), zxid(1, 2))
  // It lacks 1:3 and 1:4, and so it is sent a snapshot with them.
  opened.tree.clear()
  opened.tree.finishRestore(zxid(1, 4))
  await opened.store.install()
  await addAll(opened, zxid(2, 1), zxid(2, 2))
  expect(await history(opened.store, zxid(1, 4), zxid(2, 1))).toBe(undefined)
  expect(await history(opened.store, zxid(1, 5), zxid(2, 2))).toBe(undefined)
  rmSync(join(files, 'installed'))
  expect(await history(opened.store, zxid(1, 4), zxid(2, 1))).toBe(undefined)
})
test.each(['damaged', 'missing'])('with that snapshot %s, the older ones are not continued by what came after it', async (what) => {
  const { store } = await installed()
  await store.close()
  stores.pop()
  if (what === 'damaged') truncateSync(join(files, 'snapshot.200000000'), 40)
  else rmSync(join(files, 'snapshot.200000000'))
  await expect(open()).rejects.toThrow(/A leader sent snapshot\.200000000, and what this folder holds of before may differ.*move this folder's content away/)
  // Without the mark, a damaged one still says that something stood there.
  rmSync(join(files, 'installed'))
  if (what === 'damaged') await expect(open()).rejects.toThrow(/transaction 0x200000001 follows snapshot\.200000000, which cannot be read, and not 0x100000003/)
})
test('a crash before the snapshot was whole leaves the old history as it was', async () => {
  const opened = await open()
  await addAll(opened, zxid(1, 1), zxid(1, 2))
  await opened.store.close()
  stores.pop()
  writeFileSync(join(files, 'installed'), '200000000')
  expect((await open()).store.lastZxid).toBe(zxid(1, 2))
})
test('a cut behind it makes the older history ours again', async () => {
  const { store, tree } = await installed()
  await store.truncate(zxid(1, 2))
  expect(readdirSync(files)).not.toContain('installed')
  add({ store, tree }, zxid(3, 1))
  await store.close()
  stores.pop()
  expect((await open()).store.lastZxid).toBe(zxid(3, 1))
})

/** A folder as a whole: opening Apache's, snapshots under way, what is missing, what may go. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { encodeTransaction, type TxnBody } from '../../../src/zookeeper/protocol/transactions.ts'
import { ZnodeTree } from '../../../src/zookeeper/znodes/tree.ts'
import { readEpoch, writeEpoch } from '../../../src/zookeeper/storage/epoch-files.ts'
import { purge } from '../../../src/zookeeper/storage/purge.ts'
import { openStore, type DiskStore, type StoreConfig } from '../../../src/zookeeper/storage/store.ts'
import { golden } from './golden.ts'

const host = nodeHost({ logger: silentLogger })
const acl = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
let dataDir: string
let files: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ottla-store-'))
  files = join(dataDir, 'version-2')
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const open = (tree: ZnodeTree, config: Partial<StoreConfig> = {}) => openStore(host, { dataDir, preallocSize: 65536, ...config }, tree)
function add(store: DiskStore, tree: ZnodeTree, body: TxnBody, zxid = store.lastZxid + 1n): void {
  const header = { clientId: 7n, cxid: 0, zxid, time: Number(zxid), type: body.type }
  tree.apply({ header, body })
  store.append({ zxid, bytes: encodeTransaction({ header, body, digest: { version: 2, treeDigest: tree.digest } }) })
}
/** As a server prepares it: the parent's count is said, so that replay cannot count twice. */
function create(tree: ZnodeTree, path: string, data = ''): TxnBody {
  const parentCVersion = tree.get(path.slice(0, path.lastIndexOf('/')))!.cversion + 1
  return { type: op.create2, path, data: Buffer.from(data), acl, ephemeral: false, parentCVersion }
}
/** `count` transactions, each snapshot behind ten of them. */
async function filled(count: number): Promise<bigint> {
  const tree = new ZnodeTree()
  const store = await open(tree)
  for (let n = 0; n < count; n++) {
    add(store, tree, create(tree, `/n${n}`, 'x'.repeat(n)))
    await store.flushed()
    if (n % 10 === 9) await store.snapshot()
  }
  await store.close()
  return tree.digest
}

test('Apache’s folder is restored, with every digest in it confirmed, and goes on where it ended', async () => {
  mkdirSync(files)
  writeFileSync(join(files, 'snapshot.0'), golden('snapshot.0'))
  writeFileSync(join(files, 'log.1'), Buffer.concat([golden('log.1'), Buffer.alloc(100_000)]))
  const tree = new ZnodeTree()
  const store = await open(tree)
  expect(store.restored).toMatchObject({ snapshotZxid: 0n, digestMismatchCount: 0 })
  expect(store.restored.transactionCount).toBeGreaterThan(200)
  expect(JSON.parse(String(tree.get('/brokers/ids/1')?.data))).toMatchObject({ host: '127.0.0.1', port: 23071 })
  const { lastZxid } = store
  add(store, tree, create(tree, '/ours'))
  await store.snapshot()
  await store.close()
  const again = new ZnodeTree()
  const reopened = await open(again)
  expect(reopened.lastZxid).toBe(lastZxid + 1n)
  expect(again.digest).toBe(tree.digest)
  expect(again.sessions).toEqual(tree.sessions)
  await reopened.close()
  expect(readdirSync(files)).toContain(`snapshot.${(lastZxid + 1n).toString(16)}`)
})

test('a new folder has its snapshot.0, as Apache’s server expects, and a second store on it is refused', async () => {
  const store = await open(new ZnodeTree())
  expect(readdirSync(files).filter((name) => !name.startsWith('.'))).toEqual(['snapshot.0'])
  await expect(open(new ZnodeTree())).rejects.toThrow(/locked by process \d+.*Only one process may use this folder/)
  await store.close()
  await (await open(new ZnodeTree())).close()
})

test('a snapshot taken while the tree changes is completed by the log, whatever it saw', async () => {
  const tree = new ZnodeTree()
  const store = await open(tree)
  for (let n = 0; n < 4000; n++) add(store, tree, create(tree, `/n${n}`, `${n}`.repeat(20)))
  await store.flushed()
  const taking = store.snapshot()
  let taken = false
  void taking.then(() => (taken = true))
  for (let n = 0; !taken; n++) {
    add(store, tree, create(tree, `/n${n % 4000}/c${n}`))
    add(store, tree, { type: op.setACL, path: `/n${(n * 7) % 4000}`, acl: [{ perms: 1 + (n % 30), id: { scheme: 'ip', id: '127.0.0.1' } }], version: n })
    add(store, tree, { type: op.delete, path: `/n${3999 - n}/c${3999 - n}` })
    add(store, tree, { type: op.setData, path: `/n${(n * 3) % 4000}`, data: Buffer.from('changed'), version: n })
    await store.flushed()
  }
  expect(await taking).toBe(4000n)
  await store.close()
  const again = new ZnodeTree()
  const reopened = await open(again)
  expect(reopened.restored).toMatchObject({ snapshotZxid: 4000n, digestMismatchCount: 0 })
  expect(again.digest).toBe(tree.digest)
  for (let n = 0; n < 4000; n++) expect(again.aclOf(again.get(`/n${n}`)!)).toEqual(tree.aclOf(tree.get(`/n${n}`)!))
  await reopened.close()
})

test('snapCount decides when snapshots are taken, and each begins a new log', async () => {
  const tree = new ZnodeTree()
  const store = await open(tree, { snapCount: 20 })
  for (let n = 0; n < 100; n++) {
    add(store, tree, create(tree, `/n${n}`))
    await store.flushed()
    store.applied(1)
    if (n % 10 === 0) await store.snapshot().catch(() => {})
  }
  await store.close()
  const names = readdirSync(files)
  expect(names.filter((name) => name.startsWith('snapshot.')).length).toBeGreaterThan(4)
  expect(names.filter((name) => name.startsWith('log.')).length).toBeGreaterThan(4)
})

test('a snapshot that cannot be read is skipped when an older one and the logs make up for it', async () => {
  const digest = await filled(35)
  writeFileSync(join(files, 'snapshot.1e'), readFileSync(join(files, 'snapshot.1e')).subarray(0, 500))
  const tree = new ZnodeTree()
  const store = await open(tree)
  expect(store.restored.repaired).toBe(true)
  expect(tree.digest).toBe(digest)
  await store.close()
})

test('a missing log is noticed, between logs and behind the snapshot', async () => {
  await filled(35)
  const logs = readdirSync(files).filter((name) => name.startsWith('log.')).sort((one, other) => parseInt(one.slice(4), 16) - parseInt(other.slice(4), 16))
  for (const snapshot of readdirSync(files).filter((name) => name.startsWith('snapshot.') && name !== 'snapshot.0')) rmSync(join(files, snapshot))
  const lost = readFileSync(join(files, logs[1]))
  rmSync(join(files, logs[1]))
  await expect(open(new ZnodeTree())).rejects.toThrow(/log\.15 at byte 16: transaction 0x15 follows 0xa.*missing/)
  writeFileSync(join(files, logs[1]), lost)
  rmSync(join(files, logs[0]))
  await expect(open(new ZnodeTree())).rejects.toThrow(/transaction 0xb follows 0x0/)
  rmSync(join(files, 'snapshot.0'))
  await expect(open(new ZnodeTree())).rejects.toThrow(/there is no snapshot, but .*log\.b holds transactions/)
})

test('logs without any snapshot are taken when the configuration trusts them', async () => {
  const digest = await filled(5)
  rmSync(join(files, 'snapshot.0'))
  const tree = new ZnodeTree()
  await (await open(tree, { trustEmptySnapshot: true })).close()
  expect(tree.digest).toBe(digest)
})

test('an empty folder is refused without autocreate, unless it is marked', async () => {
  await expect(open(new ZnodeTree(), { dbAutocreate: false })).rejects.toThrow(/zookeeper\.db\.autocreate=false/)
  writeFileSync(join(dataDir, 'initialize'), '')
  await (await open(new ZnodeTree(), { dbAutocreate: false })).close()
  expect(readdirSync(dataDir)).not.toContain('initialize')
  await expect(openStore(host, { dataDir: join(dataDir, 'none'), datadirAutocreate: false }, new ZnodeTree())).rejects.toThrow(/zookeeper\.datadir\.autocreate=false/)
})

test('swapped folders and files in the place of folders are named', async () => {
  await filled(1)
  await expect(open(new ZnodeTree(), { dataLogDir: join(dataDir, 'logs') })).rejects.toThrow(/log\.1: is a transaction log in the folder of the snapshots/)
  writeFileSync(join(dataDir, 'file'), '')
  await expect(openStore(host, { dataDir: join(dataDir, 'file') }, new ZnodeTree())).rejects.toThrow(/not a folder; correct dataDir/)
})

test('purging keeps three snapshots and every log that they need', async () => {
  const digest = await filled(75)
  const removed = await purge(host.disk, { dataDir, retainCount: 1 })
  expect(removed.map((path) => path.slice(files.length + 1))).toEqual(['snapshot.0', 'snapshot.a', 'snapshot.14', 'snapshot.1e', 'snapshot.28', 'log.1', 'log.b', 'log.15', 'log.1f'])
  const tree = new ZnodeTree()
  await (await open(tree)).close()
  expect(tree.digest).toBe(digest)
  // The oldest one that was kept can be used as well.
  for (const name of ['snapshot.46', 'snapshot.3c', 'snapshot.4b']) rmSync(join(files, name), { force: true })
  const fromOldest = new ZnodeTree()
  await (await open(fromOldest)).close()
  expect(fromOldest.digest).toBe(digest)
})

test('epochs are read and replaced as decimal text', async () => {
  mkdirSync(files)
  expect(await readEpoch(host.disk, files, 'currentEpoch')).toBeUndefined()
  await writeEpoch(host.disk, files, 'currentEpoch', 17)
  expect(readFileSync(join(files, 'currentEpoch'), 'latin1')).toBe('17')
  expect(await readEpoch(host.disk, files, 'currentEpoch')).toBe(17)
  writeFileSync(join(files, 'acceptedEpoch'), 'x1')
  await expect(readEpoch(host.disk, files, 'acceptedEpoch')).rejects.toThrow(/acceptedEpoch at byte 0: an epoch is a decimal number/)
})

test('a history is cut behind any transaction, in the middle of a log or between two, and goes on from there', async () => {
  for (const cut of [0n, 1n, 7n, 10n, 11n, 24n, 25n]) {
    const tree = new ZnodeTree()
    const store = await open(tree, { snapshotAtStart: false, recentMax: 5 })
    for (let count = 1; count <= 25; count++) {
      add(store, tree, create(tree, `/n${count}`))
      if (count % 10 !== 0) continue
      await store.flushed()
      // A new log without a snapshot: as after a restart.
      await store.reload()
    }
    await store.flushed()
    await store.truncate(cut)
    expect([tree.lastProcessedZxid, store.lastZxid]).toEqual([cut, cut])
    expect(tree.get(`/n${Number(cut) + 1}`)).toBeUndefined()
    expect(store.recent.at(-1)?.zxid).toBe(cut === 0n ? undefined : cut)
    add(store, tree, create(tree, '/other'))
    const { digest } = tree
    await store.close()
    const again = new ZnodeTree()
    await (await open(again, { snapshotAtStart: false })).close()
    expect(again.lastProcessedZxid).toBe(cut + 1n)
    expect(again.digest).toBe(digest)
    rmSync(dataDir, { recursive: true, force: true })
    mkdirSync(dataDir)
  }
})
test('snapshots that hold what is cut go too, and the last one is never given up', async () => {
  const tree = new ZnodeTree()
  const store = await open(tree, { snapshotAtStart: false })
  for (let count = 1; count <= 5; count++) add(store, tree, create(tree, `/n${count}`))
  await store.snapshot()
  await store.truncate(3n)
  expect(readdirSync(files).filter((name) => name.startsWith('snapshot'))).toEqual(['snapshot.0'])
  add(store, tree, create(tree, '/x'))
  await store.snapshot()
  rmSync(join(files, 'snapshot.0'))
  await expect(store.truncate(2n)).rejects.toThrow(/all snapshots are later/)
  await store.close()
})
test("a leader's tree becomes the start of this server's history", async () => {
  const tree = new ZnodeTree()
  const store = await open(tree, { snapshotAtStart: false })
  for (let count = 1; count <= 5; count++) add(store, tree, create(tree, `/n${count}`))
  await store.flushed()
  tree.clear()
  tree.finishRestore(0x2_0000_0007n)
  await store.install()
  add(store, tree, create(tree, '/new'))
  await store.close()
  const again = new ZnodeTree()
  await (await open(again)).close()
  expect(again.lastProcessedZxid).toBe(0x2_0000_0008n)
  expect([again.get('/n1'), again.get('/new') !== undefined]).toEqual([undefined, true])
})

/** Whatever happens to the power: what was acknowledged is there afterwards, and nothing else has changed. */
import { expect, test } from 'vitest'
import type { Host } from '../../../src/host/host.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { decodeTransaction, encodeTransaction, type TxnBody } from '../../../src/zookeeper/protocol/transactions.ts'
import { digestVersion } from '../../../src/zookeeper/znodes/digest.ts'
import { ZnodeTree } from '../../../src/zookeeper/znodes/tree.ts'
import { StorageError } from '../../../src/zookeeper/storage/storage-error.ts'
import { openStore, type StoreConfig } from '../../../src/zookeeper/storage/store.ts'
import { CrashDisk, PowerCut, type Survival } from './crash-disk.ts'

const real = nodeHost({ logger: silentLogger })
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return (state ^ (state >>> 13)) / 0x1_0000_0000 < 0 ? 0 : ((state ^ (state >>> 13)) >>> 0) / 0x1_0000_0000
  }
}
function hostOf(disk: CrashDisk, chance: () => number): Host {
  return { ...real, disk, random: { bytes: real.random.bytes, below: (below) => Math.floor(chance() * below) } }
}
const config: Partial<StoreConfig> & { dataDir: string } = { dataDir: '/data', snapCount: 8, preallocSize: 16 * 1024 }
const acl = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

/** Transaction number `n` of the story: sessions, znodes small and large, ephemerals, changes, ends. */
function bodyOf(n: number): { clientId: bigint; body: TxnBody } {
  const clientId = BigInt(1 + (n % 3))
  if (n <= 3) return { clientId, body: { type: op.createSession, timeOut: 6000 } }
  switch (n % 6) {
    case 0: return { clientId, body: { type: op.create2, path: `/n${n}`, data: Buffer.alloc((n * 37) % 700, n), acl, ephemeral: false, parentCVersion: n } }
    case 1: return { clientId, body: { type: op.create, path: `/e${n}`, data: null, acl: [{ perms: 1 + (n % 30), id: { scheme: 'ip', id: '127.0.0.1' } }], ephemeral: true, parentCVersion: n } }
    case 2: return { clientId, body: { type: op.setData, path: `/n${n - 2}`, data: Buffer.alloc(n % 5 === 0 ? 9000 : 10, n), version: 1 } }
    case 3: return { clientId, body: { type: op.setACL, path: `/n${n - 3}`, acl: [{ perms: n % 31, id: { scheme: 'world', id: 'anyone' } }], version: 1 } }
    case 4: return n % 12 === 4 ? { clientId, body: { type: op.delete, path: `/n${n - 4}` } } : { clientId, body: { type: op.error, err: -101 } }
    default: return { clientId, body: { type: op.multi, operations: [{ type: op.check, path: '/', version: 1 }, { type: op.create, path: `/m${n}`, data: Buffer.from('m'), acl, ephemeral: false, parentCVersion: n }] } }
  }
}
function transaction(n: number, tree: ZnodeTree): Buffer {
  const { clientId, body } = bodyOf(n)
  const header = { clientId, cxid: n, zxid: BigInt(n), time: 1_700_000_000_000 + n, type: body.type }
  tree.apply({ header, body })
  return encodeTransaction({ header, body, ...(body.type !== op.error && { digest: { version: digestVersion, treeDigest: tree.digest } }) })
}
/** The tree's digest after each transaction, from a tree that no disk was involved with. */
const transactionCount = 60
const story = (() => {
  const tree = new ZnodeTree()
  const bytes: Buffer[] = [Buffer.alloc(0)]
  const digests: bigint[] = [tree.digest]
  const sessions: number[] = [0]
  for (let n = 1; n <= transactionCount; n++) {
    bytes.push(transaction(n, tree))
    digests.push(tree.digest)
    sessions.push(tree.sessions.size)
  }
  return { bytes, digests, sessions }
})()

/** Lives until the power goes or the story ends; returns the last acknowledged transaction. */
async function live(disk: CrashDisk, chance: () => number, from = 1): Promise<number> {
  let acknowledged = from - 1
  try {
    const tree = new ZnodeTree()
    const store = await openStore(hostOf(disk, chance), config, tree)
    for (let n = from; n <= transactionCount; ) {
      const group = 1 + Math.floor(chance() * 4)
      const end = Math.min(transactionCount, n + group - 1)
      for (let at = n; at <= end; at++) store.append({ zxid: BigInt(at), bytes: story.bytes[at] })
      await store.flushed()
      acknowledged = end
      for (; n <= end; n++) tree.apply(decodeTransaction(story.bytes[n]))
      store.applied(group)
    }
    await store.close()
  } catch (error) {
    let cause: unknown = error
    while (cause instanceof Error && !(cause instanceof PowerCut)) cause = cause.cause
    if (!(cause instanceof PowerCut)) throw error
  }
  return acknowledged
}
async function reopened(disk: CrashDisk, chance: () => number): Promise<number> {
  const tree = new ZnodeTree()
  const store = await openStore(hostOf(disk, chance), config, tree)
  const last = Number(store.lastZxid)
  expect(store.restored.digestMismatchCount).toBe(0)
  expect(tree.digest).toBe(story.digests[last])
  expect(tree.sessions.size).toBe(story.sessions[last])
  await store.close()
  return last
}

test.each<Survival>(['nothing', 'everything', 'aPrefix', 'somePages'])('a power cut at any operation, of which %s unsynced survives, loses nothing acknowledged', async (survival) => {
  const whole = new CrashDisk()
  expect(await live(whole, seeded(1))).toBe(transactionCount)
  const operations = whole.operations
  expect(operations).toBeGreaterThan(80)
  for (let cutAt = 1; cutAt <= operations + 5; cutAt++) {
    const chance = seeded(cutAt * 7919)
    const disk = new CrashDisk()
    disk.cutAt = cutAt
    const acknowledged = await live(disk, seeded(1))
    disk.crash(survival, chance)
    const last = await reopened(disk, chance)
    expect(last, `cut at ${cutAt}`).toBeGreaterThanOrEqual(acknowledged)
    // A second life, cut as well, and a third that ends in peace.
    disk.cutAt = disk.operations + 1 + Math.floor(chance() * 60)
    const again = await live(disk, seeded(cutAt), last + 1)
    disk.crash(survival, chance)
    expect(await reopened(disk, chance), `cut at ${cutAt}, second life`).toBeGreaterThanOrEqual(again)
  }
})

test('damage to any file is found: the same state comes back, or the file is refused by name', async () => {
  const disk = new CrashDisk()
  await live(disk, seeded(1))
  const tree = new ZnodeTree()
  const names = await disk.list('/data/version-2')
  const newestLog = `log.${Math.max(...names.filter((one) => one.startsWith('log.')).map((one) => parseInt(one.slice(4), 16))).toString(16)}`
  const outcomes = { same: 0, refused: 0 }
  for (const name of names) {
    const path = `/data/version-2/${name}`
    const { length } = disk.contentOf(path)
    for (let at = 0; at < length; at += 1 + Math.floor(length / 150)) {
      const damaged = disk.fork()
      const content = Buffer.from(damaged.contentOf(path))
      content[at] ^= 1 << (at % 8)
      damaged.replaceContent(path, content)
      try {
        expect(await reopened(damaged, seeded(at)), `${name} byte ${at}`).toBe(transactionCount)
        outcomes.same++
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
        expect(error.message).toMatch(/version-2/)
        outcomes.refused++
      }
    }
    // Gone, or cut in the middle.
    for (const size of [0, 5, Math.floor(length / 2), length - 1]) {
      const damaged = disk.fork()
      damaged.replaceContent(path, damaged.contentOf(path).subarray(0, size))
      try {
        const last = await reopened(damaged, seeded(size))
        // Only the tail of the newest log can be mistaken for a write that never ended.
        if (last !== transactionCount) expect(name).toBe(newestLog)
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
      }
    }
  }
  expect(outcomes.same).toBeGreaterThan(100)
  expect(outcomes.refused).toBeGreaterThan(20)
  expect(tree.digest).toBe(story.digests[0])
})

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
import { PowerCutError, SimulatedDisk } from '../../../src/simulation/disk.ts'
import { seededRandom, type SeededRandom } from '../../../src/simulation/random.ts'

const real = nodeHost({ logger: silentLogger })
const hostOf = (disk: SimulatedDisk, random: SeededRandom): Host => ({ ...real, disk, random })
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
async function live(disk: SimulatedDisk, random: SeededRandom, from = 1): Promise<number> {
  let acknowledged = from - 1
  try {
    const tree = new ZnodeTree()
    const store = await openStore(hostOf(disk, random), config, tree)
    for (let n = from; n <= transactionCount; ) {
      const group = 1 + random.below(4)
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
    while (cause instanceof Error && !(cause instanceof PowerCutError)) cause = cause.cause
    if (!(cause instanceof PowerCutError)) throw error
  }
  return acknowledged
}
async function reopened(disk: SimulatedDisk): Promise<number> {
  const tree = new ZnodeTree()
  const store = await openStore(hostOf(disk, seededRandom(7)), config, tree)
  const last = Number(store.lastZxid)
  expect(store.restored.digestMismatchCount).toBe(0)
  expect(tree.digest).toBe(story.digests[last])
  expect(tree.sessions.size).toBe(story.sessions[last])
  await store.close()
  return last
}
/** A life without accidents, and the folder it leaves. */
async function whole(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  expect(await live(disk, seededRandom(1))).toBe(transactionCount)
  return disk
}

test.each(['synced', 'some', 'kill'] as const)('a power cut before any change, of which “%s” survives, loses nothing acknowledged', async (keep) => {
  const { changes } = await whole()
  expect(changes).toBeGreaterThan(80)
  const after = (disk: SimulatedDisk, seed: number): SimulatedDisk => (keep === 'kill' ? disk.afterKill() : disk.afterPowerCut({ seed, keep }))
  for (let cutAt = 1; cutAt <= changes + 5; cutAt++) {
    const random = seededRandom(cutAt)
    const first = new SimulatedDisk()
    first.powerCutAt = cutAt
    const acknowledged = await live(first, seededRandom(1))
    const second = after(first, cutAt)
    const last = await reopened(second)
    expect(last, `cut at ${cutAt}`).toBeGreaterThanOrEqual(acknowledged)
    // A second life, cut as well, and a third that ends in peace.
    second.powerCutAt = second.changes + random.below(60)
    const again = await live(second, random, last + 1)
    expect(await reopened(after(second, cutAt)), `cut at ${cutAt}, second life`).toBeGreaterThanOrEqual(again)
  }
})

test.each(['ENOSPC', 'EIO'])('after %s nothing is acknowledged any more, and all that was is there at the next start', async (code) => {
  for (const kind of ['write', 'sync', 'truncate', 'create'] as const) {
    const disk = new SimulatedDisk()
    let logWrites = 0
    disk.failure = (operation) => (operation.kind === kind && operation.path.includes('/log.') && ++logWrites > 3 ? code : undefined)
    const tree = new ZnodeTree()
    const store = await openStore(hostOf(disk, seededRandom(1)), config, tree)
    let acknowledged = 0
    let refused: unknown
    for (let n = 1; n <= transactionCount; n++) {
      store.append({ zxid: BigInt(n), bytes: story.bytes[n] })
      try {
        await store.flushed()
      } catch (error) {
        refused ??= error
        continue
      }
      expect(refused, 'acknowledged after a failure').toBeUndefined()
      acknowledged = n
      tree.apply(decodeTransaction(story.bytes[n]))
      store.applied(1)
    }
    expect(refused).toBeInstanceOf(StorageError)
    expect((refused as Error).message).toMatch(/version-2.*nothing more is acknowledged until the server has been restarted/)
    await expect(store.close()).rejects.toThrow(StorageError)
    disk.failure = () => undefined
    expect(await reopened(disk.afterKill()), kind).toBeGreaterThanOrEqual(acknowledged)
  }
})

test('damage to any file is found: the same state comes back, or the file is refused by name', async () => {
  const disk = await whole()
  const outcomes = { same: 0, refused: 0 }
  const logs = disk.files().filter((path) => path.includes('/log.'))
  const newestLog = `/data/version-2/log.${Math.max(...logs.map((path) => parseInt(path.slice(path.lastIndexOf('.') + 1), 16))).toString(16)}`
  for (const path of disk.files()) {
    const bytes = Buffer.from(disk.peek(path))
    for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 150)) {
      const damaged = disk.afterKill()
      const content = Buffer.from(bytes)
      content[at] ^= 1 << (at % 8)
      damaged.plant(path, content)
      try {
        expect(await reopened(damaged), `${path} byte ${at}`).toBe(transactionCount)
        outcomes.same++
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
        expect(error.message).toMatch(/version-2/)
        outcomes.refused++
      }
    }
    // Cut to nothing, or in the middle.
    for (const size of [0, 5, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const damaged = disk.afterKill()
      damaged.plant(path, bytes.subarray(0, size))
      try {
        // Only the tail of the newest log can be mistaken for a write that never ended.
        if ((await reopened(damaged)) !== transactionCount) expect(path).toBe(newestLog)
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
      }
    }
  }
  expect(outcomes.same).toBeGreaterThan(100)
  expect(outcomes.refused).toBeGreaterThan(20)
})

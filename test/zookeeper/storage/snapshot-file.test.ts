/** The file of a snapshot: Apache's bytes, compression, damage. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import type { Acl, StatPersisted } from '../../../src/zookeeper/protocol/records.ts'
import { readSnapshot, snapshotRefusal, type SnapshotFacts } from '../../../src/zookeeper/storage/snapshot-read.ts'
import { SnapshotWriter } from '../../../src/zookeeper/storage/snapshot-write.ts'
import { StorageError } from '../../../src/zookeeper/storage/storage-error.ts'
import { SlabMemory } from '../../../src/zookeeper/znodes/slabs.ts'
import { Znode } from '../../../src/zookeeper/znodes/znode.ts'
import { golden } from './golden.ts'

const { disk } = nodeHost({ logger: silentLogger })
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-snapshot-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Content {
  sessions: { id: bigint; timeoutMs: number }[]
  acls: { id: bigint; acl: Acl[] }[]
  nodes: { path: string; data: Buffer | null; aclId: bigint; stat: StatPersisted }[]
}
async function read(bytes: Buffer, suffix = ''): Promise<Content & { facts: SnapshotFacts }> {
  const path = join(folder, `snapshot.1${suffix && `.${suffix}`}`)
  writeFileSync(path, bytes)
  const content: Content = { sessions: [], acls: [], nodes: [] }
  const facts = await readSnapshot(disk, path, suffix, {
    session: (id, timeoutMs) => void content.sessions.push({ id, timeoutMs }),
    acl: (id, acl) => void content.acls.push({ id, acl }),
    node: (path, data, aclId, stat) => void content.nodes.push({ path, data, aclId, stat }),
  })
  return { ...content, facts }
}
async function write({ sessions, acls, nodes, facts }: Content & { facts: SnapshotFacts }): Promise<Buffer> {
  const path = join(folder, 'snapshot.2')
  rmSync(path, { force: true })
  const file = await disk.open(path, 'create')
  const writer = new SnapshotWriter(file)
  writer.begin()
  writer.sessions(sessions.length)
  for (const { id, timeoutMs } of sessions) writer.session(id, timeoutMs)
  writer.acls(acls.length)
  for (const { id, acl } of acls) writer.acl(id, acl)
  const memory = new SlabMemory()
  for (const { path, data, aclId, stat } of nodes) {
    writer.node(path, Number(aclId), new Znode(memory, data, Number(aclId), stat))
    if (writer.full) await writer.flush()
  }
  writer.end(facts.digest, facts.lastZxid)
  await writer.flush()
  await file.close()
  return disk.readFile(path)
}
const stat: StatPersisted = { czxid: 1n, mzxid: 2n, ctime: 3, mtime: 1795234843501, version: 5, cversion: 6, aversion: 7, ephemeralOwner: -(1n << 63n), pzxid: 8n }

test.each(['snapshot.0', 'snapshot.100000000', 'snapshot.100000010'])('Apache’s %s is read and written again to the same bytes', async (name) => {
  const content = await read(golden(name))
  expect(content.nodes[0].path).toBe('')
  expect(content.nodes.map(({ path }) => path)).toContain('/zookeeper/quota')
  expect(content.facts.digest?.version).toBe(2)
  expect(await write(content)).toEqual(golden(name))
})

test('data and trees larger than a piece survive, null and empty data stay apart', async () => {
  const nodes = [{ path: '', data: null as Buffer | null, aclId: -1n, stat }]
  for (let index = 0; index < 3000; index++) nodes.push({ path: `/ä${index}`, data: index % 2 ? Buffer.alloc(0) : null, aclId: 1n, stat: { ...stat, version: index } })
  nodes.push({ path: '/large', data: Buffer.alloc(3_000_000, 'large'), aclId: 1n, stat })
  const content = { sessions: [{ id: -5n, timeoutMs: 6000 }], acls: [{ id: 1n, acl: [{ perms: 31, id: { scheme: 'digest', id: 'a:b=' } }] }], nodes, facts: { nodeCount: nodes.length, lastZxid: 77n, digest: { zxid: 77n, version: 2, digest: -9n } } }
  // As text, because comparing megabytes element by element takes seconds.
  const shown = (of: Content & { facts: SnapshotFacts }) => ({ ...of, nodes: of.nodes.map(({ data, ...node }) => ({ ...node, data: data && data.toString('latin1') })) })
  expect(shown(await read(await write(content)))).toEqual(shown(content))
  const withoutDigest = { ...content, facts: { nodeCount: nodes.length, lastZxid: 78n } }
  expect(shown(await read(await write(withoutDigest)))).toEqual(shown(withoutDigest))
})

test('gzip and snappy snapshots are read by their suffix', async () => {
  const bytes = golden('snapshot.100000010')
  const plain = await read(bytes)
  expect(await read(gzipSync(bytes), 'gz')).toEqual(plain)
  // One block of a literal and, for the zeros of the root, an overlapping copy: what a compressor makes of them.
  const zeros = bytes.indexOf(Buffer.alloc(60))
  const literal = (part: Buffer) => Buffer.concat([Buffer.from([61 << 2, (part.length - 1) & 0xff, (part.length - 1) >> 8]), part])
  const size = bytes.length
  const block = Buffer.concat([Buffer.from([(size & 0x7f) | 0x80, size >> 7]), literal(bytes.subarray(0, zeros + 1)), Buffer.from([(58 << 2) | 2, 1, 0]), literal(bytes.subarray(zeros + 60))])
  const head = Buffer.from('82534e4150505900000000010000000100000000', 'hex')
  head.writeInt32BE(block.length, 16)
  expect(await read(Buffer.concat([head, block]), 'snappy')).toEqual(plain)
  await expect(read(Buffer.concat([head, block.subarray(0, -3)]), 'snappy')).rejects.toThrow(/snapshot\.1\.snappy: cannot be unpacked/)
  await expect(read(bytes, 'gz')).rejects.toThrow(/snapshot\.1\.gz: cannot be unpacked/)
})

test('a file that was cut off anywhere, or in which any bit was flipped, is refused with its position', async () => {
  const bytes = golden('snapshot.100000010')
  // Without the digest section the file is whole too: that is how 3.5 wrote it.
  const withoutDigest = bytes.length - 33
  for (let size = 0; size < bytes.length; size++) {
    if (size === withoutDigest) continue
    await expect(read(bytes.subarray(0, size)), `cut at ${size}`).rejects.toThrow(StorageError)
  }
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at] ^= 1 << (at % 8)
    await expect(read(flipped), `byte ${at}`).rejects.toThrow(/snapshot\.1 at byte \d+: /)
  }
})

test('lengths that the file cannot hold are refused before anything is allocated', async () => {
  const bytes = golden('snapshot.0')
  for (const at of [16, 20, 32]) {
    const absurd = Buffer.from(bytes)
    absurd.writeInt32BE(0x7fff_fff0, at)
    await expect(read(absurd)).rejects.toThrow(StorageError)
  }
})

test('what a crash left of a snapshot is recognised without reading it', async () => {
  const path = join(folder, 'snapshot.5')
  const bytes = golden('snapshot.0')
  writeFileSync(path, bytes)
  expect(await snapshotRefusal(disk, path, '')).toBeUndefined()
  writeFileSync(path, bytes.subarray(0, 100))
  expect(await snapshotRefusal(disk, path, '')).toMatch(/interrupted/)
  writeFileSync(path, '')
  expect(await snapshotRefusal(disk, path, '')).toMatch(/0 bytes/)
  expect(await snapshotRefusal(disk, path, 'gz')).toMatch(/0 bytes/)
})

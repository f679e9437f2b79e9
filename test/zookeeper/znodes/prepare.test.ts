import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Writer } from '../../../src/wire/writer.ts'
import { errorCode } from '../../../src/zookeeper/protocol/errors.ts'
import { writeMultiRequest, type MultiWriteOperation } from '../../../src/zookeeper/protocol/multi.ts'
import { createMode, op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { CheckVersionRequest, CreateRequest, CreateTTLRequest, DeleteRequest, SetACLRequest, SetDataRequest, type Acl } from '../../../src/zookeeper/protocol/records.ts'
import { decodeTransaction, encodeTransaction, type Transaction } from '../../../src/zookeeper/protocol/transactions.ts'
import { digestOf } from '../../../src/zookeeper/znodes/acl.ts'
import { Preparation, type PreparationOptions } from '../../../src/zookeeper/znodes/prepare.ts'
import { ZnodeTree, type Applied, type TreeWalk } from '../../../src/zookeeper/znodes/tree.ts'

const open: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const local = [{ scheme: 'ip', id: '127.0.0.1' }]

/** A leader and its tree, one write after the other. */
class Bench {
  readonly tree = new ZnodeTree({ extendedTypes: true, emulate353: false })
  readonly preparation: Preparation
  readonly prepared: Transaction[] = []
  ids = local
  session = 1n
  constructor(options: PreparationOptions = {}) {
    this.preparation = new Preparation(this.tree, options)
  }
  prepare(type: number, body: Buffer): Transaction {
    const transaction = this.preparation.prepare({ sessionId: this.session, cxid: 1, type, body, ids: this.ids }, 1000)
    this.prepared.push(transaction)
    return transaction
  }
  /** Applies the oldest as it would come from the log. */
  apply(): Applied {
    const transaction = this.prepared.shift() as Transaction
    const applied = this.tree.apply(decodeTransaction(encodeTransaction(transaction)))
    this.preparation.appliedUpTo(transaction.header.zxid)
    if (transaction.digest) expect(this.tree.digest).toBe(transaction.digest.treeDigest)
    return applied
  }
  write(type: number, body: Buffer): Applied {
    this.prepare(type, body)
    return this.apply()
  }
  create(path: string, { flags = 0, data = 'x', acl = open, type = op.create as number } = {}): Applied {
    return this.write(type, CreateRequest.encode({ path, data: Buffer.from(data), acl, flags }))
  }
  delete(path: string, version = -1): Applied {
    return this.write(op.delete, DeleteRequest.encode({ path, version }))
  }
  set(path: string, data: string, version = -1): Applied {
    return this.write(op.setData, SetDataRequest.encode({ path, data: Buffer.from(data), version }))
  }
  multi(operations: MultiWriteOperation[]): Applied {
    return this.write(op.multi, multiOf(operations))
  }
}
function multiOf(operations: MultiWriteOperation[]): Buffer {
  const writer = new Writer()
  writeMultiRequest(writer, operations)
  return writer.toBuffer()
}

describe('create', () => {
  test('numbers sequential znodes by creations of the parent, which deletions do not turn back', () => {
    const bench = new Bench()
    bench.create('/a')
    expect(bench.create('/a/n-', { flags: createMode.persistentSequential }).path).toBe('/a/n-0000000000')
    bench.create('/a/other')
    bench.delete('/a/n-0000000000')
    expect(bench.create('/a/', { flags: createMode.ephemeralSequential }).path).toBe('/a/0000000002')
    const stat = bench.tree.statOf(bench.tree.get('/a')!)
    expect(stat).toMatchObject({ cversion: 4, numChildren: 2 })
  })
  test('is refused in the order of the checks', () => {
    const bench = new Bench()
    bench.create('/e', { flags: createMode.ephemeral })
    expect(bench.create('/x', { flags: 7 }).err).toBe(errorCode.badArguments)
    expect(bench.create('/x', { acl: [] }).err).toBe(errorCode.invalidACL)
    expect(bench.create('/x', { acl: [{ perms: 31, id: { scheme: 'auth', id: '' } }] }).err).toBe(errorCode.invalidACL)
    expect(bench.create('/no/x').err).toBe(errorCode.noNode)
    expect(bench.create('/e').err).toBe(errorCode.nodeExists)
    expect(bench.create('/e/x').err).toBe(errorCode.noChildrenForEphemerals)
    for (const path of ['/a//b', '/a/./b', '/../b', '/b/', 'b', '/a\u0001']) expect([errorCode.badArguments, errorCode.noNode]).toContain(bench.create(path).err)
    expect(bench.create('/').err).toBe(errorCode.nodeExists)
  })
  test('a TTL is asked for by op code and flag together, and lies in its range', () => {
    const bench = new Bench()
    const ttl = (flags: number, value: bigint) => bench.write(op.createTTL, CreateTTLRequest.encode({ path: '/t', data: null, acl: open, flags, ttl: value })).err
    for (const [flags, value] of [[0, -1n], [0, 5n], [5, 0n], [5, -1n], [5, 1n << 40n], [6, 1n << 41n]] as const) expect(ttl(flags, value)).toBe(errorCode.badArguments)
    expect(ttl(5, (1n << 40n) - 1n)).toBe(0)
    expect(bench.create('/u', { flags: 5 }).err).toBe(errorCode.badArguments)
  })
  test('a refused write consumes a zxid and leaves no trace', () => {
    const bench = new Bench()
    bench.create('/a')
    const before = bench.tree.digest
    const refused = bench.prepare(op.create, CreateRequest.encode({ path: '/a', data: null, acl: open, flags: 0 }))
    expect(refused).toMatchObject({ header: { zxid: 2n, type: op.error }, body: { err: errorCode.nodeExists }, digest: undefined })
    bench.apply()
    expect(bench.tree.digest).toBe(before)
    expect(bench.tree.lastProcessedZxid).toBe(2n)
  })
  test('a body that does not decode is refused with a zxid of its own', () => {
    const bench = new Bench()
    expect(bench.write(op.create, Buffer.from('0000000a2f', 'hex')).err).toBe(errorCode.marshallingError)
    expect(bench.create('/a').err).toBe(0)
  })
})

test('versions are checked against writes that are not applied yet', () => {
  const bench = new Bench()
  bench.create('/a')
  const set = (version: number) => bench.prepare(op.setData, SetDataRequest.encode({ path: '/a', data: null, version }))
  expect(set(0).body).toMatchObject({ version: 1 })
  expect(set(1).body).toMatchObject({ version: 2 })
  expect(set(1).body).toMatchObject({ type: op.error, err: errorCode.badVersion })
  while (bench.prepared.length > 0) bench.apply()
  expect(bench.tree.get('/a')?.version).toBe(2)
  expect(bench.preparation.outstanding).toBe(0)
})

test('a multi that fails leaves nothing, and says 0, its code and −2 in order', () => {
  const bench = new Bench()
  bench.create('/a')
  const before = bench.tree.digest
  const applied = bench.multi([
    { type: op.create, path: '/b', data: null, acl: open, flags: 0 },
    { type: op.check, path: '/a', version: 7 },
    { type: op.delete, path: '/a', version: -1 },
  ])
  expect(applied.operations?.map(({ err }) => err)).toEqual([0, errorCode.badVersion, errorCode.runtimeInconsistency])
  expect(bench.tree.digest).toBe(before)
  expect(bench.create('/b').err).toBe(0)
})
test('operations of a multi see each other', () => {
  const bench = new Bench()
  const applied = bench.multi([
    { type: op.create, path: '/a', data: null, acl: open, flags: 0 },
    { type: op.create2, path: '/a/s', data: null, acl: open, flags: createMode.persistentSequential },
    { type: op.check, path: '/a', version: 0 },
    { type: op.setData, path: '/a', data: Buffer.from('1'), version: 0 },
    { type: op.delete, path: '/a/s0000000000', version: 0 },
  ])
  expect(applied.operations?.map(({ err }) => err)).toEqual([0, 0, 0, 0, 0])
  expect(bench.tree.get('/a')?.version).toBe(1)
  expect(bench.tree.get('/a')?.childCount).toBe(0)
})
test('a session takes its ephemerals with it, prepared ones too', () => {
  const bench = new Bench()
  bench.create('/e', { flags: createMode.ephemeral })
  bench.prepare(op.create, CreateRequest.encode({ path: '/f', data: null, acl: open, flags: createMode.ephemeral }))
  bench.prepare(op.delete, DeleteRequest.encode({ path: '/e', version: -1 }))
  const end = bench.prepare(op.closeSession, Buffer.alloc(0))
  expect(end.body).toMatchObject({ paths2Delete: ['/f'] })
  while (bench.prepared.length > 0) bench.apply()
  expect(bench.tree.get('/f')).toBeUndefined()
  expect(bench.tree.ephemeralCount).toBe(0)
})
test('ACLs: who may, who may not, and who may everything', () => {
  const bench = new Bench()
  const mine: Acl[] = [{ perms: 31, id: { scheme: 'digest', id: digestOf('me:secret') } }]
  bench.create('/mine', { acl: mine })
  expect(bench.set('/mine', 'y').err).toBe(errorCode.noAuth)
  expect(bench.create('/mine/x').err).toBe(errorCode.noAuth)
  bench.ids = [...local, { scheme: 'digest', id: digestOf('me:secret') }]
  expect(bench.set('/mine', 'y').err).toBe(0)
  expect(bench.create('/auth', { acl: [{ perms: 1, id: { scheme: 'auth', id: '' } }] }).err).toBe(0)
  expect(bench.tree.aclOf(bench.tree.get('/auth')!)).toEqual([{ perms: 1, id: { scheme: 'digest', id: digestOf('me:secret') } }])
  expect(bench.set('/auth', 'y').err).toBe(errorCode.noAuth)
  bench.ids = [{ scheme: 'super', id: '' }]
  expect(bench.set('/auth', 'y').err).toBe(0)
  bench.ids = local
  bench.create('/net', { acl: [{ perms: 2, id: { scheme: 'ip', id: '127.0.0.0/8' } }] })
  expect(bench.set('/net', 'y').err).toBe(0)
  bench.ids = [{ scheme: 'ip', id: '10.0.0.1' }]
  expect(bench.set('/net', 'y').err).toBe(errorCode.noAuth)
  expect(bench.create('/bad', { acl: [{ perms: 2, id: { scheme: 'ip', id: '127.0.0.0/33' } }] }).err).toBe(errorCode.invalidACL)
})
test('a hard quota refuses what goes beyond it', () => {
  const bench = new Bench({ enforceQuota: true })
  bench.create('/q')
  bench.create('/zookeeper/quota/q', { data: '' })
  bench.create('/zookeeper/quota/q/zookeeper_limits', { data: 'count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3' })
  bench.create('/zookeeper/quota/q/zookeeper_stats', { data: 'count=0,bytes=0' })
  expect(bench.tree.get('/zookeeper/quota/q/zookeeper_stats')?.data?.toString()).toBe('count=1,bytes=1')
  expect(bench.create('/q/a', { data: '1234' }).err).toBe(0)
  expect(bench.set('/q/a', '1234567890').err).toBe(errorCode.quotaExceeded)
  expect(bench.create('/q/b').err).toBe(0)
  expect(bench.create('/q/c').err).toBe(errorCode.quotaExceeded)
  bench.delete('/q/b')
  expect(bench.tree.get('/zookeeper/quota/q/zookeeper_stats')?.data?.toString()).toBe('count=2,bytes=5')
})

/** A name out of few, so that operations meet. */
const path = fc.constantFrom('/a', '/b', '/a/c', '/a/d', '/a/c/e', '/zookeeper/x', '/', '/zookeeper')
const operation = fc.oneof(
  fc.record({ type: fc.constantFrom(op.create, op.create2, op.createContainer), path, data: fc.constant(Buffer.from('data')), acl: fc.constant(open), flags: fc.constantFrom(0, 1, 2, 3) }),
  fc.record({ type: fc.constant(op.delete), path, version: fc.constantFrom(-1, 0, 1) }),
  fc.record({ type: fc.constant(op.setData), path, data: fc.option(fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes))), version: fc.constantFrom(-1, 0, 1) }),
  fc.record({ type: fc.constant(op.check), path, version: fc.constantFrom(-1, 0, 1) }),
) as fc.Arbitrary<MultiWriteOperation>
const request = fc.oneof(
  operation.map((single) => ({ type: single.type as number, body: single.type === op.delete ? DeleteRequest.encode(single) : single.type === op.setData ? SetDataRequest.encode(single) : single.type === op.check ? CheckVersionRequest.encode(single) : CreateRequest.encode(single as never) })),
  fc.array(operation, { maxLength: 4 }).map((operations) => ({ type: op.multi as number, body: multiOf(operations) })),
  path.map((at) => ({ type: op.setACL as number, body: SetACLRequest.encode({ path: at, acl: open, version: -1 }) })),
  fc.constant({ type: op.closeSession as number, body: Buffer.alloc(0) }),
)

test('whatever is prepared ahead of the tree, the digest prepared is the digest applied, and a second replay changes nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(request, fc.boolean(), fc.constantFrom(1n, 2n)), { maxLength: 60 }), (steps) => {
      const bench = new Bench()
      const log: Transaction[] = []
      for (const [{ type, body }, applyOne, session] of steps) {
        bench.session = session
        log.push(bench.prepare(type, body))
        if (applyOne) bench.apply()
      }
      while (bench.prepared.length > 0) bench.apply()
      const digest = bench.tree.digest
      // A fuzzy snapshot at the end, replayed from any point before it: same tree.
      const copy = new ZnodeTree(bench.tree.types)
      for (const transaction of log) copy.apply(transaction)
      expect(copy.digest).toBe(digest)
      expect(copy.nodeCount).toBe(bench.tree.nodeCount)
      expect(copy.approximateDataSize).toBe(bench.tree.approximateDataSize)
    }),
    { numRuns: 500 },
  )
})

test('a snapshot walked while transactions apply, then replayed, is the tree', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(request, fc.boolean()), { maxLength: 60 }), fc.nat(30), (steps, begin) => {
      const bench = new Bench()
      const log: Transaction[] = []
      let walk: TreeWalk | undefined
      let snapshot: ReturnType<ZnodeTree['beginSnapshot']> | undefined
      const written: { path: string; data: Buffer | null; aclId: number; stat: import('../../../src/zookeeper/protocol/records.ts').StatPersisted }[] = []
      const step = (): boolean => {
        let next = walk?.next()
        while (next === 'passed') next = walk?.next()
        if (!walk || next !== 'znode') return false
        const { path: at, node, aclId } = walk
        const { czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner } = node
        written.push({ path: at, data: node.data, aclId, stat: { czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeralOwner } })
        return true
      }
      steps.forEach(([{ type, body }, walkOne], at) => {
        if (at === begin) {
          snapshot = bench.tree.beginSnapshot()
          walk = snapshot.walk()
        }
        const transaction = bench.prepare(type, body)
        bench.apply()
        if (snapshot) log.push(transaction)
        if (walkOne) step()
      })
      if (!snapshot) return
      while (step());
      snapshot.close()
      const copy = new ZnodeTree(bench.tree.types)
      copy.clear()
      for (let index = 0; index < snapshot.sessionCount; index++) copy.restoreSession(snapshot.sessionIds[index], snapshot.sessionTimeouts[index])
      for (const { id, acl } of snapshot.acls) copy.restoreAcl(id, acl)
      for (const node of written) copy.restoreNode(node.path, node.data, node.aclId, node.stat)
      copy.finishRestore(snapshot.zxid)
      for (const transaction of log) copy.apply(transaction)
      expect(copy.digest).toBe(bench.tree.digest)
      expect(copy.nodeCount).toBe(bench.tree.nodeCount)
      expect([...copy.ephemerals().keys()].sort()).toEqual([...bench.tree.ephemerals().keys()].sort())
    }),
    { numRuns: 500 },
  )
})

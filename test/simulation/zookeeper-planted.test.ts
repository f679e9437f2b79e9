import { expect, test } from 'vitest'
import { runZooKeeper } from '../../src/simulation/zookeeper-run.ts'
import { ClientConnection } from '../../src/zookeeper/server/connection.ts'
import { LogWriter } from '../../src/zookeeper/storage/log-write.ts'
import { Sessions } from '../../src/zookeeper/znodes/sessions.ts'
import { ZnodeTree } from '../../src/zookeeper/znodes/tree.ts'
import { op } from '../../src/zookeeper/protocol/op-codes.ts'
import { lawBroken, withBug } from './planted.ts'

const find = (): Promise<string> => lawBroken(runZooKeeper, 12, { faultyMs: 20_000 })

const patient = { timeout: 180_000 }

test('planted: a write is answered before it is on the disk', patient, async () => {
  const law = await withBug(LogWriter.prototype, 'flushed', (flushed) => function (this: never) {
    void (flushed.call(this) as Promise<void>).catch(() => {})
    return Promise.resolve()
  }, find)
  // A client that has seen more than the server still has is turned away, until its session is over.
  expect(law).toMatch(/acknowledged|starts on|one write has one value|ordered|zxids|heard/)
})
test('planted: the log never gets some of the writes', patient, async () => {
  const law = await withBug(LogWriter.prototype, 'append', (append) => function (this: never, zxid: bigint, bytes: Buffer) {
    if (zxid % 97n !== 0n) append.call(this, zxid as never, bytes as never)
  } as never, find)
  expect(law).toMatch(/starts on|acknowledged/)
})
test('planted: a session expires early', patient, async () => {
  const law = await withBug(Sessions.prototype, 'expire', (expire) => function (this: never, now: number) {
    return expire.call(this, (now + 1_500) as never)
  } as never, find)
  expect(law).toBe('a session does not expire while its client is heard')
})
test('planted: sessions never expire', patient, async () => {
  const law = await withBug(Sessions.prototype, 'expire', () => () => [], find)
  expect(law).toBe('ephemerals die with their session')
})
test('planted: ephemerals outlive their session', patient, async () => {
  const law = await withBug(ZnodeTree.prototype, 'apply', (apply) => function (this: ZnodeTree, transaction: { header: { clientId: bigint }; body: { type: number } }) {
    if (transaction.body.type !== op.closeSession) return apply.call(this as never, transaction as never)
    this.sessions.delete(transaction.header.clientId)
    return apply.call(this as never, { ...transaction, header: { ...transaction.header, clientId: 0n }, body: { type: op.closeSession, paths2Delete: [] } } as never)
  } as never, find)
  expect(law).toMatch(/ephemerals die|bug/)
})
test('planted: a watch is told after the answer that shows the change', patient, async () => {
  const law = await withBug(ClientConnection.prototype, 'sendEvent', (send) => function (this: never, ...event: never[]) {
    void Promise.resolve().then(() => send.call(this, ...event))
  }, find)
  expect(law).toBe('a watch is told before the read that shows the change')
})
test('planted: some watches are told of nothing', patient, async () => {
  const law = await withBug(ClientConnection.prototype, 'sendEvent', (send) => function (this: never, type: number, path: string, zxid: bigint) {
    if (zxid % 13n !== 0n) send.call(this, type as never, path as never, zxid as never)
  } as never, find)
  expect(law).toMatch(/watch/)
})
test('planted: a snapshot is restored with the first value of a register', patient, async () => {
  const law = await withBug(ZnodeTree.prototype, 'restoreNode', (restore) => function (this: never, path: string, data: Buffer | null, ...rest: never[]) {
    restore.call(this, path as never, (path === '/register-1' ? Buffer.from('first') : data) as never, ...rest)
  } as never, find)
  expect(law).toMatch(/one write has one value|bug/)
})
test('planted: the numbers of sequential names begin again with the server', patient, async () => {
  const law = await withBug(ZnodeTree.prototype, 'restoreNode', (restore) => function (this: never, path: string, data: never, acl: never, stat: { cversion: number }) {
    restore.call(this, path as never, data, acl, (path === '/queue' ? { ...stat, cversion: 0 } : stat) as never)
  } as never, find)
  expect(law).toMatch(/sequential|NodeExists|bug/)
})

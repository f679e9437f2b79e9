import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import type { Connection, Host } from '../../../src/host/host.ts'
import { Writer } from '../../../src/wire/writer.ts'
import { zooKeeperConfig } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { encodeConnectRequest } from '../../../src/zookeeper/protocol/connect.ts'
import { writeMultiRequest } from '../../../src/zookeeper/protocol/multi.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import * as records from '../../../src/zookeeper/protocol/records.ts'
import { contentDigest, znodeDigest } from '../../../src/zookeeper/znodes/digest.ts'
import { MemoryStore } from '../../../src/zookeeper/znodes/memory-store.ts'
import { open } from './wire-client.ts'

/** More by flag: BAD_FRAMES=1000000 npx vitest run test/zookeeper/server/bad-input.test.ts */
const cases = Number(process.env['BAD_FRAMES'] ?? 100_000)

/** A socket without a network: what the server writes is counted, not kept. */
class FakeSocket implements Connection {
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 1
  readonly localAddress = '127.0.0.1'
  readonly localPort = 2
  readonly bufferedSize = 0
  isClosed = false
  #onData: (chunk: Buffer) => void = () => {}
  #onClose: (error: Error | undefined) => void = () => {}
  onData(handler: (chunk: Buffer) => void): void {
    this.#onData = handler
  }
  onClose(handler: (error: Error | undefined) => void): void {
    this.#onClose = handler
  }
  onDrain(): void {}
  write(): boolean {
    return true
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.destroy()
  }
  destroy(): void {
    if (this.isClosed) return
    this.isClosed = true
    queueMicrotask(() => this.#onClose(undefined))
  }
  send(bytes: Buffer): void {
    this.#onData(bytes)
  }
}
/** Numbers that look random and come again with the same seed. */
function chance(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function validRequests(): Buffer[] {
  const frame = (type: number, body: Buffer): Buffer => Buffer.concat([records.RequestHeader.encode({ xid: 1, type }), body])
  const writer = new Writer()
  writeMultiRequest(writer, [{ type: op.create, path: '/m', data: Buffer.from('x'), acl: open, flags: 0 }, { type: op.setData, path: '/m', data: null, version: -1 }, { type: op.check, path: '/', version: 0 }, { type: op.delete, path: '/m', version: -1 }])
  const multi = writer.toBuffer()
  writeMultiRequest(writer, [{ type: op.getData, path: '/', watch: true }, { type: op.getChildren, path: '/', watch: true }])
  return [
    frame(op.create, records.CreateRequest.encode({ path: '/a', data: Buffer.from('data'), acl: open, flags: 0 })),
    frame(op.create2, records.CreateRequest.encode({ path: '/a/b-', data: null, acl: open, flags: 3 })),
    frame(op.createTTL, records.CreateTTLRequest.encode({ path: '/t', data: null, acl: open, flags: 5, ttl: 100n })),
    frame(op.setData, records.SetDataRequest.encode({ path: '/a', data: Buffer.from('more'), version: -1 })),
    frame(op.setACL, records.SetACLRequest.encode({ path: '/a', acl: [{ perms: 31, id: { scheme: 'ip', id: '127.0.0.1/8' } }], version: -1 })),
    frame(op.delete, records.DeleteRequest.encode({ path: '/a', version: -1 })),
    frame(op.exists, records.ExistsRequest.encode({ path: '/a', watch: true })),
    frame(op.getChildren2, records.GetChildren2Request.encode({ path: '/', watch: true })),
    frame(op.getEphemerals, records.GetEphemeralsRequest.encode({ prefixPath: '/' })),
    frame(op.addWatch, records.AddWatchRequest.encode({ path: '/a', mode: 1 })),
    frame(op.removeWatches, records.RemoveWatchesRequest.encode({ path: '/a', type: 3 })),
    frame(op.setWatches2, records.SetWatches2.encode({ relativeZxid: 1n, dataWatches: ['/a'], existWatches: ['/x'], childWatches: ['/'], persistentWatches: [], persistentRecursiveWatches: ['/'] })),
    frame(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'digest', auth: Buffer.from('a:b') })),
    frame(op.multi, multi),
    frame(op.multiRead, writer.toBuffer()),
    frame(op.reconfig, records.ReconfigRequest.encode({ joiningServers: 'x', leavingServers: null, newMembers: null, curConfigId: -1n })),
    frame(op.whoAmI, Buffer.alloc(0)),
  ]
}
function mutated(valid: Buffer, below: (limit: number) => number): Buffer {
  const bytes = Buffer.from(valid)
  switch (below(5)) {
    case 0: return bytes.subarray(0, below(bytes.length + 1))
    case 1: {
      // An absurd length or number somewhere.
      const at = below(Math.max(1, bytes.length - 4))
      if (bytes.length >= at + 4) bytes.writeInt32BE([-1, -2, 0, 1, 0x7fffffff, -0x80000000, 0xffff][below(7)], at)
      return bytes
    }
    case 2: return Buffer.from(Array.from({ length: below(80) }, () => below(256)))
    default:
      for (let flips = 1 + below(4); flips > 0 && bytes.length > 0; flips--) bytes[below(bytes.length)] ^= 1 << below(8)
      return bytes
  }
}

test(`${cases} damaged and random frames: no crash, no lost session of somebody else, and the server still serves`, async () => {
  const real = nodeHost({ logger: silentLogger })
  const bugs: unknown[] = []
  const logger = { ...silentLogger, error: (event: string, facts?: unknown) => void bugs.push([event, facts]), named: () => logger }
  let accept: (connection: Connection) => void = () => {}
  const host: Host = {
    ...real,
    logger,
    network: { ...real.network, listen: (_at, accepted) => {
      accept = accepted
      return Promise.resolve({ host: '', port: 1, close: () => Promise.resolve() })
    } },
  }
  const config = zooKeeperConfig({ dataDir: 'unused', clientPort: 0, maxClientCnxns: 0, 'admin.enableServer': false, extendedTypesEnabled: true, 'jute.maxbuffer': 4096, globalOutstandingLimit: 1_000_000 })
  const server = await ZooKeeperServer.start(host, config, { openStore: () => Promise.resolve(new MemoryStore()) })
  const below = chance(20261121)
  const valid = validRequests()
  const framed = (payload: Buffer): Buffer => {
    const head = Buffer.alloc(4)
    head.writeInt32BE(below(200) === 0 ? below(2 ** 32) - 2 ** 31 : payload.length)
    return Buffer.concat([head, payload])
  }
  const hello = encodeConnectRequest({ protocolVersion: 0, lastZxidSeen: 0n, timeOut: 30_000, sessionId: 0n, passwd: Buffer.alloc(16), readOnly: false })
  const connected = async (): Promise<FakeSocket> => {
    for (;;) {
      const socket = new FakeSocket()
      accept(socket)
      const greeting = below(10) === 0 ? framed(mutated(hello, below)) : Buffer.concat([Buffer.from([0, 0, 0, hello.length]), hello])
      socket.send(greeting)
      // The session has to go through the log first.
      await new Promise((done) => setImmediate(done))
      await server.writes.drained()
      if (!socket.isClosed) return socket
    }
  }
  let socket = await connected()
  for (let sent = 0; sent < cases; sent++) {
    if (socket.isClosed || below(500) === 0) {
      socket.destroy()
      socket = await connected()
    }
    socket.send(framed(mutated(valid[below(valid.length)], below)))
    if (sent % 4 === 0) await new Promise((done) => setImmediate(done))
  }
  await server.writes.drained()
  // Enough of it must have come through for the rest to mean something.
  expect(server.statistics.received).toBeGreaterThan(cases / 3)
  expect(server.statistics.commits).toBeGreaterThan(cases / 20)
  expect(bugs).toEqual([])
  expect(server.load).toEqual({ requests: 0, bytes: 0 })
  expect(server.tree.digest).toBe(recomputed(server))
  await server.stop()
})

/** The digest from scratch: the running sum has not drifted. */
function recomputed(server: ZooKeeperServer): bigint {
  const { tree } = server
  let sum = 0n
  const walk = ['']
  for (let path = walk.pop(); path !== undefined; path = walk.pop()) {
    const node = tree.get(path || '/')
    if (!node) continue
    if (!path.startsWith('/zookeeper/')) sum += BigInt(znodeDigest(contentDigest(path, node.data), node))
    if (node.children) walk.push(...node.children)
  }
  return BigInt.asIntN(64, sum)
}

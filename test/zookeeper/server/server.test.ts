import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { Writer } from '../../../src/wire/writer.ts'
import { readMultiResponse, writeMultiRequest } from '../../../src/zookeeper/protocol/multi.ts'
import { Reader } from '../../../src/wire/reader.ts'
import { errorCode } from '../../../src/zookeeper/protocol/errors.ts'
import { addWatchMode, eventType, op, xid } from '../../../src/zookeeper/protocol/op-codes.ts'
import * as records from '../../../src/zookeeper/protocol/records.ts'
import { MemoryStore } from '../../../src/zookeeper/znodes/memory-store.ts'
import { digestOf } from '../../../src/zookeeper/znodes/acl.ts'
import { passwordOf } from '../../../src/zookeeper/znodes/sessions.ts'
import { zooKeeperConfig } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { open, WireClient } from './wire-client.ts'

const servers: ZooKeeperServer[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const server of servers.splice(0)) await server.stop()
})
type Settings = Partial<Parameters<typeof zooKeeperConfig>[0]>
async function start(settings: Settings = {}, store = new MemoryStore()): Promise<ZooKeeperServer> {
  const config = zooKeeperConfig({ dataDir: 'unused', clientPort: 0, clientPortAddress: '127.0.0.1', 'admin.enableServer': false, '4lw.commands.whitelist': '*', ...settings })
  const server = await ZooKeeperServer.start(nodeHost({ logger: silentLogger }), config, { openStore: () => Promise.resolve(store) })
  servers.push(server)
  return server
}
async function session(server: ZooKeeperServer, request = {}): Promise<WireClient> {
  const client = await WireClient.session(server.port, request)
  clients.push(client)
  return client
}
/** What a connection that sends these bytes is answered until the server closes. */
function say(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', failed)
    socket.on('close', () => done(text))
  })
}
const eventOf = (body: Buffer) => records.WatcherEvent.decode(body)

describe('handshake', () => {
  test('clamps the timeout, computes the password, and says readOnly only to whom said it', async () => {
    const server = await start({ tickTime: 100 })
    const modern = await session(server, { timeOut: 1 })
    expect(modern.session).toMatchObject({ timeOut: 200, readOnly: false, passwd: passwordOf(modern.sessionId) })
    expect(modern.sessionId >> 56n).toBe(1n)
    const old = await session(server, { readOnly: undefined })
    expect(old.session?.readOnly).toBeUndefined()
  })
  test('a session moves to a new connection and the old one is closed', async () => {
    const server = await start()
    const first = await session(server)
    await first.create('/e', 1)
    const second = await session(server, { sessionId: first.sessionId, passwd: passwordOf(first.sessionId) })
    await first.closed
    expect(second.sessionId).toBe(first.sessionId)
    expect((await second.request(op.exists, records.ExistsRequest, { path: '/e', watch: false })).err).toBe(0)
  })
  test('a wrong password or an unknown session is told: expired; the owner of the session stays', async () => {
    const server = await start()
    const owner = await session(server)
    for (const request of [{ sessionId: owner.sessionId }, { sessionId: 7n, passwd: passwordOf(7n) }]) {
      const refused = await session(server, request)
      expect(refused.session).toMatchObject({ timeOut: 0, sessionId: 0n, passwd: Buffer.alloc(16) })
      await refused.closed
    }
    expect((await owner.ask(op.ping, undefined, xid.ping)).xid).toBe(xid.ping)
  })
  test('a client that has seen the future is sent away without an answer', async () => {
    const server = await start()
    const client = await session(server, { lastZxidSeen: 1000n })
    await client.closed
    expect(client.session).toBeUndefined()
  })
})

describe('requests', () => {
  test('answers come in the order of the requests, reads behind the writes before them', async () => {
    const client = await session(await start())
    const sent: number[] = []
    for (let n = 0; n < 50; n++) {
      sent.push(client.send(op.create, records.CreateRequest.encode({ path: `/n${n}`, data: null, acl: open, flags: 0 })))
      sent.push(client.send(op.exists, records.ExistsRequest.encode({ path: `/n${n}`, watch: false })))
    }
    let zxid = 0n
    for (const expected of sent) {
      const reply = await client.reply()
      expect(reply).toMatchObject({ xid: expected, err: 0 })
      expect(reply.zxid >= zxid).toBe(true)
      zxid = reply.zxid
    }
  })
  test('pipelining beyond the limit of requests in progress loses nothing', async () => {
    const client = await session(await start({ globalOutstandingLimit: 3 }))
    for (let n = 0; n < 200; n++) client.send(op.create, records.CreateRequest.encode({ path: `/n${n}`, data: Buffer.alloc(1000), acl: open, flags: 0 }))
    for (let n = 0; n < 200; n++) expect((await client.reply()).err).toBe(0)
  })
  test('every kind of answer', async () => {
    const client = await session(await start({ extendedTypesEnabled: true }))
    expect(records.CreateResponse.decode((await client.create('/a')).body).path).toBe('/a')
    const two = await client.request(op.create2, records.CreateRequest, { path: '/a/b-', data: null, acl: open, flags: 2 })
    expect(records.Create2Response.decode(two.body)).toMatchObject({ path: '/a/b-0000000000', stat: { dataLength: 0, version: 0 } })
    const container = await client.request(op.createContainer, records.CreateRequest, { path: '/c', data: null, acl: open, flags: 4 })
    expect(records.Create2Response.decode(container.body)).toMatchObject({ path: '/c', stat: { ephemeralOwner: 0n } })
    const ttl = await client.request(op.createTTL, records.CreateTTLRequest, { path: '/t', data: null, acl: open, flags: 5, ttl: 100_000n })
    expect(records.Create2Response.decode(ttl.body)).toMatchObject({ path: '/t' })
    expect(records.GetDataResponse.decode((await client.request(op.getData, records.GetDataRequest, { path: '/a', watch: false })).body)).toMatchObject({ data: Buffer.from('x'), stat: { cversion: 1, numChildren: 1 } })
    expect(records.SetDataResponse.decode((await client.request(op.setData, records.SetDataRequest, { path: '/a', data: null, version: 0 })).body).stat.version).toBe(1)
    expect(records.GetChildrenResponse.decode((await client.request(op.getChildren, records.GetChildrenRequest, { path: '/', watch: false })).body).children.sort()).toEqual(['a', 'c', 't', 'zookeeper'])
    expect(records.GetChildren2Response.decode((await client.request(op.getChildren2, records.GetChildren2Request, { path: '/a', watch: false })).body)).toMatchObject({ children: ['b-0000000000'], stat: { version: 1 } })
    expect((await client.request(op.getAllChildrenNumber, records.GetAllChildrenNumberRequest, { path: '/a' })).body.readInt32BE(0)).toBe(1)
    await client.create('/e', 1)
    expect(records.GetEphemeralsResponse.decode((await client.request(op.getEphemerals, records.GetEphemeralsRequest, { prefixPath: '/' })).body).ephemerals).toEqual(['/e'])
    expect(records.SyncResponse.decode((await client.request(op.sync, records.SyncRequest, { path: '/x' })).body).path).toBe('/x')
    expect(records.WhoAmIResponse.decode((await client.ask(op.whoAmI)).body).clientInfo).toEqual([{ authScheme: 'ip', user: '127.0.0.1' }])
    expect((await client.request(op.delete, records.DeleteRequest, { path: '/a', version: -1 })).err).toBe(errorCode.notEmpty)
    expect((await client.request(op.reconfig, records.ReconfigRequest, { joiningServers: null, leavingServers: '1', newMembers: null, curConfigId: -1n })).err).toBe(errorCode.reconfigDisabled)
  })
  test('a ping is answered with xid −2, whatever number it came with', async () => {
    const client = await session(await start())
    expect(await client.ask(op.ping, undefined, 77)).toMatchObject({ xid: xid.ping, err: 0 })
  })
  test('a failed multi has no error in its header; an empty one is fine', async () => {
    const client = await session(await start())
    const writer = new Writer()
    writeMultiRequest(writer, [{ type: op.create, path: '/a', data: null, acl: open, flags: 0 }, { type: op.delete, path: '/none', version: -1 }, { type: op.check, path: '/', version: 0 }])
    const failed = await client.ask(op.multi, writer.toBuffer())
    expect(failed.err).toBe(0)
    expect(readMultiResponse(new Reader(failed.body))).toEqual([{ type: -1, err: 0 }, { type: -1, err: errorCode.noNode }, { type: -1, err: errorCode.runtimeInconsistency }])
    writeMultiRequest(writer, [])
    const empty = await client.ask(op.multi, writer.toBuffer())
    expect(readMultiResponse(new Reader(empty.body))).toEqual([])
    writeMultiRequest(writer, [{ type: op.getData, path: '/', watch: false }, { type: op.getChildren, path: '/none', watch: false }])
    const read = await client.ask(op.multiRead, writer.toBuffer())
    expect(readMultiResponse(new Reader(read.body))).toMatchObject([{ type: op.getData }, { type: -1, err: errorCode.noNode }])
  })
  test.each([0, 10, 13, 20, 99, -12])('operation %i is unimplemented: answered with zxid −1, then closed', async (type) => {
    const client = await session(await start())
    expect(await client.ask(type, Buffer.alloc(20))).toMatchObject({ zxid: -1n, err: errorCode.unimplemented })
    await client.closed
  })
  test('the end of a session is answered, then the connection is closed, and its ephemerals are gone', async () => {
    const server = await start()
    const [one, other] = [await session(server), await session(server)]
    await one.create('/e', 1)
    expect((await other.request(op.exists, records.ExistsRequest, { path: '/e', watch: true })).err).toBe(0)
    expect((await one.ask(op.closeSession)).err).toBe(0)
    await one.closed
    expect(eventOf((await other.reply()).body)).toMatchObject({ type: eventType.nodeDeleted, path: '/e' })
  })
  test('a session that falls silent expires, with everything it owned', async () => {
    const server = await start({ tickTime: 20 })
    const [silent, other] = [await session(server, { timeOut: 40 }), await session(server, { timeOut: 400 })]
    await silent.create('/e', 1)
    await other.request(op.exists, records.ExistsRequest, { path: '/e', watch: true })
    expect(eventOf((await other.reply()).body)).toMatchObject({ type: eventType.nodeDeleted, path: '/e' })
    await silent.closed
  })
})

describe('watches', () => {
  test('an event comes before the answer of the write that caused it, once, with its zxid', async () => {
    const client = await session(await start())
    await client.create('/a')
    await client.request(op.getData, records.GetDataRequest, { path: '/a', watch: true })
    await client.request(op.getChildren, records.GetChildrenRequest, { path: '/a', watch: true })
    await client.request(op.exists, records.ExistsRequest, { path: '/a/b', watch: true })
    client.send(op.create, records.CreateRequest.encode({ path: '/a/b', data: null, acl: open, flags: 0 }))
    const events = [await client.reply(), await client.reply()]
    const answer = await client.reply()
    expect(events.map(({ xid: id, zxid, body }) => ({ id, zxid, ...eventOf(body) }))).toEqual([
      { id: -1, zxid: answer.zxid, type: eventType.nodeCreated, state: 3, path: '/a/b' },
      { id: -1, zxid: answer.zxid, type: eventType.nodeChildrenChanged, state: 3, path: '/a' },
    ])
    client.send(op.setData, records.SetDataRequest.encode({ path: '/a', data: null, version: -1 }))
    expect(eventOf((await client.reply()).body)).toMatchObject({ type: eventType.nodeDataChanged, path: '/a' })
    expect((await client.reply()).err).toBe(0)
    expect((await client.request(op.setData, records.SetDataRequest, { path: '/a', data: null, version: -1 })).err).toBe(0)
  })
  test('persistent ones stay, recursive ones hear of descendants but not of changed children', async () => {
    const client = await session(await start())
    await client.create('/p')
    await client.create('/r')
    expect((await client.request(op.addWatch, records.AddWatchRequest, { path: '/p', mode: addWatchMode.persistent })).body.readInt32BE(0)).toBe(0)
    await client.request(op.addWatch, records.AddWatchRequest, { path: '/r', mode: addWatchMode.persistentRecursive })
    const eventsOf = async (path: string): Promise<[number, string][]> => {
      const events: [number, string][] = []
      client.send(op.create, records.CreateRequest.encode({ path, data: null, acl: open, flags: 0 }))
      for (let reply = await client.reply(); ; reply = await client.reply()) {
        if (reply.xid !== xid.notification) return events
        const { type, path: at } = eventOf(reply.body)
        events.push([type, at])
      }
    }
    for (const name of ['x', 'y']) {
      expect(await eventsOf(`/p/${name}`)).toEqual([[eventType.nodeChildrenChanged, '/p']])
      expect(await eventsOf(`/r/${name}`)).toEqual([[eventType.nodeCreated, `/r/${name}`]])
      expect(await eventsOf(`/r/${name}/deep`)).toEqual([[eventType.nodeCreated, `/r/${name}/deep`]])
    }
    expect((await client.request(op.checkWatches, records.CheckWatchesRequest, { path: '/p', type: 4 })).err).toBe(0)
    expect((await client.request(op.removeWatches, records.RemoveWatchesRequest, { path: '/p', type: 3 })).err).toBe(0)
    expect((await client.request(op.removeWatches, records.RemoveWatchesRequest, { path: '/p', type: 3 })).err).toBe(errorCode.noWatcher)
    expect(await eventsOf('/p/z')).toEqual([])
  })
  test('setWatches sends what was missed, with zxid −1 and before its answer, and sets the rest', async () => {
    const client = await session(await start())
    const seen = (await client.create('/old')).zxid
    await client.create('/new')
    client.send(op.setWatches2, records.SetWatches2.encode({
      relativeZxid: seen, dataWatches: ['/gone', '/new', '/old'], existWatches: ['/new', '/none'], childWatches: ['/gone', '/', '/old'], persistentWatches: ['/p'], persistentRecursiveWatches: ['/r'],
    }), xid.setWatches)
    const events: unknown[] = []
    let reply = await client.reply()
    for (; reply.xid === xid.notification; reply = await client.reply()) {
      expect(reply.zxid).toBe(-1n)
      const { type, path } = eventOf(reply.body)
      events.push([type, path])
    }
    expect(reply).toMatchObject({ xid: xid.setWatches, err: 0 })
    expect(events).toEqual([[2, '/gone'], [3, '/new'], [1, '/new'], [2, '/gone'], [4, '/']])
    client.send(op.create, records.CreateRequest.encode({ path: '/none', data: null, acl: open, flags: 0 }))
    expect(eventOf((await client.reply()).body)).toMatchObject({ type: 1, path: '/none' })
  })
  test('nobody hears of what they may not read', async () => {
    const server = await start()
    const [owner, spy] = [await session(server), await session(server)]
    await owner.ask(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'digest', auth: Buffer.from('me:secret') }), xid.auth)
    await spy.request(op.addWatch, records.AddWatchRequest, { path: '/', mode: addWatchMode.persistentRecursive })
    await owner.create('/secret', 0, null, [{ perms: 31, id: { scheme: 'digest', id: digestOf('me:secret') } }])
    await owner.create('/open')
    expect(eventOf((await spy.reply()).body)).toMatchObject({ path: '/open' })
  })
})

describe('authentication', () => {
  test('digest and super user; a wrong scheme is refused and closed', async () => {
    const server = await start({ 'DigestAuthenticationProvider.superDigest': digestOf('super:test') })
    const client = await session(server)
    const mine = [{ perms: 31, id: { scheme: 'auth', id: '' } }]
    expect((await client.create('/m', 0, null, mine)).err).toBe(errorCode.invalidACL)
    expect(await client.ask(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'digest', auth: Buffer.from('a:b') }), xid.auth)).toMatchObject({ xid: -4, zxid: 0n, err: 0 })
    expect((await client.create('/m', 0, null, mine)).err).toBe(0)
    const other = await session(server)
    expect((await other.request(op.getData, records.GetDataRequest, { path: '/m', watch: false })).err).toBe(errorCode.noAuth)
    expect((await other.request(op.exists, records.ExistsRequest, { path: '/m', watch: false })).err).toBe(errorCode.noAuth)
    await other.ask(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'digest', auth: Buffer.from('super:test') }), xid.auth)
    expect((await other.request(op.getData, records.GetDataRequest, { path: '/m', watch: false })).err).toBe(0)
    expect((await other.ask(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'nonsense', auth: null }), xid.auth)).err).toBe(errorCode.authFailed)
    await other.closed
  })
  test('digests are hidden from those who may read but not administer', async () => {
    const server = await start()
    const [owner, reader] = [await session(server), await session(server)]
    await owner.ask(op.auth, records.AuthPacket.encode({ type: 0, scheme: 'digest', auth: Buffer.from('a:b') }), xid.auth)
    const acl = [{ perms: 31, id: { scheme: 'digest', id: digestOf('a:b') } }, { perms: 1, id: { scheme: 'world', id: 'anyone' } }]
    await owner.create('/m', 0, null, acl)
    expect(records.GetACLResponse.decode((await reader.request(op.getACL, records.GetACLRequest, { path: '/m' })).body).acl?.[0].id.id).toBe('a:x')
    expect(records.GetACLResponse.decode((await owner.request(op.getACL, records.GetACLRequest, { path: '/m' })).body).acl).toEqual(acl)
  })
  test('enforced authentication answers −124 to everybody else', async () => {
    const client = await session(await start({ 'enforce.auth.enabled': true, 'enforce.auth.schemes': 'digest' }))
    expect((await client.create('/a')).err).toBe(errorCode.sessionClosedRequireSaslAuth)
    await client.closed
  })
})

describe('bad guests', () => {
  test('a frame of impossible size ends the connection, before and after the handshake', async () => {
    const server = await start()
    expect(await say(server.port, Buffer.from('7fffffff0000000000000000', 'hex'))).toBe('')
    const client = await session(server)
    client.socket.write(Buffer.from('00ffffff', 'hex'))
    await client.closed
  })
  test('TLS, HTTP and Kafka are recognised', async () => {
    const server = await start()
    expect(await say(server.port, Buffer.from('16030100a5010000a10303', 'hex'))).toBe('')
    expect(await say(server.port, 'GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 400 Bad Request[^]*ZooKeeper port/)
    expect(await say(server.port, Buffer.from('0000002200120003000000010008', 'hex'))).toBe('')
  })
  test('too many connections from one address are refused', async () => {
    const server = await start({ maxClientCnxns: 1 })
    await session(server)
    const second = await session(server)
    expect(second.session).toBeUndefined()
  })
  test('who never says a word is sent away', async () => {
    const server = await start({ 'nio.sessionlessCnxnTimeout': 40 })
    const silent = new WireClient(server.port)
    clients.push(silent)
    await silent.closed
  })
  test('when the log fails, nothing more is acknowledged and the clients are let go', async () => {
    const store = new MemoryStore()
    let failure: unknown
    const config = zooKeeperConfig({ dataDir: 'unused', clientPort: 0, clientPortAddress: '127.0.0.1', 'admin.enableServer': false })
    const server = await ZooKeeperServer.start(nodeHost({ logger: silentLogger }), config, { openStore: () => Promise.resolve(store), onFailure: (error) => (failure = error) })
    servers.push(server)
    const client = await session(server)
    store.failure = new Error('no space left on device')
    client.send(op.create, records.CreateRequest.encode({ path: '/a', data: null, acl: open, flags: 0 }))
    expect(await client.frame()).toBeUndefined()
    expect(failure).toBe(store.failure)
    expect(server.tree.get('/a')).toBeUndefined()
  })
})

describe('four-letter words and the AdminServer', () => {
  test('answer what they are asked, if the whitelist has them', async () => {
    const server = await start({ '4lw.commands.whitelist': 'ruok, mntr' })
    expect(await say(server.port, 'ruok')).toBe('imok')
    expect(await say(server.port, 'conf')).toBe('conf is not executed because it is not in the whitelist.\n')
    expect(await say(server.port, 'srvr')).toMatch(/^Zookeeper version: 3\.9[^]*\nLatency min\/avg\/max: 0\/0\.0\/0\nReceived: 0\nSent: 0\nConnections: 1\nOutstanding: 0\nZxid: 0x0\nMode: standalone\nNode count: 5\n$/)
    expect(await say(server.port, 'mntr')).toMatch(/^zk_version\t3\.9[^]*zk_server_state\tstandalone\n[^]*zk_znode_count\t5\n/)
  })
  test('all of them', async () => {
    const server = await start()
    const client = await session(server)
    await client.create('/e', 1)
    await client.request(op.getData, records.GetDataRequest, { path: '/e', watch: true })
    const id = `0x${client.sessionId.toString(16)}`
    expect(await say(server.port, 'cons')).toContain(`sid=${id},lop=GETD`)
    expect(await say(server.port, 'dump')).toContain(`${id}:\n\t/e\n`)
    expect(await say(server.port, 'wchs')).toBe('1 connections watching 1 paths\nTotal watches:1\n')
    expect(await say(server.port, 'wchc')).toBe(`${id}\n\t/e\n\n`)
    expect(await say(server.port, 'wchp')).toBe(`/e\n\t${id}\n\n`)
    expect(await say(server.port, 'conf')).toMatch(/^clientPort=\d+\n[^]*serverId=0\n$/)
    expect(await say(server.port, 'envi')).toMatch(/^Environment:\nzookeeper\.version=/)
    expect(await say(server.port, 'isro')).toBe('rw')
    expect(await say(server.port, 'stat')).toContain('Clients:\n /127.0.0.1:')
    expect(await say(server.port, 'srst')).toBe('Server stats reset.\n')
    expect(await say(server.port, 'crst')).toBe('Connection stats reset.\n')
  })
  test('HTTP gives the same as JSON', async () => {
    const server = await start({ 'admin.enableServer': true, 'admin.serverPort': 0, 'admin.serverAddress': '127.0.0.1' })
    const get = async (path: string) => (await say(server.adminPort as number, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).split('\r\n\r\n')
    const [head, body] = await get('/commands/ruok')
    expect(head).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Type: application\/json/)
    expect(body).toBe('{\n  "command" : "ruok",\n  "error" : null\n}\n')
    expect(JSON.parse((await get('/commands/mntr'))[1])).toMatchObject({ server_state: 'standalone', znode_count: 5, command: 'monitor' })
    expect(JSON.parse((await get('/commands/nonsense'))[1])).toEqual({ command: 'nonsense', error: 'Unknown command: nonsense' })
    expect((await get('/commands'))[1]).toContain('<a href="/commands/server_stats">')
    expect((await get('/'))[0]).toMatch(/^HTTP\/1.1 404/)
  })
})

test('empty containers and TTL znodes that ran out are deleted; what is in use stays', async () => {
  const server = await start({ extendedTypesEnabled: true, 'znode.container.checkIntervalMs': 10 })
  const client = await session(server)
  await client.request(op.createContainer, records.CreateRequest, { path: '/fresh', data: null, acl: open, flags: 4 })
  await client.request(op.createContainer, records.CreateRequest, { path: '/used', data: null, acl: open, flags: 4 })
  await client.create('/used/child')
  await client.request(op.exists, records.ExistsRequest, { path: '/used', watch: true })
  // It may be gone before it could be asked for.
  await client.request(op.addWatch, records.AddWatchRequest, { path: '/ttl', mode: addWatchMode.persistent })
  const gone: string[] = []
  await client.request(op.createTTL, records.CreateTTLRequest, { path: '/ttl', data: null, acl: open, flags: 5, ttl: 5n })
  client.send(op.delete, records.DeleteRequest.encode({ path: '/used/child', version: -1 }))
  while (gone.length < 2) {
    const reply = await client.reply()
    if (reply.xid === xid.notification && eventOf(reply.body).type === eventType.nodeDeleted) gone.push(eventOf(reply.body).path)
  }
  expect(gone.sort()).toEqual(['/ttl', '/used'])
  expect(server.tree.get('/fresh')).toBeDefined()
})

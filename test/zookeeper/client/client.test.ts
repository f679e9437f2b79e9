import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Host } from '../../../src/host/host.ts'
import { ZooKeeperClient, type WatchEvent } from '../../../src/zookeeper/client/client.ts'
import { MultiError, ZooKeeperError } from '../../../src/zookeeper/client/errors.ts'
import { eventually, startService, testHost, type Service } from './service.ts'

let service: Service
afterEach(() => service.stop())

test('nodes are made, read, changed and deleted; versions are checked', async () => {
  service = await startService()
  const zk = await service.client()
  expect(await zk.create('/a', 'one')).toBe('/a')
  const { data, stat } = await zk.getData('/a')
  expect([data?.toString(), stat.version, stat.dataLength]).toEqual(['one', 0, 3])
  expect((await zk.setData('/a', 'two', 0)).version).toBe(1)
  await expect(zk.setData('/a', 'three', 0)).rejects.toMatchObject({ codeName: 'BadVersion', code: -103, path: '/a' })
  expect(await zk.exists('/b')).toBeUndefined()
  await expect(zk.create('/a')).rejects.toMatchObject({ codeName: 'NodeExists' })
  await expect(zk.getData('/b')).rejects.toThrow('getData /b: NoNode')
  await zk.create('/a/b')
  await expect(zk.delete('/a')).rejects.toMatchObject({ codeName: 'NotEmpty' })
  expect((await zk.getChildren('/a')).children).toEqual(['b'])
  expect(await zk.deleteTree('/a')).toBe(2)
})

test('sequential, ephemeral, container and TTL nodes', async () => {
  service = await startService({ extendedTypes: true })
  const zk = await service.client()
  expect(await zk.create('/s-', null, { mode: 'persistentSequential' })).toBe('/s-0000000000')
  const made = await zk.createWithStat('/e-', 'x', { mode: 'ephemeralSequential' })
  expect(made.path).toBe('/e-0000000001')
  expect(made.stat.ephemeralOwner).toBe(zk.session.id)
  expect(await zk.create('/c', null, { mode: 'container' })).toBe('/c')
  expect(await zk.create('/t', null, { mode: 'persistentTtl', ttlMs: 60_000 })).toBe('/t')
  await expect(zk.create('/t2', null, { mode: 'persistentTtl', ttlMs: 0 })).rejects.toMatchObject({ codeName: 'BadArguments' })
  expect(await zk.getEphemerals()).toEqual(['/e-0000000001'])
  expect(await zk.getAllChildrenNumber('/c')).toBe(0)
  expect((await zk.whoAmI())[0].scheme).toBe('ip')
})

test('a multi is all or nothing, and says which operation was at fault', async () => {
  service = await startService()
  const zk = await service.client()
  await zk.create('/a')
  const done = await zk.multi([{ op: 'check', path: '/a', version: 0 }, { op: 'create', path: '/b', data: 'b' }, { op: 'setData', path: '/b', data: 'c', version: 0 }, { op: 'delete', path: '/a' }])
  expect(done.map(({ op }) => op)).toEqual(['check', 'create', 'setData', 'delete'])
  const refused = await zk.multi([{ op: 'create', path: '/c' }, { op: 'check', path: '/b', version: 9 }, { op: 'create', path: '/d' }]).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(MultiError)
  expect((refused as MultiError).codes).toEqual([0, -103, -2])
  expect((refused as MultiError).path).toBe('/b')
  expect(await zk.exists('/c')).toBeUndefined()
  const [one, two] = await zk.multiRead([{ op: 'getData', path: '/b' }, { op: 'getChildren', path: '/nope' }])
  expect((one as { data: Buffer }).data.toString()).toBe('c')
  expect(two).toBeInstanceOf(ZooKeeperError)
})

test('a watch fires once, before the answer that shows the change; persistent ones stay', async () => {
  service = await startService()
  const zk = await service.client()
  const seen: string[] = []
  const note = (name: string) => ({ type, path }: WatchEvent): void => void seen.push(`${name} ${type} ${path}`)
  await zk.exists('/a', { watch: note('exists') })
  await zk.addWatch('/', 'persistentRecursive', note('recursive'))
  await zk.addWatch('/a', 'persistent', note('persistent'))
  await zk.create('/a').then(() => seen.push('created'))
  await zk.getData('/a', { watch: note('data') })
  await zk.listChildren('/a', { watch: note('child') })
  await zk.setData('/a', 'x')
  await zk.create('/a/b')
  await zk.delete('/a/b')
  expect(seen).toEqual([
    'exists created /a', 'persistent created /a', 'recursive created /a', 'created',
    'data dataChanged /a', 'persistent dataChanged /a', 'recursive dataChanged /a',
    'recursive created /a/b', 'child childrenChanged /a', 'persistent childrenChanged /a',
    'recursive deleted /a/b', 'persistent childrenChanged /a',
  ])
})

test('watches are set again after a reconnect, and what was missed is caught up', async () => {
  service = await startService()
  const { port } = service
  const zk = await service.client()
  const other = await service.client()
  await zk.create('/a')
  const seen: string[] = []
  const note = ({ type, path }: WatchEvent): void => void seen.push(`${type} ${path}`)
  await zk.getData('/a', { watch: note })
  await zk.exists('/b', { watch: note })
  await zk.addWatch('/p', 'persistent', note)
  const states: string[] = []
  zk.onState((event) => void states.push(event))
  // The same session from elsewhere takes it away from the first connection, which comes back for it.
  const rival = await ZooKeeperClient.connect(testHost, { connect: `127.0.0.1:${port}`, sessionTimeoutMs: 5_000, session: zk.session })
  await other.setData('/a', 'x')
  await other.create('/b')
  rival.abandon()
  await eventually('connected again', () => states.includes('connected'))
  await other.create('/p')
  await eventually('all three were told', () => seen.length === 3)
  expect(seen.sort()).toEqual(['created /b', 'created /p', 'dataChanged /a'])
  expect(states.filter((state) => state === 'disconnected').length).toBeGreaterThan(0)
})

test('removing a watch tells it so; the server is told with the last watcher', async () => {
  service = await startService()
  const zk = await service.client()
  await zk.create('/a')
  const seen: string[] = []
  const one = ({ type }: WatchEvent): void => void seen.push(`one ${type}`)
  const two = ({ type }: WatchEvent): void => void seen.push(`two ${type}`)
  await zk.getData('/a', { watch: one })
  await zk.getData('/a', { watch: two })
  await zk.removeWatches('/a', 'data', { watcher: one })
  await zk.setData('/a', 'x')
  expect(seen).toEqual(['one dataWatchRemoved', 'two dataChanged'])
  await expect(zk.removeWatches('/a', 'any')).rejects.toMatchObject({ codeName: 'NoWatcher' })
})

test('a chroot is put before paths and taken off again, in results and events', async () => {
  service = await startService()
  const zk = await service.client()
  await zk.create('/app')
  const app = await service.client({ connect: `${service.connect}/app` })
  const seen: string[] = []
  await app.exists('/x', { watch: ({ path }) => void seen.push(path) })
  expect(await app.create('/x', 'data', { mode: 'ephemeral' })).toBe('/x')
  expect((await zk.getData('/app/x')).data?.toString()).toBe('data')
  expect(await app.getEphemerals()).toEqual(['/x'])
  expect(await app.listChildren('/')).toEqual(['x'])
  expect(seen).toEqual(['/x'])
})

test('credentials are given again after a reconnect; wrong ones end the session', async () => {
  service = await startService()
  const zk = await service.client({ auth: [{ scheme: 'digest', auth: 'user:secret' }] })
  await zk.create('/mine', 'x', { acl: [{ perms: 31, id: { scheme: 'auth', id: '' } }] })
  const stranger = await service.client()
  await expect(stranger.getData('/mine')).rejects.toMatchObject({ codeName: 'NoAuth' })
  const reconnected = new Promise<void>((done) => zk.onState((event) => event === 'connected' && done()))
  const rival = await ZooKeeperClient.connect(testHost, { connect: service.connect, sessionTimeoutMs: 5_000, session: zk.session })
  rival.abandon()
  await reconnected
  expect((await zk.getData('/mine')).data?.toString()).toBe('x')
  await stranger.addAuth('digest', 'user:secret')
  expect((await stranger.getAcl('/mine')).acl[0].id.scheme).toBe('digest')
  await expect(stranger.addAuth('nonsense', 'x')).rejects.toMatchObject({ codeName: 'AuthFailed' })
  expect(stranger.state).toBe('authFailed')
  await expect(stranger.exists('/')).rejects.toMatchObject({ codeName: 'AuthFailed' })
})

test('a session is taken over with id and password, and closing it takes its ephemeral nodes', async () => {
  service = await startService()
  const first = await service.client()
  await first.create('/e', null, { mode: 'ephemeral' })
  const { session } = first
  first.abandon()
  await expect(ZooKeeperClient.connect(testHost, { connect: service.connect, sessionTimeoutMs: 5_000, session: { id: session.id, password: Buffer.alloc(16, 1) } })).rejects.toMatchObject({ codeName: 'SessionExpired' })
  const second = await ZooKeeperClient.connect(testHost, { connect: service.connect, sessionTimeoutMs: 5_000, session })
  expect(second.session.id).toBe(session.id)
  await second.close()
  const third = await service.client()
  expect(await third.exists('/e')).toBeUndefined()
  await expect(ZooKeeperClient.connect(testHost, { connect: service.connect, sessionTimeoutMs: 5_000, session })).rejects.toMatchObject({ codeName: 'SessionExpired' })
})

test('an idle session lives by its pings; one that is abandoned expires', async () => {
  service = await startService()
  const idle = await service.client({ sessionTimeoutMs: 600 })
  const left = await service.client({ sessionTimeoutMs: 600 })
  await idle.create('/idle', null, { mode: 'ephemeral' })
  await left.create('/left', null, { mode: 'ephemeral' })
  left.abandon()
  const observer = await service.client()
  await eventually('the abandoned session has expired', async () => (await observer.exists('/left')) === undefined)
  expect(await observer.exists('/idle')).toBeDefined()
  expect(idle.state).toBe('connected')
})

test('what is on its way when the connection goes is rejected with ConnectionLoss, and the client comes back', async () => {
  service = await startService()
  const { port } = service
  const zk = await service.client()
  await service.server.stop()
  await eventually('disconnected', () => zk.state === 'connecting')
  await expect(zk.exists('/')).rejects.toMatchObject({ codeName: 'ConnectionLoss' })
  service = await startService({ port })
  await eventually('ended or back', () => zk.state !== 'connecting')
  // The new server has never heard of the session.
  expect(zk.state).toBe('expired')
  await expect(zk.exists('/')).rejects.toMatchObject({ codeName: 'SessionExpired' })
})

test('requests keep their order, and more than the limit waiting are refused at once', async () => {
  service = await startService()
  const zk = await service.client({ inFlightMax: 10, queueMax: 50 })
  await zk.create('/n', '0')
  const order: number[] = []
  await Promise.all(Array.from({ length: 50 }, (_, index) => zk.setData('/n', String(index)).then((stat) => order.push(stat.version))))
  expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
  const many = await Promise.allSettled(Array.from({ length: 60 }, () => zk.exists('/n')))
  expect(many.filter(({ status }) => status === 'rejected').length).toBe(10)
})

test('no server, a stranger, or a path that is none: errors say what was asked and what to do', async () => {
  service = await startService()
  await expect(ZooKeeperClient.connect(testHost, { connect: '127.0.0.1:1', sessionTimeoutMs: 1_000, connectTimeoutMs: 1_000 })).rejects.toThrow(/no ZooKeeper of '127.0.0.1:1' gave a session within 1000 ms \(127.0.0.1:1: .*ECONNREFUSED.*\)/)
  const stranger = await testHost.network.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    connection.onData(() => void connection.write([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]))
    connection.onClose(() => {})
  })
  await expect(ZooKeeperClient.connect(testHost, { connect: `127.0.0.1:${stranger.port}`, sessionTimeoutMs: 1_000, connectTimeoutMs: 1_000 })).rejects.toThrow(/not ZooKeeper's protocol/)
  await stranger.close()
  const zk = await service.client()
  await expect(zk.create('/a//b')).rejects.toThrow('Invalid path string "/a//b" caused by empty node name specified @3')
  await expect(zk.create('a')).rejects.toThrow('Path must start with / character')
  await expect(zk.exists('/a/../b')).rejects.toThrow('relative paths not allowed')
  await expect(ZooKeeperClient.connect(testHost, { connect: 'host:99999', sessionTimeoutMs: 1 })).rejects.toThrow("'host:99999'")
})

test('a server that takes connections and does not answer is asked anew long before the session could expire', async () => {
  service = await startService()
  // As Apache's while it is starting: the first two connections are taken, and nobody ever looks at them again.
  const taken: Socket[] = []
  const silent = createServer((socket) => {
    socket.on('error', () => {})
    if (taken.push(socket) <= 2) return
    const onward = connect(service.port, '127.0.0.1')
    onward.on('error', () => {})
    socket.pipe(onward).pipe(socket)
  })
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
  const waits: number[] = []
  const quick: Host = { ...testHost, timers: { ...testHost.timers, set: (ms, run) => (waits.push(ms), testHost.timers.set(ms / 20, run)) } }
  const { port } = silent.address() as AddressInfo
  const zk = await ZooKeeperClient.connect(quick, { connect: `127.0.0.1:${port}`, sessionTimeoutMs: 300_000, connectTimeoutMs: 3_000_000 })
  expect(waits.filter((ms) => ms === 4_000 || ms === 8_000)).toEqual([4_000, 8_000])
  expect(await zk.exists('/')).toBeDefined()
  zk.abandon()
  for (const socket of taken) socket.destroy()
  await new Promise((done) => silent.close(done))
})

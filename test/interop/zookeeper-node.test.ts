/** node-zookeeper-client, in this process: also through restarts of the server. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { gateTo } from './gate.ts'
import { until } from './process.ts'
import { describeWith, unique, where } from './programs.ts'
import { useZookeeper } from './target.ts'

/** As much of the package's API as is used here: the package is not in the tree. */
type Done<T> = (error: { name: string; getName?(): string } | null, value: T, stat?: { version: number; ephemeralOwner: Buffer }) => void
interface Event {
  name: string
  path: string
}
interface Client {
  connect(): void
  close(): void
  once(event: string, handler: () => void): void
  on(event: string, handler: (state: { name: string }) => void): void
  getSessionId(): Buffer
  create(path: string, data: Buffer | null, mode: number, done: Done<string>): void
  exists(path: string, watcher: ((event: Event) => void) | null, done: Done<{ version: number } | null>): void
  getData(path: string, watcher: ((event: Event) => void) | null, done: Done<Buffer>): void
  getChildren(path: string, watcher: ((event: Event) => void) | null, done: Done<string[]>): void
  setData(path: string, data: Buffer, version: number, done: Done<{ version: number }>): void
  remove(path: string, version: number, done: Done<undefined>): void
  transaction(): Transaction
}
interface Transaction {
  create(path: string, data?: Buffer): Transaction
  setData(path: string, data: Buffer, version?: number): Transaction
  check(path: string, version: number): Transaction
  remove(path: string, version?: number): Transaction
  commit(done: Done<{ type: number }[]>): void
}
interface Package {
  createClient(address: string, options: object): Client
  CreateMode: Record<string, number>
}

describeWith(['npm'], 'node-zookeeper-client', () => {
  const servers = useZookeeper()
  const open: Client[] = []
  const load = () => createRequire(join(where('npm'), 'package.json'))('node-zookeeper-client') as Package
  const connected = async (address = servers.zookeeper.address): Promise<Client> => {
    const client = load().createClient(address, { sessionTimeout: 40_000, spinDelay: 50 })
    open.push(client)
    client.connect()
    await new Promise<void>((resolve) => client.once('connected', resolve))
    return client
  }
  const ask = <T>(call: (done: Done<T>) => void): Promise<T> => new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))))
  const refused = <T>(call: (done: Done<T>) => void): Promise<string | undefined> => new Promise((resolve) => call((error) => resolve(error ? (error.getName?.() ?? error.name) : undefined)))
  afterEach(() => {
    for (const client of open.splice(0)) client.close()
  })

  test('znodes, sequences, versions, refusals', async () => {
    const client = await connected()
    const { CreateMode } = load()
    const parent = `/${unique('node')}`
    expect(await ask<string>((done) => client.create(parent, Buffer.from('one'), CreateMode.PERSISTENT!, done))).toBe(parent)
    expect(await ask<string>((done) => client.create(`${parent}/s`, null, CreateMode.PERSISTENT_SEQUENTIAL!, done))).toBe(`${parent}/s0000000000`)
    expect(await ask<string>((done) => client.create(`${parent}/e`, null, CreateMode.EPHEMERAL_SEQUENTIAL!, done))).toBe(`${parent}/e0000000001`)
    expect((await ask<string[]>((done) => client.getChildren(parent, null, done))).sort()).toEqual(['e0000000001', 's0000000000'])
    expect((await ask<{ version: number }>((done) => client.setData(parent, Buffer.from('two'), 0, done))).version).toBe(1)
    expect(String(await ask<Buffer>((done) => client.getData(parent, null, done)))).toBe('two')
    expect(await refused((done) => client.setData(parent, Buffer.from('x'), 0, done))).toBe('BAD_VERSION')
    expect(await refused((done) => client.create(parent, null, 0, done))).toBe('NODE_EXISTS')
    expect(await refused((done) => client.remove(parent, -1, done))).toBe('NOT_EMPTY')
    expect(await refused((done) => client.getData(`${parent}/none`, null, done))).toBe('NO_NODE')
  })

  test('a transaction is all or nothing', async () => {
    const client = await connected()
    const parent = `/${unique('node')}`
    await ask((done: Done<string>) => client.create(parent, null, 0, done))
    const done = await ask<{ type: number }[]>((callback) => client.transaction().create(`${parent}/a`, Buffer.from('1')).setData(`${parent}/a`, Buffer.from('2'), 0).check(`${parent}/a`, 1).create(`${parent}/b`).remove(`${parent}/b`).commit(callback))
    expect(done.map(({ type }) => type)).toEqual([1, 5, 13, 1, 2])
    expect(await refused((callback) => client.transaction().create(`${parent}/c`).check(`${parent}/a`, 5).commit(callback))).toBe('BAD_VERSION')
    expect(await ask<string[]>((callback) => client.getChildren(parent, null, callback))).toEqual(['a'])
  })

  test.each([{ how: 'stopped' }, { how: 'killed' }])('a server $how and started again keeps session, ephemerals, data and watches', async ({ how }) => {
    // Apache's server forgets connections that come in an early moment of its start, and this client waits for ever.
    const gate = await gateTo(servers.zookeeper.port)
    const client = await connected(gate.address)
    const { CreateMode } = load()
    const parent = `/${unique('node')}`
    const events: string[] = []
    await ask<string>((done) => client.create(parent, Buffer.from('kept'), 0, done))
    await ask<string>((done) => client.create(`${parent}/mine`, null, CreateMode.EPHEMERAL!, done))
    await ask<{ version: number } | null>((done) => client.exists(`${parent}/later`, (event) => void events.push(`${event.name} ${event.path}`), done))
    const session = client.getSessionId().toString('hex')
    const reconnected = new Promise<void>((resolve) => client.once('connected', resolve))
    await (how === 'killed' ? servers.zookeeper.kill() : servers.zookeeper.stop())
    await gate.shut()
    await servers.zookeeper.start()
    await gate.open()
    await reconnected
    expect(client.getSessionId().toString('hex')).toBe(session)
    expect(String(await ask<Buffer>((done) => client.getData(parent, null, done)))).toBe('kept')
    const other = await connected()
    expect(await ask<string[]>((done) => other.getChildren(parent, null, done))).toEqual(['mine'])
    await ask<string>((done) => other.create(`${parent}/later`, null, 0, done))
    await until('the watch', () => events.length > 0)
    expect(events).toEqual([`NODE_CREATED ${parent}/later`])
    client.close()
    await until('the ephemeral to go with its session', async () => (await ask<string[]>((done) => other.getChildren(parent, null, done))).join() === 'later')
    await gate.shut()
  })
})

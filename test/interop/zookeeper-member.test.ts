/** What a member of an ensemble does beside agreeing: reads without a quorum, and sessions that it alone knows. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { errorCode } from '../../src/zookeeper/protocol/errors.ts'
import { made, patiently } from './ensemble.ts'
import { freePort } from '../free-port.ts'
import { run, until } from './process.ts'
import { describeWith, python, where } from './programs.ts'
import { fourLetterWord, program, zookeeperMaker, zookeeperServer, type Maker, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })
const servers: Server[] = []
const clients: ZooKeeperClient[] = []
const adminPorts: number[] = []
afterEach(async () => {
  adminPorts.length = 0
  for (const client of clients.splice(0)) client.abandon()
  for (const server of servers.splice(0)) await server.dispose()
})
const address = async (): Promise<string> => `127.0.0.1:${await freePort()}:${await freePort()}`
async function ensemble(makers: readonly Maker[], config: Record<string, string | number | boolean>): Promise<Server[]> {
  const settings: Record<string, string | number | boolean> = { initLimit: 60, syncLimit: 20, preAllocSize: 64, extendedTypesEnabled: false, ...config }
  for (const at of makers.keys()) settings[`server.${at + 1}`] = await address() + (config['multiAddress.enabled'] ? `|${await address()}` : '')
  for (const [at, maker] of makers.entries()) {
    // Apache's server takes these as properties of its JVM alone.
    const adminPort = config['admin.enableServer'] ? await freePort() : undefined
    const server = await zookeeperServer({ maker, config: { ...settings, ...(adminPort !== undefined && { 'admin.serverPort': adminPort, 'admin.serverAddress': '127.0.0.1' }) }, env: { JAVA_TOOL_OPTIONS: `-Dreadonlymode.enabled=${config['readonlymode.enabled'] ?? false} -Dzookeeper.multiAddress.enabled=${config['multiAddress.enabled'] ?? false}` } })
    writeFileSync(join(server.dataDirectory, 'myid'), `${at + 1}\n`)
    servers.push(server)
    if (adminPort !== undefined) adminPorts.push(adminPort)
  }
  await Promise.all(servers.map((server) => server.start()))
  await until('all serve', async () => (await Promise.all(servers.map((server) => modeOf(server)))).every((mode) => mode === 'leader' || mode === 'follower'))
  return servers
}
const modeOf = async (server: Server): Promise<string> => /Mode: (\S+)/.exec(await fourLetterWord(server, 'srvr'))?.[1] ?? 'none'
async function connect(server: Server): Promise<ZooKeeperClient> {
  const client = await ZooKeeperClient.connect(host, { connect: server.address, sessionTimeoutMs: 40_000, connectTimeoutMs: 120_000 })
  clients.push(client)
  return client
}
const metric = async (server: Server, name: string): Promise<number> => Number(new RegExp(`zk_${name}\\t(\\d+)`).exec(await fourLetterWord(server, 'mntr'))?.[1])

describeWith(['apache', 'python', 'zkCli'], 'a member without a quorum', () => {
  test('serves reads to kazoo and to both makers’ zkCli.sh -r, and is a server as before once the quorum is back', async () => {
    const [first, second, third] = await ensemble([zookeeperMaker, zookeeperMaker, zookeeperMaker], { 'readonlymode.enabled': true, localSessionsEnabled: true, localSessionsUpgradingEnabled: true })
    const writer = await connect(first)
    await made(writer, '/a', 'one')
    await made(writer, '/a/b', 'two')
    await second.kill()
    await third.kill()
    await until('it serves without the others', async () => (await fourLetterWord(first, 'isro')) === 'ro')
    expect(await fourLetterWord(first, 'srvr')).toContain('\nMode: read-only\n')
    expect(await fourLetterWord(first, 'mntr')).toContain('zk_server_state\tread-only\n')
    expect(await python('kazoo_read_only', first.address, '/a')).toEqual({
      state: 'CONNECTED_RO', get: 'one', children: ['b'], exists: true, create: 'NotReadOnlyCallError', set: 'NotReadOnlyCallError', delete: 'NotReadOnlyCallError',
      sync: 'NotReadOnlyCallError', isro: 'ro', still: 'one', writer: 'turned away',
    })
    for (const cli of [where('zkCli'), program('zkCli.sh')]) {
      const { stdout, stderr } = await run(cli, ['-r', '-server', first.address], { input: 'get /a\nls /\ncreate /c x\nset /a y\nquit\n', env: { JVMFLAGS: '-Xmx128m -XX:TieredStopAtLevel=1' } })
      expect(stdout).toMatch(/^one$/m)
      expect(stdout).toMatch(/^\[a, zookeeper\]$/m)
      expect(stdout).toContain('state:ConnectedReadOnly')
      expect(stderr).toContain('Not a read-only call: /c')
      expect(stderr).toContain('Not a read-only call: /a')
    }
    await second.start()
    await until('a quorum again', async () => (await fourLetterWord(first, 'isro')) === 'rw')
    const again = await connect(first)
    await made(again, '/after')
    expect((await again.getData('/a')).data?.toString()).toBe('one')
  })
})

describeWith(['apache'], 'away for longer than a leader remembers', () => {
  test.each([[['ottla', 'ottla', 'apache']], [['apache', 'apache', 'ottla']]] satisfies Maker[][][])('%s: the last is sent the difference from the logs on disk', async (makers) => {
    const [first, , last] = await ensemble(makers, { snapshotSizeFactor: 0, commitLogCount: 500 })
    const before = await connect(first)
    await before.create('/away', '')
    await last.kill()
    await until('the others serve', async () => (await modeOf(first)) !== 'none')
    const client = await connect(first)
    await Promise.all(Array.from({ length: 1500 }, (_, index) => made(client, `/away/${index}`, 'data')))
    await last.start()
    const reader = await connect(last)
    await reader.sync('/')
    expect((await reader.getChildren('/away')).children).toHaveLength(1500)
    expect((await reader.getData('/away/1499')).stat).toEqual((await client.getData('/away/1499')).stat)
    const said = last.log(400)
    if (makers[2] === 'apache') expect(said).toMatch(/Getting a diff from the leader(?![\s\S]*Getting a snapshot)/)
    else expect(said.slice(said.lastIndexOf('--- ottla'))).not.toContain('the leader sends a snapshot')
  })
})

describeWith(['apache'], 'several addresses of one server', () => {
  test('members of both makers that listen at two addresses each', async () => {
    await ensemble(['apache', 'ottla', 'apache'], { 'multiAddress.enabled': true })
    const client = await connect(servers[1])
    await made(client, '/several', 'x')
    // Whoever leads is stopped: the others find each other again.
    const leader = (await Promise.all(servers.map(modeOf))).indexOf('leader')
    await servers[leader].kill()
    const others = servers.filter((_, at) => at !== leader)
    await until('the others serve', async () => (await Promise.all(others.map(modeOf))).every((mode) => mode !== 'none'))
    const reader = await connect(others[0])
    await patiently(reader, () => reader.sync('/'))
    expect((await patiently(reader, () => reader.getData('/several'))).data?.toString()).toBe('x')
  })
})
/** Names of all fields, those of lists by their first element. */
function shape(value: unknown, name = ''): string[] {
  if (Array.isArray(value)) return value.length === 0 ? [`${name}[]`] : shape(value[0], `${name}[]`)
  if (value === null || typeof value !== 'object') return [name]
  return Object.entries(value).flatMap(([key, field]) => shape(field, `${name}.${key}`)).toSorted()
}
describeWith(['apache'], 'what a follower tells of itself', () => {
  test('the same commands of the AdminServer with the same fields, and the same words, as Apache’s beside it', async () => {
    const members = await ensemble(['apache', 'ottla', 'ottla'], { 'admin.enableServer': true })
    const modes = await Promise.all(members.map(modeOf))
    // The smallest number leads nobody at a first start; of the other two, who was first in a majority does.
    const follower = modes.indexOf('follower', 1)
    expect([modes[0], modes[follower]]).toEqual(['follower', 'follower'])
    const [apache, ottla] = [members[0], members[follower]]
    const [atApache, atOttla] = [adminPorts[0], adminPorts[follower]]
    const commands = async (port: number): Promise<string[]> => [...(await (await fetch(`http://127.0.0.1:${port}/commands`)).text()).matchAll(/commands\/(\w+)/g)].map(([, name]) => name)
    const names = await commands(atApache)
    expect(names.length).toBeGreaterThan(20)
    expect(await commands(atOttla)).toEqual(expect.arrayContaining(names))
    const ask = async (port: number, name: string): Promise<Record<string, unknown>> => (await (await fetch(`http://127.0.0.1:${port}/commands/${name}`)).json()) as Record<string, unknown>
    for (const name of names) {
      // Properties of a JVM, and figures of threads and queues that are not here.
      if (name === 'system_properties' || name === 'environment' || name === 'monitor') continue
      expect({ name, shape: shape(await ask(atOttla, name)) }).toEqual({ name, shape: shape(await ask(atApache, name)) })
    }
    for (const word of ['conf', 'srvr', 'dump', 'isro', 'gtmk']) {
      // One line for each connection of the moment: how many those are is not compared.
      const keys = async (server: Server): Promise<string[]> => (await fourLetterWord(server, word)).split('\n').map((line) => line.replace(/[:=].*/, '').replace(/^\s.*|\(.*|\d.*/g, '')).filter((key) => key !== '')
      expect({ word, keys: await keys(ottla) }).toEqual({ word, keys: await keys(apache) })
    }
    const figures = async (server: Server): Promise<string[]> => [...(await fourLetterWord(server, 'mntr')).matchAll(/^zk_(\w+)/gm)].map(([, name]) => name)
    const core = /^(version|server_state|peer_state|quorum_size|synced_observers|num_alive_connections|outstanding_requests|znode_count|watch_count|ephemerals_count|approximate_data_size|(global|local)_sessions|(open|max)_file_descriptor_count|connection_drop_probability|outstanding_tls_handshake|auth_failed_count|non_mtls_\w+|uptime|packets_\w+|(avg|min|max)_latency|\w+_client_response_size)$/
    expect((await figures(ottla)).filter((name) => core.test(name)).toSorted()).toEqual((await figures(apache)).filter((name) => core.test(name)).toSorted())
  })
})

describeWith(['apache'], 'local sessions', () => {
  describe.each([[['apache', 'apache', 'ottla']], [['ottla', 'ottla', 'apache']]] satisfies Maker[][][])('%s', (makers) => {
    test('one costs no transaction, and becomes one of the ensemble by its first ephemeral', async () => {
      await ensemble(makers, { localSessionsEnabled: true, localSessionsUpgradingEnabled: true })
      for (const [at, server] of servers.entries()) {
        const client = await connect(server)
        expect(await metric(server, 'local_sessions')).toBe(1)
        await client.create(`/of${at}`, '')
        expect(await metric(server, 'local_sessions')).toBe(1)
        const before = await metric(server, 'global_sessions')
        await client.create(`/of${at}/e`, '', { mode: 'ephemeral' })
        expect(await metric(server, 'local_sessions')).toBe(0)
        expect(await metric(server, 'global_sessions')).toBe(before + 1)
        await client.setData(`/of${at}`, 'x')
      }
      const reader = await connect(servers[1])
      await reader.sync('/')
      for (const [at, client] of clients.slice(0, 3).entries()) {
        expect((await reader.getData(`/of${at}/e`)).stat.ephemeralOwner).toBe(client.session.id)
        await client.close()
      }
      await reader.sync('/')
      for (const at of servers.keys()) expect((await reader.getChildren(`/of${at}`)).children).toEqual([])
    })
    test('without upgrades an ephemeral is refused', async () => {
      await ensemble(makers, { localSessionsEnabled: true })
      for (const [at, server] of servers.entries()) {
        const client = await connect(server)
        await expect(client.create(`/e${at}`, '', { mode: 'ephemeral' })).rejects.toMatchObject({ code: errorCode.ephemeralOnLocalSession })
        await client.create(`/p${at}`, '')
        await client.close()
      }
    })
  })
})

/** Ensembles of both makers' servers, in every composition of three: writes through each, each killed in turn, joins by DIFF and by SNAP. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { freeze, made, patiently } from './ensemble.ts'
import { freePort } from '../free-port.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import { fourLetterWord, zookeeperServer, type Maker, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })

describeWith(['apache'], 'a mixed ensemble', () => {
  const servers: Server[] = []
  const clients: ZooKeeperClient[] = []
  afterEach(async () => {
    for (const client of clients.splice(0)) client.abandon()
    for (const server of servers.splice(0)) await server.dispose()
  })
  let settings: Record<string, string | number | boolean> = {}
  async function ensemble(makers: readonly Maker[], { observer }: { observer?: number } = {}): Promise<Server[]> {
    settings = { initLimit: 60, syncLimit: 10, preAllocSize: 64, extendedTypesEnabled: false }
    for (const at of makers.keys()) settings[`server.${at + 1}`] = `127.0.0.1:${await freePort()}:${await freePort()}${at + 1 === observer ? ':observer' : ''}`
    for (const [at, maker] of makers.entries()) {
      const server = await zookeeperServer({ maker, config: { ...settings, ...(at + 1 === observer && { peerType: 'observer' }) } })
      writeFileSync(join(server.dataDirectory, 'myid'), `${at + 1}\n`)
      servers.push(server)
    }
    await Promise.all(servers.map((server) => server.start()))
    return servers
  }
  async function connect(...to: Server[]): Promise<ZooKeeperClient> {
    const client = await ZooKeeperClient.connect(host, { connect: to.map(({ address }) => address).join(','), sessionTimeoutMs: 40_000, connectTimeoutMs: 120_000 })
    clients.push(client)
    return client
  }
  const modeOf = async (server: Server): Promise<string> => /Mode: (\w+)/.exec(await fourLetterWord(server, 'srvr'))?.[1] ?? 'none'
  async function agreed(): Promise<void> {
    const dumps = await Promise.all(servers.map(async (server) => {
      const client = await connect(server)
      const dump = await patiently(client, () => client.sync('/').then(() => contents(client)))
      await client.close()
      return dump
    }))
    for (const dump of dumps.slice(1)) expect(dump).toEqual(dumps[0])
  }
  async function contents(client: ZooKeeperClient, path = '/'): Promise<string[]> {
    const found: string[] = []
    for (const name of (await client.getChildren(path)).children.toSorted()) {
      if (path === '/' && name === 'zookeeper') continue
      const child = path === '/' ? `/${name}` : `${path}/${name}`
      const { data, stat } = await client.getData(child)
      found.push(`${child} ${data?.toString()} ${stat.mzxid} ${stat.mtime} ${stat.version} ${stat.cversion} ${stat.ephemeralOwner}`, ...(await contents(client, child)))
    }
    return found
  }

  for (const makers of [
    ['apache', 'apache', 'ottla'], ['ottla', 'apache', 'apache'], ['ottla', 'ottla', 'apache'], ['apache', 'ottla', 'ottla'],
  ] satisfies Maker[][]) {
    test(`${makers.join(', ')}`, async () => {
      await ensemble(makers)
      for (const [at, server] of servers.entries()) {
        const client = await connect(server)
        await made(client, `/server${at + 1}`, 'x')
        for (let count = 0; count < 5; count++) await patiently(client, () => client.create(`/server${at + 1}/n-`, `${count}`, { mode: 'persistentSequential' }))
        await made(client, `/server${at + 1}/ephemeral`, '', 'ephemeral')
        await patiently(client, () => client.setData(`/server${at + 1}`, 'y'))
        await expect(client.create(`/server${at + 1}`, 'x')).rejects.toThrow()
        if (at > 0) await client.close()
      }
      await agreed()
      // Each is killed in turn, the leader among them; the others go on, and it comes back to what they did.
      for (const [at, server] of servers.entries()) {
        const mode = await modeOf(server)
        await server.kill()
        const others = servers.filter((other) => other !== server)
        await until('the others serve', async () => (await Promise.all(others.map(modeOf))).every((found) => found !== 'none'))
        const client = await connect(...others)
        await made(client, `/without${at + 1}`, mode)
        // The last to be away lacks more than a leader keeps in memory.
        const count = at === servers.length - 1 ? 1200 : 20
        await Promise.all(Array.from({ length: count }, (_, index) => made(client, `/without${at + 1}/${index}`, 'data')))
        await client.close()
        await server.start()
        await agreed()
      }
    })
  }

  for (const makers of [['apache', 'apache', 'ottla'], ['ottla', 'ottla', 'apache']] satisfies Maker[][]) {
    test(`what a leader of ${makers[2]} logged alone is cut by a leader of ${makers[0]}`, async () => {
      await ensemble(makers)
      const [first, second, last] = servers
      // Whoever leads is stopped until the third, with the highest id, is elected.
      await until('the third leads', async () => {
        for (const server of [first, second]) if ((await modeOf(server)) === 'leader') {
          await server.kill()
          await until('another leader', async () => (await Promise.all([first, second, last].filter(({ running }) => running).map(modeOf))).includes('leader'))
          await server.start()
        }
        return (await modeOf(last)) === 'leader'
      })
      const client = await connect(last)
      await made(client, '/before')
      // Frozen, they cannot take it; killed, they never will.
      await Promise.all([first, second].map(freeze))
      const lost = ['/lost', '/lost2'].map((path) => client.create(path, '').catch(() => undefined))
      await until('it gives up', async () => (await modeOf(last)) === 'none')
      client.abandon()
      await Promise.all([...lost, last.kill(), first.kill(), second.kill()])
      await Promise.all([first.start(), second.start()])
      // Apache's leader sends a snapshot where a new epoch has transactions already, ours cuts all the same.
      if (makers[2] === 'ottla') await last.start()
      const other = await connect(first)
      await made(other, '/after')
      await other.close()
      if (makers[2] === 'apache') await last.start()
      await agreed()
      expect(last.log(400)).toMatch(makers[2] === 'ottla' ? /the log is cut/ : /Truncating log/)
    })
  }

  for (const makers of [['apache', 'apache', 'ottla'], ['ottla', 'ottla', 'apache']] satisfies Maker[][]) {
    test(`an observer of ${makers[2]} with voters of ${makers[0]}`, async () => {
      await ensemble(makers, { observer: 3 })
      expect(await modeOf(servers[2])).toBe('observer')
      const client = await connect(servers[2])
      await made(client, '/observed')
      for (let count = 0; count < 20; count++) await patiently(client, () => client.create('/observed/n-', `${count}`, { mode: 'persistentSequential' }))
      await made(client, '/observed/ephemeral', '', 'ephemeral')
      await agreed()
      await servers[2].kill()
      const other = await connect(servers[0])
      await Promise.all(Array.from({ length: 700 }, (_, index) => made(other, `/while${index}`)))
      await servers[2].start()
      await agreed()
    })
  }
})

/** One folder, two makers: what either server wrote, the other serves, after a clean stop and after a kill, and back again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient, type Acl } from '../../src/zookeeper/client/client.ts'
import { describeWith } from './programs.ts'
import { startZookeeper, type Maker, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })
const credentials = { scheme: 'digest', auth: 'owner:secret' }
const world = (perms: number): Acl => ({ perms, id: { scheme: 'world', id: 'anyone' } })

describeWith(['apache'], 'a folder of ZooKeeper', () => {
  const directories: string[] = []
  const servers: Server[] = []
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.dispose()
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
  })
  /** Snapshots every 20 to 40 transactions, so that a folder has several, and logs between them. */
  async function serve(maker: Maker, directory: string, snapCount: number): Promise<Server> {
    const server = await startZookeeper({ maker, directory, config: { snapCount, preAllocSize: 64 } })
    servers.push(server)
    return server
  }
  const connect = (server: Server, session?: { id: bigint; password: Uint8Array }) =>
    ZooKeeperClient.connect(host, { connect: server.address, sessionTimeoutMs: 60_000, connectTimeoutMs: 120_000, auth: [credentials], ...(session && { session }) })

  for (const [writer, reader] of [['apache', 'ottla'], ['ottla', 'apache']] as const) {
    for (const ending of ['stop', 'kill'] as const) {
      for (const snapCount of [40, 100_000]) {
        test(`${reader} serves what ${writer} wrote before its ${ending}, snapCount=${snapCount}, and back`, async () => {
          const directory = mkdtempSync(join(tmpdir(), 'ottla-interop-disk-'))
          directories.push(directory)
          let server = await serve(writer, directory, snapCount)
          const keeper = await connect(server)
          await furnish(keeper)
          await keeper.create('/ephemeral', 'mine', { mode: 'ephemeral' })
          const { session } = keeper
          const closing = await connect(server)
          await closing.create('/gone', '', { mode: 'ephemeral' })
          await closing.close()
          let before = await dump(keeper)
          expect(before.size).toBe(138)
          expect(before.has('/gone')).toBe(false)
          keeper.abandon()
          const makers: Maker[] = [reader, writer, reader]
          for (const [round, maker] of makers.entries()) {
            await server[ending]()
            server = await serve(maker, directory, snapCount)
            // The session lives on, with the password that any server computes, and owns its ephemeral still.
            const again = await connect(server, session)
            expect(again.session.id).toBe(session.id)
            const after = await dump(again)
            expect([...after.keys()]).toEqual([...before.keys()])
            for (const [path, node] of before) expect(after.get(path), path).toEqual(node)
            expect(await again.getEphemerals()).toEqual(['/ephemeral'])
            expect((await again.exists('/ephemeral'))?.ephemeralOwner).toBe(session.id)
            // Life goes on where it stopped: numbers of sequences, versions, quotas.
            expect(await again.create('/sequence/s-', '', { mode: 'persistentSequential' })).toBe(`/sequence/s-${String(20 + round).padStart(10, '0')}`)
            await again.setData('/many/n7', `round ${round}`)
            await again.multi([{ op: 'check', path: '/many', version: 0 }, { op: 'create', path: `/many/round${round}`, data: 'x' }, { op: 'delete', path: `/many/n${20 + round}` }])
            before = await dump(again)
            expect(String(before.get('/zookeeper/quota/many/zookeeper_stats')?.data)).toMatch(/^count=101,/)
            if (round === makers.length - 1) {
              await again.close()
              const last = await connect(server)
              expect(await last.exists('/ephemeral')).toBeUndefined()
              await last.close()
            } else again.abandon()
            // Digests are in every transaction: neither server has found one that does not fit.
            expect(server.log()).not.toMatch(/Digests are not matching|Digest mismatch|the digest of the tree is not/)
          }
        })
      }
    }
  }

  for (const [writer, reader] of [['apache', 'ottla'], ['ottla', 'apache']] as const) {
    test(`${reader} has everything that ${writer} acknowledged until it was killed while writing`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'ottla-interop-disk-'))
      directories.push(directory)
      const acknowledged = new Map<string, string>()
      let server = await serve(writer, directory, 100)
      for (let life = 0; life < 4; life++) {
        const client = await connect(server)
        const wanted = (life + 1) * 300
        const writers = Array.from({ length: 20 }, async (_, index) => {
          for (let n = 0; ; n++) {
            const path = `/w${life}-${index}-${n}`
            const data = `${n}`.repeat(1 + (n % 200))
            const made = await client.create(path, data).then(() => true, () => false)
            if (!made) return
            acknowledged.set(path, data)
            if (acknowledged.size === wanted) void server.kill()
          }
        })
        await Promise.all(writers)
        client.abandon()
        await server.kill()
        server = await serve(life % 2 === 0 ? reader : writer, directory, 100)
        const reading = await connect(server)
        for (const [path, data] of acknowledged) expect(String((await reading.getData(path)).data), path).toBe(data)
        await reading.close()
      }
      expect(acknowledged.size).toBeGreaterThanOrEqual(1200)
    })
  }
})

/** Every kind of znode, ACL and change. */
async function furnish(client: ZooKeeperClient): Promise<void> {
  await client.create('/many', 'parent')
  // The client's tools make the quota's znodes; the server keeps the counts.
  await client.create('/zookeeper/quota/many')
  await client.create('/zookeeper/quota/many/zookeeper_limits', 'count=1000,bytes=-1')
  await client.create('/zookeeper/quota/many/zookeeper_stats', 'count=0,bytes=0')
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.create(`/many/n${index}`, Buffer.alloc(index * 11, index))))
  for (let index = 0; index < 30; index++) await client.setData(`/many/n${index}`, `changed ${index}`)
  await client.create('/sequence')
  for (let index = 0; index < 20; index++) await client.create('/sequence/s-', String(index), { mode: 'persistentSequential' })
  await client.delete('/sequence/s-0000000003')
  await client.create('/container', 'c', { mode: 'container' })
  await client.create('/container/child')
  await client.create('/ttl', 't', { mode: 'persistentTtl', ttlMs: 3_600_000 })
  await client.create('/acl', 'open', { acl: [world(1), { perms: 31, id: { scheme: 'auth', id: '' } }] })
  await client.create('/acl/ip', '', { acl: [{ perms: 31, id: { scheme: 'ip', id: '127.0.0.0/8' } }, world(1)] })
  await client.setAcl('/acl/ip', [world(31)], 0)
  await client.create('/null', null)
  await client.create('/jégmező', 'ä')
  await client.create('/large', Buffer.alloc(900_000, 'large'))
  await client.multi([
    { op: 'create', path: '/multi', data: 'm' },
    { op: 'setData', path: '/multi', data: 'mm', version: 0 },
    { op: 'create', path: '/multi/child', data: null },
  ])
  const refused = await client.multi([{ op: 'create', path: '/never' }, { op: 'check', path: '/multi', version: 77 }]).then(() => false, () => true)
  expect(refused).toBe(true)
}

/** Everything that clients can see, by path; the configuration of an ensemble alone is each server's own. */
async function dump(client: ZooKeeperClient): Promise<Map<string, { data: string | null; stat: unknown; acl: unknown }>> {
  const nodes = new Map<string, { data: string | null; stat: unknown; acl: unknown }>()
  const open = ['/']
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (path === '/zookeeper/config') continue
    const { data, stat } = await client.getData(path)
    nodes.set(path, { data: data && data.toString('latin1'), stat, acl: (await client.getAcl(path)).acl })
    for (const child of (await client.listChildren(path)).sort().reverse()) open.push(path === '/' ? `/${child}` : `${path}/${child}`)
  }
  return nodes
}

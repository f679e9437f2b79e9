/** Three servers under load while each is killed and comes back: nothing acknowledged is lost, and a counter counts every success once. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import type { ZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { made, patiently } from './ensemble.ts'
import { freePort } from '../free-port.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import { fourLetterWord, zookeeperServer, type Maker, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })
const servers: Server[] = []
const clients: ZooKeeperClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.abandon()
  for (const server of servers.splice(0)) await server.dispose()
})
async function ensemble(makers: readonly Maker[], more: Record<string, number> = {}): Promise<void> {
  const lines: Record<string, string> = {}
  for (const at of makers.keys()) lines[`server.${at + 1}`] = `127.0.0.1:${await freePort()}:${await freePort()}`
  for (const [at, maker] of makers.entries()) {
    const server = await zookeeperServer({ maker, config: { initLimit: 60, syncLimit: 20, preAllocSize: 64, snapCount: 2000, extendedTypesEnabled: false, ...more, ...lines } })
    writeFileSync(join(server.dataDirectory, 'myid'), `${at + 1}\n`)
    servers.push(server)
  }
  await Promise.all(servers.map((server) => server.start()))
}
const serves = async (server: Server): Promise<boolean> => /Mode: (leader|follower)/.test(await fourLetterWord(server, 'srvr'))

describe('three Ottla servers', () => killed(['ottla', 'ottla', 'ottla']))
describeWith(['apache'], 'two Ottla servers and one of Apache', () => killed(['ottla', 'apache', 'ottla']))

function killed(makers: readonly Maker[]): void {
  test('kills and restarts under load lose nothing', async () => {
    await ensemble(makers)
    const all = servers.map(({ address }) => address)
    const acknowledged: string[] = []
    let increments = 0
    let unknown = 0
    let isOver = false
    const first = await ZooKeeperClient.connect(host, { connect: all.join(','), sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
    clients.push(first)
    await made(first, '/set')
    await made(first, '/counter', '0')
    const writer = async (at: number): Promise<void> => {
      const client = await ZooKeeperClient.connect(host, { connect: [...all.slice(at % 3), ...all.slice(0, at % 3)].join(','), sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
      clients.push(client)
      for (let count = 0; !isOver; count++) {
        await Promise.all(Array.from({ length: 8 }, async (_, index) => {
          const path = `/set/${at}-${count}-${index}`
          await client.create(path, 'x').then(() => acknowledged.push(path), () => undefined)
        }))
        const read = await client.getData('/counter').catch(() => undefined)
        if (!read) {
          await client.connected(1_000).catch(() => undefined)
          continue
        }
        await client.setData('/counter', String(Number(read.data?.toString()) + 1), read.stat.version).then(
          () => increments++,
          (error: unknown) => { if ((error as ZooKeeperError).codeName !== 'BadVersion') unknown++ },
        )
      }
    }
    const writers = [0, 1, 2, 3].map(writer)
    for (let round = 0; round < 2; round++) {
      for (const server of servers) {
        const before = acknowledged.length
        await until('writes go on', () => acknowledged.length > before + 200)
        await server.kill()
        const killed = acknowledged.length
        await until('writes go on without it', () => acknowledged.length > killed + 200)
        await server.start()
        await until('all serve', async () => (await Promise.all(servers.map(serves))).every(Boolean))
      }
    }
    isOver = true
    await Promise.all(writers)
    let digests: Set<string> | undefined
    for (const server of servers) {
      const client = await ZooKeeperClient.connect(host, { connect: server.address, sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
      clients.push(client)
      await patiently(client, () => client.sync('/'))
      const found = new Set((await patiently(client, () => client.getChildren('/set'))).children.map((name) => `/set/${name}`))
      expect(acknowledged.filter((path) => !found.has(path))).toEqual([])
      digests ??= found
      expect(found.size).toBe(digests.size)
      const count = Number((await patiently(client, () => client.getData('/counter'))).data?.toString())
      expect(count).toBeGreaterThanOrEqual(increments)
      expect(count).toBeLessThanOrEqual(increments + unknown)
    }
    expect(acknowledged.length).toBeGreaterThan(2400)
  })
}

describe('a frozen server', () => {
  test('is replaced as leader; when it wakes up it has acknowledged nothing alone, and follows', async () => {
    await ensemble(['ottla', 'ottla', 'ottla'], { syncLimit: 6 })
    const modeOf = async (server: Server): Promise<string> => /Mode: (\w+)/.exec(await fourLetterWord(server, 'srvr'))?.[1] ?? 'none'
    const modes = await Promise.all(servers.map(modeOf))
    const frozen = servers[modes.indexOf('leader')]
    const others = servers.filter((server) => server !== frozen)
    const atLeader = await ZooKeeperClient.connect(host, { connect: frozen.address, sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
    clients.push(atLeader)
    await made(atLeader, '/before')
    process.kill(-(frozen.pid as number), 'SIGSTOP')
    // Sent while nobody hears it: whatever becomes of it, it must be the same everywhere.
    const during = atLeader.create('/during', '').then(() => true, () => false)
    await until('another leader', async () => (await Promise.all(others.map(modeOf))).includes('leader'))
    const client = await ZooKeeperClient.connect(host, { connect: others.map(({ address }) => address).join(','), sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
    clients.push(client)
    await made(client, '/meanwhile')
    process.kill(-(frozen.pid as number), 'SIGCONT')
    await until('it follows', async () => (await modeOf(frozen)) === 'follower')
    const acknowledged = await during
    const found = await Promise.all(servers.map(async (server) => {
      const one = await ZooKeeperClient.connect(host, { connect: server.address, sessionTimeoutMs: 30_000, connectTimeoutMs: 120_000 })
      clients.push(one)
      await patiently(one, () => one.sync('/'))
      return (await patiently(one, () => one.getChildren('/'))).children.toSorted().join(' ')
    }))
    expect(new Set(found).size).toBe(1)
    expect(found[0]).toContain('before')
    expect(found[0]).toContain('meanwhile')
    if (acknowledged) expect(found[0]).toContain('during')
  })
})

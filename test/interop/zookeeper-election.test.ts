/** Our election driver as the third peer of two Apache servers: it finds their leader, elects with them, and is elected by them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Connection, ListenerSocket } from '../../src/host/host.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { Reader } from '../../src/wire/reader.ts'
import { LearnerInfo, packetType, QuorumPacket } from '../../src/zookeeper/protocol/quorum.ts'
import { ElectionDriver } from '../../src/zookeeper/zab/election-driver.ts'
import { hostPort } from '../../src/wire/host-port.ts'
import { readQuorumLines, type QuorumConfig } from '../../src/zookeeper/zab/quorum-config.ts'
import { freePort } from '../free-port.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import { fourLetterWord, zookeeperServer, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })
const nothing = { zxid: 0n, epoch: 0 }

describeWith(['apache'], 'an election with two Apache servers', () => {
  const servers = new Map<number, Server>()
  const drivers: ElectionDriver[] = []
  const listeners: ListenerSocket[] = []
  const held: Connection[] = []
  let config: QuorumConfig
  afterEach(async () => {
    for (const driver of drivers.splice(0)) await driver.shutdown()
    for (const connection of held.splice(0)) connection.destroy()
    for (const listener of listeners.splice(0)) await listener.close()
    for (const server of servers.values()) await server.dispose()
    servers.clear()
  })
  /** Server `own` of three is ours; the others are prepared, not started. */
  async function prepare(own: number, more: Record<string, string> = {}, role = ''): Promise<void> {
    const lines: Record<string, string> = { ...more }
    for (const id of [1, 2, 3]) lines[`server.${id}`] = `127.0.0.1:${await freePort()}:${await freePort()}${id === own ? role : ''}`
    config = readQuorumLines(Object.entries(lines).map(([key, value]) => ({ key, value })))
    for (const id of [1, 2, 3].filter((other) => other !== own)) {
      const server = await zookeeperServer({ maker: 'apache', config: { initLimit: 120, syncLimit: 60, extendedTypesEnabled: false, ...lines } })
      writeFileSync(join(server.dataDirectory, 'myid'), `${id}\n`)
      servers.set(id, server)
    }
  }
  const startAll = (): Promise<unknown> => Promise.all([...servers.values()].map((server) => server.start()))
  async function ours(serverId: number): Promise<ElectionDriver> {
    const driver = await ElectionDriver.start(host, { serverId, config })
    drivers.push(driver)
    return driver
  }
  async function leaderOf(): Promise<number> {
    return until('a leader', async () => {
      for (const [id, server] of servers) if (/Mode: leader/.test(await fourLetterWord(server, 'srvr').catch(() => ''))) return id
      return undefined
    })
  }
  /**
   * Ids of those who come to this server's quorum port to follow it. Nobody answers them there, and they wait. Who is hung up on looks again: what
   * one settled server says is no quorum, so two of three who look elect one of themselves, however loudly the third says that it leads.
   */
  async function followersOf(serverId: number): Promise<Set<number>> {
    const ids = new Set<number>()
    const { host: at, quorumPort } = config.servers.get(serverId)!.addresses[0]
    listeners.push(await host.network.listen({ host: at, port: quorumPort }, (connection) => {
      held.push(connection)
      let received = Buffer.alloc(0)
      connection.onClose(() => {})
      connection.onData((chunk) => {
        received = Buffer.concat([received, chunk])
        if (received.length < 40) return
        const packet = QuorumPacket.read(new Reader(received))
        if (packet.type === packetType.followerInfo && packet.data) ids.add(Number(LearnerInfo.decode(packet.data).serverid))
      })
    }))
    return ids
  }

  for (const own of [1, 3])
    test(`server ${own} comes late and finds the leader; when it is killed, the two that are left elect`, async () => {
      await prepare(own)
      await startAll()
      const leader = await leaderOf()
      const driver = await ours(own)
      const vote = await driver.lookForLeader(nothing)
      expect(vote).toMatchObject({ leader, peerEpoch: 1 })
      expect(driver.state).toBe('following')
      driver.setState('following', vote)
      await servers.get(leader)?.kill()
      const left = own === 1 ? (leader === 2 ? 3 : 2) : leader === 1 ? 2 : 1
      // Nobody wrote anything, so that what is left beats our empty history by its epoch, whatever its id.
      const next = await driver.lookForLeader(nothing)
      expect(next.leader).toBe(left)
      expect(next.electionEpoch).toBeGreaterThan(vote.electionEpoch)
    })

  test('the best history is ours: both Apache servers come to follow the smallest id, the second a while after the first', async () => {
    await prepare(1)
    const followers = await followersOf(1)
    const driver = await ours(1)
    const looking = driver.lookForLeader({ zxid: 0x500000007n, epoch: 5 })
    // They do not serve clients before their leader does, which never happens here.
    servers.get(2)!.start().catch(() => {})
    expect(await looking).toEqual({ leader: 1, zxid: 0x500000007n, electionEpoch: 1, peerEpoch: 5 })
    await until('server 2 follows', () => followers.has(2))
    servers.get(3)!.start().catch(() => {})
    await until('server 3 follows', () => followers.has(3))
  })

  test('as an observer, ours has no vote and finds the leader', async () => {
    await prepare(3, {}, ':observer')
    await startAll()
    const driver = await ours(3)
    expect(await driver.lookForLeader({ zxid: 0x900000000n, epoch: 9 })).toMatchObject({ leader: await leaderOf() })
    expect(driver.state).toBe('observing')
  })

  test('with groups and weights: who has more than half of the weight is a quorum alone, and the others follow', async () => {
    await prepare(3, { 'group.1': '1:2:3', 'weight.3': '3' })
    const followers = await followersOf(3)
    const driver = await ours(3)
    expect(await driver.lookForLeader(nothing)).toMatchObject({ leader: 3 })
    startAll().catch(() => {})
    await until(`both follow server 3 at ${hostPort('127.0.0.1', config.servers.get(3)!.addresses[0].quorumPort)}`, () => followers.size === 2)
  })
})

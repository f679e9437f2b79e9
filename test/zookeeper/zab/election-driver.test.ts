import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Host, Logger, LogFacts } from '../../../src/host/host.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { freePort } from '../../free-port.ts'
import { ElectionDriver, ElectionStopped, type ElectionDriverSettings } from '../../../src/zookeeper/zab/election-driver.ts'
import { encodeInitial, frameOf, readInitial } from '../../../src/zookeeper/zab/election-handshake.ts'
import { decodeNotification, encodeNotification } from '../../../src/zookeeper/zab/notification.ts'
import { quorumConfig, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import type { ServerId, Vote } from '../../../src/zookeeper/zab/vote.ts'

const drivers = new Set<ElectionDriver>()
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await Promise.all([...drivers].map((driver) => driver.shutdown()))
  drivers.clear()
  sockets.clear()
})

/** Keeps what is logged, and lets a test wait for it. */
class Log implements Logger {
  readonly lines: { event: string; facts: LogFacts }[] = []
  readonly #waiting: { event: string; heard: (facts: LogFacts) => void }[] = []
  readonly #add = (event: string, facts: LogFacts = {}): void => {
    this.lines.push({ event, facts })
    for (const { event: wanted, heard } of this.#waiting) if (event === wanted) heard(facts)
  }
  debug = this.#add
  info = this.#add
  warn = this.#add
  error = this.#add
  named = (): Logger => this
  heard(event: string): Promise<LogFacts> {
    const line = this.lines.find((said) => said.event === event)
    return line ? Promise.resolve(line.facts) : new Promise((heard) => this.#waiting.push({ event, heard }))
  }
}
const hostWith = (log: Log): Host => nodeHost({ logger: log })

async function ensemble(size: number): Promise<QuorumConfig> {
  const ports = await Promise.all(Array.from({ length: size }, freePort))
  // Nobody listens at the quorum ports here.
  return quorumConfig({ servers: ports.map((electionPort, index) => ({ id: index + 1, addresses: [{ host: '127.0.0.1', quorumPort: index + 1, electionPort }] as const, role: 'participant' as const, client: undefined })) })
}
async function start(serverId: ServerId, config: QuorumConfig, log = new Log(), more: Partial<ElectionDriverSettings> = {}): Promise<ElectionDriver> {
  const driver = await ElectionDriver.start(hostWith(log), { serverId, config, ...more })
  drivers.add(driver)
  return driver
}
const portOf = (config: QuorumConfig, id: ServerId): number => config.servers.get(id)?.addresses[0].electionPort ?? 0
function dial(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  sockets.add(socket)
  return socket
}
const closed = (socket: Socket): Promise<void> => new Promise((done) => void socket.once('close', () => done()).resume())

test('three servers elect the best history over their election ports; all agree; the leader stops and the others elect again; it comes back and joins', async () => {
  const config = await ensemble(3)
  const servers = await Promise.all([1, 2, 3].map((id) => start(id, config)))
  const votes = await Promise.all(servers.map((server, index) => server.lookForLeader({ zxid: index === 1 ? 5n : 4n, epoch: 0 })))
  expect(votes).toEqual(Array.from({ length: 3 }, (): Vote => ({ leader: 2, zxid: 5n, electionEpoch: 1, peerEpoch: 0 })))
  expect(servers.map(({ state }) => state)).toEqual(['following', 'leading', 'following'])
  for (const server of servers) server.setState(server.state as 'leading', { ...votes[0], peerEpoch: 1 })

  await servers[1].shutdown()
  const again = await Promise.all([servers[0], servers[2]].map((server) => server.lookForLeader({ zxid: 5n, epoch: 1 })))
  expect(again).toEqual([{ leader: 3, zxid: 5n, electionEpoch: 2, peerEpoch: 1 }, { leader: 3, zxid: 5n, electionEpoch: 2, peerEpoch: 1 }])
  for (const server of [servers[0], servers[2]]) server.setState(server.state as 'leading', { ...again[0], peerEpoch: 2 })

  const back = await start(2, config)
  expect(await back.lookForLeader({ zxid: 5n, epoch: 1 })).toEqual({ leader: 3, zxid: 5n, electionEpoch: 2, peerEpoch: 2 })
  expect(back.state).toBe('following')
})

test('the smallest id, too, reaches everybody when it comes last: it introduces itself and is called back', async () => {
  const config = await ensemble(3)
  const first = await Promise.all([2, 3].map((id) => start(id, config)))
  expect((await Promise.all(first.map((server) => server.lookForLeader({ zxid: 0n, epoch: 0 })))).map(({ leader }) => leader)).toEqual([3, 3])
  const late = await start(1, config)
  expect((await late.lookForLeader({ zxid: 0n, epoch: 0 })).leader).toBe(3)
})

test('an election that is stopped says so, and a port that is taken is named', async () => {
  const config = await ensemble(3)
  const log = new Log()
  const alone = await start(1, config, log)
  const looking = alone.lookForLeader({ zxid: 0n, epoch: 0 })
  const unreachable = await log.heard('peer is unreachable at its election port')
  expect([`127.0.0.1:${portOf(config, 2)}`, `127.0.0.1:${portOf(config, 3)}`]).toContain(unreachable.address)
  expect(alone.contacts().some(({ unreachableSince }) => unreachableSince !== undefined)).toBe(true)
  await expect(start(1, config, new Log(), { bindRetries: 1 })).rejects.toThrow(/^election port 127\.0\.0\.1:\d+ of server\.1 cannot be bound: .*EADDRINUSE/)
  await alone.shutdown()
  await expect(looking).rejects.toBeInstanceOf(ElectionStopped)
  await expect(alone.lookForLeader({ zxid: 0n, epoch: 0 })).rejects.toBeInstanceOf(ElectionStopped)
})

describe('bad input at the election port', () => {
  test.each([
    ['an unknown version', 'ffffffffffff0002', /protocol version -65534 on an election port; -65536 and -65535 are known/],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n').toString('hex'), /is no server id/],
    ['an address beyond all measure', `${'ffffffffffff0000'}${'0000000000000003'}${'7fffffff'}`, /address of 2147483647 bytes/],
    ['a negative id', `${'ffffffffffff0000'}${'fffffffffffffff0'}${'00000001'}`, /-16 is no server id/],
    ['no address', `${'ffffffffffff0000'}${'0000000000000003'}${'00000003'}${'414141'}`, /"AAA" is no election address/],
  ])('%s ends the connection with a sentence in the log', async (_, hex, says) => {
    const config = await ensemble(3)
    const log = new Log()
    await start(1, config, log)
    const socket = dial(portOf(config, 1))
    socket.write(Buffer.from(hex, 'hex'))
    await closed(socket)
    expect((await log.heard('a stranger at the election port')).error).toMatch(says)
  })
  test('who says nothing is hung up on', async () => {
    const config = await ensemble(3)
    await start(1, config, new Log(), { handshakeTimeoutMs: 20 })
    await closed(dial(portOf(config, 1)))
  })
  test('a server with the same myid is named', async () => {
    const config = await ensemble(3)
    const log = new Log()
    await start(1, config, log)
    const socket = dial(portOf(config, 1))
    socket.write(encodeInitial(1, [{ host: '10.0.0.9', port: 3888 }], false))
    await closed(socket)
    expect(await log.heard('another server has the same myid; every server needs one of its own')).toMatchObject({ myid: 1, says: '10.0.0.9:3888' })
  })
  test('a peer that sends a length beyond all measure is cut off; half a notification is waited for; nonsense in a frame is skipped', async () => {
    const config = await ensemble(3)
    const log = new Log()
    const server = await start(1, config, log)
    const looking = server.lookForLeader({ zxid: 0n, epoch: 0 })
    const wild = dial(portOf(config, 1))
    wild.write(Buffer.concat([encodeInitial(2, [{ host: '127.0.0.1', port: portOf(config, 2) }], false), Buffer.from('7fffffff', 'hex')]))
    await closed(wild)
    expect((await log.heard('a peer does not speak the language of elections')).error).toMatch(/2147483647 bytes/)

    const peer = dial(portOf(config, 1))
    peer.write(encodeInitial(3, [{ host: '127.0.0.1', port: portOf(config, 3) }], false))
    peer.write(Buffer.concat(frameOf(Buffer.from('0000000900000000', 'hex'))))
    await log.heard('a notification cannot be read')
    const vote = encodeNotification({ state: 'looking', vote: { leader: 3, zxid: 0n, electionEpoch: 1, peerEpoch: 0 }, config: undefined })
    const bytes = Buffer.concat(frameOf(vote))
    peer.write(bytes.subarray(0, 11))
    peer.write(bytes.subarray(11))
    expect((await looking).leader).toBe(3)
  })
})

test('where another program listens at the election port of a peer and hangs up, it is said once and called less and less often', async () => {
  const config = await ensemble(3)
  const log = new Log()
  let calls = 0
  let called: (() => void) | undefined
  const host = hostWith(log)
  const thirdCall = new Promise<void>((done) => { called = () => { if (++calls === 3) done() } })
  const other = await host.network.listen({ host: '127.0.0.1', port: portOf(config, 1) }, (connection) => {
    connection.destroy()
    called?.()
  })
  const server = await start(2, config, log)
  const began = performance.now()
  server.lookForLeader({ zxid: 0n, epoch: 0 }).catch(() => {})
  await thirdCall
  // 10 ms and 20 ms lie between the first three.
  expect(performance.now() - began).toBeGreaterThan(28)
  expect(await log.heard('a peer hangs up at its election port without a word; another program may listen there')).toMatchObject({ peer: 1 })
  await server.shutdown()
  await other.close()
  expect(log.lines.filter(({ event }) => event.startsWith('a peer hangs up'))).toHaveLength(1)
})

test('the initial message, both versions, and that of servers before 3.5', () => {
  const two = [{ host: '10.0.0.1', port: 3888 }, { host: '::1', port: 3889 }]
  expect(readInitial(encodeInitial(7, two, true))).toEqual({ serverId: 7, addresses: two, size: 44 })
  expect(readInitial(encodeInitial(7, two, false))).toEqual({ serverId: 7, addresses: two.slice(0, 1), size: 33 })
  expect(readInitial(encodeInitial(7, two, false).subarray(0, 30))).toBeUndefined()
  expect(readInitial(Buffer.from('0000000000000002', 'hex'))).toEqual({ serverId: 2, addresses: [], size: 8 })
})
test('notifications of older servers: 28 bytes, 40 bytes', () => {
  const whole = encodeNotification({ state: 'following', vote: { leader: 2, zxid: 0x300000005n, electionEpoch: 4, peerEpoch: 9 }, config: undefined })
  expect(decodeNotification(whole.subarray(0, 28)).notification).toMatchObject({ version: 0, vote: { leader: 2, electionEpoch: 4, peerEpoch: 3 } })
  expect(decodeNotification(whole.subarray(0, 40)).notification).toMatchObject({ state: 'following', vote: { peerEpoch: 9 } })
  expect(() => decodeNotification(whole.subarray(0, 27))).toThrow(/bytes wanted/)
})

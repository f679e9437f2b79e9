/** Bad input on the election and quorum ports of a real ensemble, and bad files in one of its folders: the member says what it saw, the ensemble goes on. */
import { readFileSync } from 'node:fs'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Logger } from '../../../src/host/host.ts'
import { encodeConnectRequest } from '../../../src/zookeeper/protocol/connect.ts'
import { LearnerInfo, packetType, QuorumPacket } from '../../../src/zookeeper/protocol/quorum.ts'
import { StorageError } from '../../../src/zookeeper/storage/storage-error.ts'
import { encodeInitial, frameOf } from '../../../src/zookeeper/zab/election-handshake.ts'
import { encodeNotification } from '../../../src/zookeeper/zab/notification.ts'
import { quorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { freePorts, member, TestEnsemble, until } from './ensemble.ts'
import { WireClient } from './wire-client.ts'

const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
const sockets: Socket[] = []
const proxies: Server[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const proxy of proxies.splice(0)) proxy.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})

interface Stage {
  ensemble: TestEnsemble
  said: { event: string; facts: string }[]
  leader: number
  follower: number
  epoch: bigint
}
async function stage({ initLimit = 300 } = {}): Promise<Stage> {
  const said: { event: string; facts: string }[] = []
  const note = (event: string, facts: object = {}): void => void said.push({ event, facts: Object.values(facts).map(String).join(' ') })
  const logger: Logger = { debug() {}, info: note, warn: note, error: note, named: () => logger }
  const ensemble = await TestEnsemble.create({ logger })
  ensembles.push(ensemble)
  ensemble.membership = { initLimit }
  await ensemble.start()
  await ensemble.settled()
  const idOf = (mode: string): number => [...ensemble.servers].find(([, server]) => server.mode === mode)?.[0] as number
  const leader = idOf('leader')
  return { ensemble, said, leader, follower: idOf('follower'), epoch: (ensemble.servers.get(leader)?.tree.lastProcessedZxid ?? 0n) >> 32n }
}
const addressOf = ({ ensemble }: Stage, id: number) => ensemble.config.servers.get(id)?.addresses[0] as { quorumPort: number; electionPort: number }
/** Sends bytes; answers when the other side has closed, or it took them and keeps silent for a moment. */
function send(port: number, bytes: Buffer, { stays = false } = {}): Promise<Socket> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, () => (stays ? done(socket) : setTimeout(() => done(socket), 2))))
    sockets.push(socket)
    socket.on('data', () => {}).on('error', () => done(socket)).on('close', () => done(socket))
  })
}
const closed = (socket: Socket): Promise<void> => new Promise((done) => (socket.destroyed ? done() : socket.on('close', () => done())))
const packet = (type: number, zxid: bigint, data: Buffer | null): Buffer => QuorumPacket.encode({ type, zxid, data, authinfo: null })
const info = (serverid: bigint, protocolVersion = 0x10000): Buffer => LearnerInfo.encode({ serverid, protocolVersion, configVersion: 0n })
/** It still leads, in the epoch that it led in, and takes writes through every server. */
async function goesOn({ ensemble, leader, epoch }: Stage, name: string): Promise<void> {
  for (const [id, port] of ensemble.clientPorts) {
    const client = await WireClient.session(port)
    clients.push(client)
    expect((await client.create(`/${name}${id}`)).err).toBe(0)
    client.close()
  }
  expect(ensemble.servers.get(leader)?.mode).toBe('leader')
  expect((ensemble.servers.get(leader)?.tree.lastProcessedZxid ?? 0n) >> 32n).toBe(epoch)
  await ensemble.agreed()
}
const heard = ({ said }: Stage, pattern: RegExp): Promise<void> => until(`${pattern} in the log`, () => said.some(({ event, facts }) => pattern.test(`${event} ${facts}`)))

describe('who does not belong there is named and sent away', () => {
  test('a client on the quorum port and on the election port', async () => {
    const on = await stage()
    const request = encodeConnectRequest({ protocolVersion: 0, lastZxidSeen: 0n, timeOut: 30_000, sessionId: 0n, passwd: Buffer.alloc(16), readOnly: false })
    const frame = Buffer.concat([Buffer.from([0, 0, 0, request.length]), request])
    await closed(await send(addressOf(on, on.leader).quorumPort, frame))
    await heard(on, /the connection of a learner is closed .*(packet 45 where FOLLOWERINFO or OBSERVERINFO had to come|cannot be read)/)
    for (const text of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'ruok', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03']) {
      await send(addressOf(on, on.leader).quorumPort, Buffer.from(text.padEnd(40, '\0'), 'latin1'))
      await send(addressOf(on, on.follower).electionPort, Buffer.from(text.padEnd(40, '\0'), 'latin1'))
    }
    await heard(on, /a stranger at the election port .*protocol version -?\d+ on an election port|a stranger at the election port .*is no server id/)
    await goesOn(on, 'a')
  })
  test('peers of other versions', async () => {
    const on = await stage()
    const { quorumPort } = addressOf(on, on.leader)
    await closed(await send(quorumPort, packet(packetType.followerInfo, 0n, info(9n, 1))))
    await heard(on, /protocol version 1 is older than 65536/)
    await closed(await send(quorumPort, packet(packetType.followerInfo, 0n, Buffer.alloc(8))))
    await heard(on, /a learner of before ZooKeeper 3\.5, or no ZooKeeper server/)
    await closed(await send(quorumPort, packet(packetType.ackEpoch, 0n, Buffer.alloc(4))))
    await heard(on, /packet 18 where FOLLOWERINFO or OBSERVERINFO had to come/)
    const initial = Buffer.alloc(24)
    initial.writeBigInt64BE(-77n)
    await closed(await send(addressOf(on, on.follower).electionPort, initial))
    await heard(on, /protocol version -77 on an election port; -65536 and -65535 are known/)
    await goesOn(on, 'v')
  })
  test('forged epochs and histories', async () => {
    const on = await stage()
    const { quorumPort, electionPort } = addressOf(on, on.leader)
    // Of members and of strangers, with epochs far ahead: the epoch that is established stays.
    for (const id of [9n, BigInt(on.follower)]) await send(quorumPort, packet(packetType.followerInfo, 0x7fff_fff0n << 32n, info(id)))
    await closed(await send(quorumPort, packet(packetType.followerInfo, -1n << 32n, info(9n))))
    await heard(on, /an accepted epoch of -1/)
    await closed(await send(quorumPort, packet(packetType.followerInfo, 0n, info(BigInt(on.leader)))))
    await heard(on, /which is this server: two servers have the same myid/)
    // Votes for itself of one who says that it leads a later epoch.
    const vote = { leader: 9, zxid: 0x7000_0000_0000_0000n, electionEpoch: 1_000_000, peerEpoch: 0x7000_0000 }
    for (const state of ['looking', 'leading', 'following'] as const)
      for (const id of [9, on.follower]) await send(electionPort, Buffer.concat([encodeInitial(id, [{ host: '127.0.0.1', port: 1 }], false), ...frameOf(encodeNotification({ state, vote, config: on.ensemble.config }))]))
    await goesOn(on, 'e')
    // And they do not last: the next election is among those who are there.
    await on.ensemble.stop(on.leader)
    const next = await on.ensemble.settled()
    expect(next.tree.lastProcessedZxid >> 32n).toBeLessThan(10n)
  })
  test('a stranger with the number of a member that is connected: the member stays', async () => {
    const on = await stage()
    const stranger = await send(addressOf(on, on.leader).quorumPort, packet(packetType.followerInfo, 0n, info(BigInt(on.follower))), { stays: true })
    await closed(stranger)
    await heard(on, new RegExp(`a server is connected twice.* ${on.follower} `))
    await heard(on, new RegExp(`server ${on.follower} is connected already, and answers there`))
    expect(on.said.filter(({ event, facts }) => /learner is closed/.test(event) && !/is connected already/.test(facts))).toEqual([])
    await goesOn(on, 'stranger')
  })
  test('half a packet, and then silence', async () => {
    // Who is silent is given up after two seconds.
    const on = await stage({ initLimit: 20 })
    const whole = packet(packetType.followerInfo, 0n, info(9n))
    const halves = [
      await send(addressOf(on, on.leader).quorumPort, whole.subarray(0, 17), { stays: true }),
      await send(addressOf(on, on.leader).quorumPort, Buffer.alloc(0), { stays: true }),
      await send(addressOf(on, on.follower).electionPort, encodeInitial(9, [{ host: '127.0.0.1', port: 1 }], false).subarray(0, 19), { stays: true }),
    ]
    await goesOn(on, 'h')
    await Promise.all(halves.map(closed))
    await goesOn(on, 'i')
  })
})

/** Numbers from a seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
const recorded = (path: string): Buffer[] => readFileSync(new URL(path, import.meta.url), 'utf8').split('\n').filter((line) => /^[0-9a-f]{8,}$/.test(line)).map((line) => Buffer.from(line, 'hex').subarray(0, 3000))
const quorumStreams = recorded('../protocol/recorded/quorum-streams.txt')
// As of one who is no member: who comes as a member takes that member's place, and it has to come again.
for (const bytes of quorumStreams) if (bytes.length > 24 && (bytes.readInt32BE(0) === packetType.followerInfo || bytes.readInt32BE(0) === packetType.observerInfo)) bytes.writeBigInt64BE(9n, 16)
const electionStreams = recorded('../zab/recorded/election-streams.txt')

test.each([1, 2, 3])('random, recorded and damaged bytes at all ports, while clients write (seed %i)', async (seed) => {
  const on = await stage()
  const random = randomOf(seed)
  const bytesFor = (streams: readonly Buffer[], damagedFrom: number): Buffer => {
    if (random(4) === 0) return Buffer.from(Array.from({ length: 1 + random(200) }, () => random(256)))
    const bytes = Buffer.from(streams[random(streams.length)])
    for (let count = random(6); count > 0; count--) {
      const at = damagedFrom + random(Math.max(1, bytes.length - damagedFrom))
      if (at < bytes.length) bytes[at] = random(256)
    }
    return bytes.subarray(0, 1 + random(bytes.length))
  }
  const writer = await WireClient.session(on.ensemble.clientPorts.get(on.follower) as number)
  clients.push(writer)
  let isOver = false
  let written = 0
  const writing = (async () => {
    for (; !isOver; written++) expect((await writer.create(`/w${written}`)).err).toBe(0)
  })()
  for (let count = 0; count < 150; count++) {
    if (random(2) === 0) await send(addressOf(on, on.leader).quorumPort, bytesFor(quorumStreams, 0))
    // The addresses that a caller says are left alone: they would be called.
    else await send(addressOf(on, 1 + random(3)).electionPort, bytesFor(electionStreams, 40))
  }
  isOver = true
  await writing
  expect(written).toBeGreaterThan(0)
  expect(on.said.filter(({ event }) => /\bbug\b/.test(event))).toEqual([])
  await goesOn(on, 'r')
})

test.each([1, 2])('snapshots that are cut in the middle (seed %i): the learner throws away what it has, asks again and gets it in the end', async (seed) => {
  const on = await stage()
  const random = randomOf(seed)
  const client = await WireClient.session(on.ensemble.clientPorts.get(on.leader) as number)
  clients.push(client)
  const size = 20_000
  for (let count = 0; count < 100; count++) expect((await client.create(`/big${count}`, 0, Buffer.alloc(size, count))).err).toBe(0)
  const lost = on.follower
  await on.ensemble.stop(lost)
  await rm(join(on.ensemble.folder, String(lost), 'version-2'), { recursive: true })
  // It reaches the others' quorum ports through somebody who hangs up.
  let cuts = 0
  const servers = await Promise.all([...on.ensemble.config.servers.values()].map(async (server) => {
    if (server.id === lost) return server
    const [port] = await freePorts(1)
    const proxy = createServer((near) => {
      const far = connect(server.addresses[0].quorumPort, '127.0.0.1')
      const cutAt = cuts++ < 4 ? 1000 + random(90 * size) : Infinity
      let passed = 0
      near.on('data', (chunk) => far.write(chunk)).on('error', () => {}).on('close', () => far.destroy())
      far.on('data', (chunk) => {
        passed += chunk.length
        if (passed <= cutAt) return void near.write(chunk)
        near.write(chunk.subarray(0, chunk.length - (passed - cutAt)), () => near.destroy())
        far.destroy()
      }).on('error', () => {}).on('close', () => near.end())
    })
    proxies.push(proxy)
    await new Promise<void>((done) => proxy.listen(port, '127.0.0.1', done))
    return { ...server, addresses: [{ ...server.addresses[0], quorumPort: port }] as const }
  }))
  on.ensemble.membership = member(lost, quorumConfig({ servers }))
  await on.ensemble.start(lost)
  await on.ensemble.settled()
  await on.ensemble.agreed()
  expect(cuts).toBeGreaterThan(4)
  expect(on.said.filter(({ event }) => event === 'the leader sends a snapshot').length).toBeGreaterThan(1)
  expect(on.ensemble.servers.get(lost)?.tree.get('/big99')?.data?.length).toBe(size)
})

test('damaged files in one server of three: it names the file or repairs what it may, and is back with all of it (12 seeds)', async () => {
  const on = await stage()
  const { ensemble, follower: hurt } = on
  const folder = join(ensemble.folder, String(hurt), 'version-2')
  const seen = { refused: 0, repaired: 0 }
  for (let seed = 1; seed <= 12; seed++) {
    const random = randomOf(seed)
    const client = await WireClient.session(ensemble.clientPorts.get(on.leader) as number)
    for (let count = 0; count < 10; count++) expect((await client.create(`/d${seed}-${count}`)).err).toBe(0)
    client.close()
    await ensemble.agreed()
    if (random(3) === 0) await ensemble.servers.get(hurt)?.store.snapshot()
    await ensemble.stop(hurt)
    const names = (await readdir(folder)).filter((name) => /^(log|snapshot|installed)/.test(name))
    const path = join(folder, names[random(names.length)])
    const bytes = Buffer.from(await readFile(path))
    const used = Math.max(1, bytes.findLastIndex((byte) => byte !== 0) + 1)
    if (random(2) === 0) for (let count = 1 + random(3); count > 0; count--) bytes[random(used)] ^= 1 << random(8)
    await writeFile(path, random(3) === 0 ? bytes.subarray(0, random(used)) : bytes)
    try {
      await ensemble.start(hurt)
      seen.repaired++
    } catch (error) {
      expect(error).toBeInstanceOf(StorageError)
      expect((error as Error).message).toContain('version-2')
      seen.refused++
      await rm(folder, { recursive: true })
      await ensemble.start(hurt)
    }
    await ensemble.settled()
    await ensemble.agreed()
    expect((await stat(folder)).isDirectory()).toBe(true)
  }
  expect(seen.refused).toBeGreaterThan(0)
  expect(seen.repaired).toBeGreaterThan(0)
})

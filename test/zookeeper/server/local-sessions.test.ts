import { afterEach, describe, expect, test } from 'vitest'
import { Writer } from '../../../src/wire/writer.ts'
import { errorCode } from '../../../src/zookeeper/protocol/errors.ts'
import { writeMultiRequest } from '../../../src/zookeeper/protocol/multi.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { CreateRequest, CreateTTLRequest, GetDataRequest } from '../../../src/zookeeper/protocol/records.ts'
import { TestEnsemble, until } from './ensemble.ts'
import { open, WireClient } from './wire-client.ts'

const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})
async function started(upgrading: boolean): Promise<{ ensemble: TestEnsemble; leader: number; follower: number }> {
  const ensemble = await TestEnsemble.create()
  ensembles.push(ensemble)
  ensemble.settings = { extendedTypesEnabled: true }
  ensemble.membership = { localSessions: { enabled: true, upgrading } }
  await ensemble.start()
  await ensemble.settled()
  const idOf = (mode: string): number => [...ensemble.servers].find(([, server]) => server.mode === mode)?.[0] as number
  return { ensemble, leader: idOf('leader'), follower: idOf('follower') }
}
async function clientOf(ensemble: TestEnsemble, id: number, request = {}): Promise<WireClient> {
  const client = await WireClient.session(ensemble.clientPorts.get(id) as number, request)
  clients.push(client)
  return client
}
const sessionsOf = (ensemble: TestEnsemble): number[] => [...ensemble.servers.values()].map(({ tree }) => tree.sessions.size)
const multi = (flags: number): Buffer => {
  const writer = new Writer()
  writeMultiRequest(writer, [{ type: op.create, path: '/m1', data: null, acl: open, flags: 0 }, { type: op.create2, path: '/m2', data: null, acl: open, flags }])
  return writer.toBuffer()
}

describe.each(['leader', 'follower'] as const)('at a %s', (role) => {
  test('a session costs no transaction and writes what it likes; an ephemeral makes it one of the ensemble', async () => {
    const servers = await started(true)
    const { ensemble } = servers
    const before = ensemble.servers.get(servers.leader)?.tree.lastProcessedZxid
    const client = await clientOf(ensemble, servers[role])
    expect(ensemble.servers.get(servers.leader)?.tree.lastProcessedZxid).toBe(before)
    expect((await client.create('/a', 0)).err).toBe(0)
    expect((await client.request(op.createContainer, CreateRequest, { path: '/c', data: null, acl: open, flags: 4 })).err).toBe(0)
    expect((await client.request(op.createTTL, CreateTTLRequest, { path: '/t', data: null, acl: open, flags: 5, ttl: 60_000n })).err).toBe(0)
    expect(sessionsOf(ensemble)).toEqual([0, 0, 0])
    expect(ensemble.servers.get(servers[role])?.sessions.localCount).toBe(1)
    expect((await client.create('/e', 1)).err).toBe(0)
    expect((await client.create('/b', 0)).err).toBe(0)
    await ensemble.agreed()
    expect(sessionsOf(ensemble)).toEqual([1, 1, 1])
    expect(ensemble.servers.get(servers[role])?.sessions.localCount).toBe(0)
    // It moves like any other now, and takes the ephemeral with it.
    const other = [1, 2, 3].find((id) => id !== servers[role]) as number
    const moved = await clientOf(ensemble, other, { sessionId: client.sessionId, passwd: client.session?.passwd })
    expect(moved.sessionId).toBe(client.sessionId)
    expect((await moved.ask(op.getData, GetDataRequest.encode({ path: '/e', watch: false }))).err).toBe(0)
    moved.send(op.closeSession)
    await moved.closed
    await until('the ephemeral went with the session', () => [...ensemble.servers.values()].every(({ tree }) => !tree.get('/e') && tree.sessions.size === 0))
  })

  test('a multi is looked through for ephemerals too', async () => {
    const servers = await started(true)
    const client = await clientOf(servers.ensemble, servers[role])
    expect((await client.ask(op.multi, multi(0))).err).toBe(0)
    expect(servers.ensemble.servers.get(servers[role])?.sessions.localCount).toBe(1)
    expect((await client.ask(op.multi, multi(3))).err).toBe(0)
    expect(servers.ensemble.servers.get(servers[role])?.sessions.localCount).toBe(0)
  })

  test('where sessions are not upgraded, ephemerals are refused and the session goes on', async () => {
    const servers = await started(false)
    const client = await clientOf(servers.ensemble, servers[role])
    expect((await client.create('/e', 1)).err).toBe(errorCode.ephemeralOnLocalSession)
    expect((await client.ask(op.multi, multi(1))).err).toBe(errorCode.ephemeralOnLocalSession)
    expect((await client.create('/a', 0)).err).toBe(0)
    client.send(op.closeSession)
    expect((await client.reply()).err).toBe(0)
    await client.closed
  })

  test('a silent one expires at its server, and elsewhere nobody knows it', async () => {
    const servers = await started(true)
    const { ensemble } = servers
    const client = await clientOf(ensemble, servers[role], { timeOut: 200 })
    const there = await clientOf(ensemble, [1, 2, 3].find((id) => id !== servers[role]) as number, { sessionId: client.sessionId, passwd: client.session?.passwd })
    expect(there.session?.timeOut).toBe(0)
    const zxid = ensemble.servers.get(servers.leader)?.tree.lastProcessedZxid
    // Its own server takes it back, as long as it lives.
    const again = await clientOf(ensemble, servers[role], { sessionId: client.sessionId, passwd: client.session?.passwd, timeOut: 200 })
    expect(again.sessionId).toBe(client.sessionId)
    await again.closed
    expect(ensemble.servers.get(servers[role])?.sessions.size).toBe(0)
    expect(ensemble.servers.get(servers.leader)?.tree.lastProcessedZxid).toBe(zxid)
  })
})

test('a leader that does not serve sends its own clients away, and decides for the others', async () => {
  const ensemble = await TestEnsemble.create()
  ensembles.push(ensemble)
  ensemble.membership = { leaderServes: false }
  await ensemble.start()
  await until('a leader and two that serve', () => [...ensemble.servers.values()].filter(({ isServing }) => isServing).length === 2 && [...ensemble.servers.values()].some(({ mode }) => mode === 'leader'))
  const leader = [...ensemble.servers].find(([, { mode }]) => mode === 'leader')?.[0] as number
  const away = await clientOf(ensemble, leader)
  await away.closed
  expect(away.session).toBe(undefined)
  const client = await clientOf(ensemble, leader === 1 ? 2 : 1)
  expect((await client.create('/a', 1)).err).toBe(0)
})

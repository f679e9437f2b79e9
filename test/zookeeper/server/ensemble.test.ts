import { afterEach, expect, test } from 'vitest'
import type { Logger } from '../../../src/host/host.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { CreateRequest, GetDataRequest, SyncRequest } from '../../../src/zookeeper/protocol/records.ts'
import { ElectionDriver } from '../../../src/zookeeper/zab/election-driver.ts'
import { quorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import type { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { freePorts, member, TestEnsemble, until } from './ensemble.ts'
import { open, WireClient } from './wire-client.ts'

const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})
async function create(options: Parameters<typeof TestEnsemble.create>[0] = {}): Promise<TestEnsemble> {
  const ensemble = await TestEnsemble.create(options)
  ensembles.push(ensemble)
  return ensemble
}
async function clientOf(ensemble: TestEnsemble, id: number, request = {}): Promise<WireClient> {
  const client = await WireClient.session(ensemble.clientPorts.get(id) as number, request)
  clients.push(client)
  return client
}
const followersOf = (ensemble: TestEnsemble): number[] => [...ensemble.servers].filter(([, { mode }]) => mode === 'follower').map(([id]) => id)
const leaderOf = (ensemble: TestEnsemble): number => [...ensemble.servers].find(([, { mode }]) => mode === 'leader')?.[0] as number

test('three servers form an ensemble, and a write through any of them is read everywhere', async () => {
  const ensemble = await create()
  await ensemble.start()
  const leader = await ensemble.settled()
  expect(followersOf(ensemble)).toHaveLength(2)
  for (const id of [1, 2, 3]) {
    const client = await clientOf(ensemble, id)
    expect((await client.create(`/from${id}`, 0)).err).toBe(0)
    expect(client.sessionId >> 56n).toBe(BigInt(id))
  }
  const reader = await clientOf(ensemble, followersOf(ensemble)[0])
  await reader.ask(op.sync, SyncRequest.encode({ path: '/' }))
  for (const id of [1, 2, 3]) expect((await reader.ask(op.getData, GetDataRequest.encode({ path: `/from${id}`, watch: false }))).err).toBe(0)
  await ensemble.agreed()
  expect(leader.tree.sessions.size).toBe(4)
})

test('a follower that comes back lacks nothing, whether by DIFF or by SNAP', async () => {
  const ensemble = await create()
  await ensemble.start()
  await ensemble.settled()
  const [first, second] = followersOf(ensemble)
  await ensemble.stop(first)
  const client = await clientOf(ensemble, second)
  for (let count = 0; count < 20; count++) await client.create(`/a${count}`, 0)
  await ensemble.start(first)
  await ensemble.settled()
  await ensemble.agreed()
  await ensemble.stop(first)
  // More than the leader keeps in memory.
  const sent = Array.from({ length: 1100 }, (_, count) => client.create(`/b${count}`, 0))
  await Promise.all(sent)
  await ensemble.start(first)
  await ensemble.settled()
  await ensemble.agreed()
  await ensemble.stop(first)
  await ensemble.start(first)
  await ensemble.settled()
  await ensemble.agreed()
  expect(ensemble.servers.get(first)?.tree.nodeCount).toBe(20 + 1100 + 5)
})

test('a leader is lost and another goes on with all that was acknowledged; sessions and their ephemerals outlive it', async () => {
  const ensemble = await create()
  await ensemble.start()
  await ensemble.settled()
  const [first] = followersOf(ensemble)
  const client = await clientOf(ensemble, first)
  expect((await client.create('/mine', 1)).err).toBe(0)
  const lost = leaderOf(ensemble)
  await ensemble.stop(lost)
  await ensemble.settled()
  const again = await clientOf(ensemble, followersOf(ensemble)[0], { sessionId: client.sessionId, passwd: client.session?.passwd })
  expect(again.sessionId).toBe(client.sessionId)
  expect((await again.ask(op.getData, GetDataRequest.encode({ path: '/mine', watch: false }))).err).toBe(0)
  expect((await again.create('/after', 0)).err).toBe(0)
  await ensemble.start(lost)
  await ensemble.settled()
  await ensemble.agreed()
  again.send(op.closeSession)
  await again.closed
  await until('the ephemeral is gone everywhere', () => [...ensemble.servers.values()].every(({ tree }) => !tree.get('/mine')))
})

test('a session moves between servers, and the old connection is told nothing any more', async () => {
  const ensemble = await create()
  await ensemble.start()
  await ensemble.settled()
  const [first, second] = followersOf(ensemble)
  const old = await clientOf(ensemble, first)
  const moved = await clientOf(ensemble, second, { sessionId: old.sessionId, passwd: old.session?.passwd })
  expect(moved.sessionId).toBe(old.sessionId)
  expect((await moved.create('/moved', 1)).err).toBe(0)
  await old.create('/late', 0).catch(() => undefined)
  await old.closed
  expect([...ensemble.servers.values()].some(({ tree }) => tree.get('/late'))).toBe(false)
})

test('a session that falls silent expires at the leader, once, and its connection ends everywhere', async () => {
  const ensemble = await create()
  await ensemble.start()
  const leader = await ensemble.settled()
  const silent = await clientOf(ensemble, followersOf(ensemble)[0], { timeOut: 200 })
  expect((await silent.create('/gone', 1)).err).toBe(0)
  await silent.closed
  await until('the ephemeral is gone', () => !leader.tree.get('/gone'))
  await ensemble.agreed()
})

test('an observer serves clients and does not vote', async () => {
  const ensemble = await create({ voters: 3, observers: 1 })
  await ensemble.start()
  await ensemble.settled()
  expect(ensemble.servers.get(4)?.mode).toBe('observer')
  const client = await clientOf(ensemble, 4)
  expect((await client.create('/x', 0)).err).toBe(0)
  await ensemble.agreed()
  await ensemble.stop(1)
  expect((await client.create('/y', 0)).err).toBe(0)
  await ensemble.stop(...followersOf(ensemble).slice(0, 1))
  await until('a minority serves nobody', () => [...ensemble.servers.values()].every(({ isServing }) => !isServing))
})

test('what a leader logged alone is cut when it comes back', async () => {
  const events: string[] = []
  const note = (event: string): void => void events.push(event)
  const logger: Logger = { debug: note, info: note, warn: note, error: note, named: () => logger }
  const ensemble = await create({ logger })
  await ensemble.start()
  await ensemble.settled()
  let lost = leaderOf(ensemble)
  expect((await (await clientOf(ensemble, lost)).create('/before', 0)).err).toBe(0)
  let others: number[] = []
  // The others go at once: what is written now reaches nobody, and is in the leader's log. Where it has found out first that it is alone, once more.
  for (;;) {
    lost = leaderOf(ensemble)
    others = followersOf(ensemble)
    const client = await clientOf(ensemble, lost)
    await ensemble.agreed()
    const { store } = ensemble.servers.get(lost) as ZooKeeperServer
    const agreed = store.lastZxid
    const stopping = ensemble.stop(...others)
    void client.create('/lost', 0).catch(() => undefined)
    await stopping
    await until('the leader gives up', () => ensemble.servers.get(lost)?.isServing === false)
    if (store.lastZxid > agreed) break
    await ensemble.start(...others)
    await ensemble.settled()
  }
  const { lastProcessedZxid } = (ensemble.servers.get(lost) as NonNullable<ReturnType<typeof ensemble.servers.get>>).tree
  await ensemble.stop(lost)
  await ensemble.start(...others)
  await ensemble.settled()
  const again = await clientOf(ensemble, others[0])
  expect((await again.create('/after', 0)).err).toBe(0)
  await ensemble.start(lost)
  await ensemble.settled()
  await ensemble.agreed()
  for (const { tree } of ensemble.servers.values()) {
    expect(tree.get('/before') && tree.get('/after')).toBeDefined()
    expect(tree.lastProcessedZxid).toBeGreaterThan(lastProcessedZxid)
  }
  expect(events).toContain('a log is cut')
  // And once more from disk: the cut was durable.
  await ensemble.stop(lost)
  await ensemble.start(lost)
  await ensemble.settled()
  await ensemble.agreed()
})

test('who was away longer than memory reaches is sent the difference from the logs, after a cut where it needs one', async () => {
  const events: { event: string; facts: unknown }[] = []
  const note = (event: string, facts?: unknown): void => void events.push({ event, facts })
  const logger: Logger = { debug: note, info: note, warn: note, error: note, named: () => logger }
  const ensemble = await create({ logger })
  ensemble.membership = { commitLogCount: 10 }
  ensemble.settings = { snapshotSizeFactor: 0 }
  await ensemble.start()
  await ensemble.settled()
  let lost = leaderOf(ensemble)
  const first = await clientOf(ensemble, lost)
  for (let count = 0; count < 30; count++) await first.create(`/a${count}`)
  await ensemble.agreed()
  // It logs one more alone, which the others never hear of; where it has found out first that it is alone, once more.
  for (;;) {
    lost = leaderOf(ensemble)
    const client = await clientOf(ensemble, lost)
    await ensemble.stop(...followersOf(ensemble))
    const server = ensemble.servers.get(lost) as ZooKeeperServer
    const cut = server.store.lastZxid
    client.send(op.create, CreateRequest.encode({ path: '/lost', data: null, acl: open, flags: 0 }))
    await until('it is logged, or the leader has given up', () => server.store.lastZxid > cut || server.mode !== 'leader')
    if (server.store.lastZxid > cut) break
    await ensemble.start(...[1, 2, 3].filter((id) => id !== lost))
    await ensemble.settled()
  }
  await ensemble.stop(lost)
  const others = [1, 2, 3].filter((id) => id !== lost)
  await ensemble.start(...others)
  await ensemble.settled()
  const client = await clientOf(ensemble, others[0])
  for (let count = 0; count < 100; count++) expect((await client.create(`/b${count}`)).err).toBe(0)
  events.length = 0
  await ensemble.start(lost)
  await ensemble.settled()
  await ensemble.agreed()
  expect(ensemble.servers.get(lost)?.tree.get('/lost')).toBe(undefined)
  expect(events.map(({ event }) => event)).not.toContain('the leader sends a snapshot')
  expect(events.find(({ event }) => event.startsWith('a learner was away'))?.facts).toMatchObject({ fromLogs: expect.any(Number) })
  expect(events.map(({ event }) => event)).toContain('the log is cut: the leader does not know what follows')
})

test('servers with several addresses are found at whichever answers', async () => {
  const ensemble = await create()
  const [dead, ...ports] = await freePorts(7)
  // Each listens at two pairs of ports; whoever asks knows one that is dead, and one of the two.
  const servers = [...ensemble.config.servers.values()]
  for (const { id } of servers) {
    const config = quorumConfig({
      servers: servers.map((server) => {
        const [{ host, quorumPort, electionPort }] = server.addresses
        const second = { host, quorumPort: ports[(server.id - 1) * 2], electionPort: ports[(server.id - 1) * 2 + 1] }
        return { ...server, addresses: server.id === id ? [server.addresses[0], second] as const : [{ host, quorumPort: dead, electionPort: dead }, id === 1 ? second : { host, quorumPort, electionPort }] as const }
      }),
    })
    ensemble.membership = { ...member(id, config), elections: (host, configurations) => ElectionDriver.start(host, { ...configurations, serverId: id, multiAddress: true, minNotificationMs: 20, finalizeMs: 20 }) }
    await ensemble.start(id)
  }
  await ensemble.settled()
  for (const id of [1, 2, 3]) expect((await (await clientOf(ensemble, id)).create(`/of${id}`)).err).toBe(0)
  await ensemble.agreed()
  await ensemble.stop(leaderOf(ensemble))
  await ensemble.settled()
})

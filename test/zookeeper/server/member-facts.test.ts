/** What a member tells of itself: four-letter words and the AdminServer, for leader, follower and observer. */
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { SyncRequest } from '../../../src/zookeeper/protocol/records.ts'
import { TestEnsemble } from './ensemble.ts'
import { WireClient } from './wire-client.ts'

const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})
async function started(): Promise<{ ensemble: TestEnsemble; leader: number; follower: number; observer: number }> {
  const ensemble = await TestEnsemble.create({ voters: 3, observers: 1 })
  ensembles.push(ensemble)
  ensemble.settings = { 'admin.enableServer': true, 'admin.serverPort': 0, 'admin.serverAddress': '127.0.0.1' }
  await ensemble.start()
  await ensemble.settled()
  const idOf = (mode: string): number => [...ensemble.servers].find(([, server]) => server.mode === mode)?.[0] as number
  return { ensemble, leader: idOf('leader'), follower: idOf('follower'), observer: 4 }
}
function say(ensemble: TestEnsemble, id: number, bytes: Buffer): Promise<string> {
  return new Promise((done, failed) => {
    let answer = ''
    const socket = connect(ensemble.clientPorts.get(id) as number, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => (answer += chunk.toString())).on('end', () => done(answer)).on('error', failed)
  })
}
async function ask(ensemble: TestEnsemble, id: number, command: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${ensemble.servers.get(id)?.adminPort}/commands/${command}`)
  return (await answer.json()) as Record<string, unknown>
}

test('mntr and srvr of leader, follower and observer', async () => {
  const { ensemble, leader, follower, observer } = await started()
  const client = await WireClient.session(ensemble.clientPorts.get(follower) as number)
  clients.push(client)
  expect((await client.create('/a')).err).toBe(0)
  await client.ask(op.sync, SyncRequest.encode({ path: '/' }))
  const figures = async (id: number): Promise<Record<string, string>> => Object.fromEntries((await say(ensemble, id, Buffer.from('mntr'))).trimEnd().split('\n').map((line) => line.slice(3).split('\t')))
  const leading = await figures(leader)
  expect(leading).toMatchObject({
    server_state: 'leader', peer_state: 'leading - broadcast', learners: '3', synced_followers: '2', synced_non_voting_followers: '0', synced_observers: '1', pending_syncs: '0', quorum_size: '3',
    global_sessions: '1', local_sessions: '0', digest_mismatches_count: '0',
  })
  expect(Number(leading['leader_uptime'])).toBeGreaterThan(0)
  expect(Number(leading['max_proposal_size'])).toBeGreaterThan(Number(leading['min_proposal_size']))
  const following = await figures(follower)
  expect(following).toMatchObject({ server_state: 'follower', peer_state: 'following - broadcast', quorum_size: '3' })
  for (const name of ['learners', 'synced_observers', 'synced_followers', 'pending_syncs', 'leader_uptime', 'last_proposal_size']) expect(following[name]).toBe(undefined)
  expect(await figures(observer)).toMatchObject({ server_state: 'observer', peer_state: 'observing - broadcast', observer_master_id: String(leader) })
  expect(await say(ensemble, leader, Buffer.from('srvr'))).toMatch(/\nMode: leader\nNode count: 6\nProposal sizes last\/min\/max: \d+\/\d+\/\d+\n$/)
  expect(await say(ensemble, follower, Buffer.from('srvr'))).toMatch(/\nMode: follower\nNode count: 6\n$/)
})

test('commands of the AdminServer', async () => {
  const { ensemble, leader, follower, observer } = await started()
  const own = ensemble.config.servers.get(follower)?.addresses[0]
  const port = ensemble.clientPorts.get(follower)
  expect(await ask(ensemble, follower, 'zabstate')).toMatchObject({
    myid: follower, is_leader: false, quorum_address: { all_addresses: [`127.0.0.1:${own?.quorumPort}`] }, election_address: { all_ports: [own?.electionPort] }, client_address: `127.0.0.1:${port}`,
    voting: true, zabstate: 'broadcast', command: 'zabstate', error: null,
  })
  expect(await ask(ensemble, observer, 'zabstate')).toMatchObject({ voting: false })
  const view = (await ask(ensemble, follower, 'voting_view'))['current_config'] as Record<string, unknown>
  expect(Object.keys(view)).toEqual(['1', '2', '3'])
  expect(view[String(follower)]).toEqual({ server_addresses: [`127.0.0.1:${own?.quorumPort}`], election_addresses: [`127.0.0.1:${own?.electionPort}`], client_address: `127.0.0.1:${port}`, learner_type: 'participant' })
  expect(await ask(ensemble, follower, 'leader')).toEqual({ is_leader: false, leader_id: leader, leader_ip: '127.0.0.1', command: 'leader', error: null })
  expect(await ask(ensemble, leader, 'obsr')).toMatchObject({ synced_observers: 1, observers: [{ sid: observer, remote_socket_address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) }], command: 'observers' })
  expect(await ask(ensemble, follower, 'observers')).toMatchObject({ synced_observers: 0, observers: [] })
  expect(await ask(ensemble, follower, 'orst')).toEqual({ command: 'observer_connection_stat_reset', error: null })
  expect(await ask(ensemble, follower, 'lsnp')).toMatchObject({ zxid: '0', timestamp: expect.any(Number), command: 'last_snapshot' })
  expect(await ask(ensemble, follower, 'icfg')).toMatchObject({ initial_configuration: null })
  expect(await ask(ensemble, follower, 'sysp')).toMatchObject({ 'java.vendor': 'none', command: 'system_properties' })
  expect((await ask(ensemble, leader, 'srvr'))['proposal_stats']).toMatchObject({ last_buffer_size: -1 })
  expect((await ask(ensemble, follower, 'srvr'))['proposal_stats']).toBe(undefined)
})

test('the trace mask is what it was set to', async () => {
  const { ensemble, follower } = await started()
  expect(await say(ensemble, follower, Buffer.from('gtmk'))).toBe('306')
  expect(await say(ensemble, follower, Buffer.concat([Buffer.from('stmk'), Buffer.from('0000000000000011', 'hex')]))).toBe('17')
  expect(await ask(ensemble, follower, 'gtmk')).toEqual({ tracemask: 17, command: 'get_trace_mask', error: null })
  expect(await ask(ensemble, follower, 'stmk?traceMask=306')).toMatchObject({ tracemask: 306 })
  expect(await ask(ensemble, follower, 'stmk')).toEqual({ command: 'set_trace_mask', error: 'setTraceMask requires long traceMask argument' })
})

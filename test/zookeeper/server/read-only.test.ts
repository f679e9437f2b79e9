import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { errorCode } from '../../../src/zookeeper/protocol/errors.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { DeleteRequest, GetDataRequest, SetDataRequest, SyncRequest } from '../../../src/zookeeper/protocol/records.ts'
import { TestEnsemble, until } from './ensemble.ts'
import { WireClient } from './wire-client.ts'

const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})
async function create(): Promise<TestEnsemble> {
  const ensemble = await TestEnsemble.create()
  // Apache waits two seconds at least; how long it is proves nothing here.
  ensemble.membership = { readOnly: true, readOnlyAfterMs: 100 }
  ensembles.push(ensemble)
  return ensemble
}
async function clientOf(ensemble: TestEnsemble, id: number, request = {}): Promise<WireClient> {
  const client = await WireClient.session(ensemble.clientPorts.get(id) as number, request)
  clients.push(client)
  return client
}
function word(ensemble: TestEnsemble, id: number, text: string): Promise<string> {
  return new Promise((done, failed) => {
    let answer = ''
    const socket = connect(ensemble.clientPorts.get(id) as number, '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk) => (answer += chunk.toString())).on('end', () => done(answer)).on('error', failed)
  })
}
const getData = (path: string, watch = false) => [op.getData, GetDataRequest.encode({ path, watch })] as const
/** Server 1 with what was written before, and nobody else. */
async function alone(): Promise<{ ensemble: TestEnsemble; old: WireClient }> {
  const ensemble = await create()
  await ensemble.start()
  await ensemble.settled()
  const old = await clientOf(ensemble, 1)
  expect((await old.create('/a')).err).toBe(0)
  await ensemble.agreed()
  await ensemble.stop(2, 3)
  await until('it serves without a quorum', () => ensemble.servers.get(1)?.mode === 'read-only')
  return { ensemble, old }
}

test('a member without a quorum serves reads to those who asked for that, and refuses every write', async () => {
  const { ensemble, old } = await alone()
  await old.closed
  const client = await clientOf(ensemble, 1, { readOnly: true })
  expect(client.session?.readOnly).toBe(true)
  expect(client.sessionId >> 56n).toBe(1n)
  expect((await client.ask(...getData('/a', true))).err).toBe(0)
  expect((await client.ask(...getData('/none'))).err).toBe(errorCode.noNode)
  const zxid = ensemble.servers.get(1)?.tree.lastProcessedZxid
  for (const refused of [
    await client.create('/b'), await client.request(op.delete, DeleteRequest, { path: '/a', version: -1 }), await client.request(op.setData, SetDataRequest, { path: '/a', data: null, version: -1 }),
    await client.request(op.sync, SyncRequest, { path: '/a' }), await client.ask(op.multi, Buffer.from('ffffffff01ffffffff', 'hex')), await client.ask(op.check, Buffer.from('000000022f6100000000', 'hex')),
  ]) {
    expect(refused.err).toBe(errorCode.notReadOnly)
    expect(refused.zxid).toBe(zxid)
    expect(refused.body).toHaveLength(0)
  }
  // Pipelined: in order.
  const xids = [client.send(...getData('/a')), client.send(op.setData, SetDataRequest.encode({ path: '/a', data: null, version: -1 })), client.send(...getData('/a'))]
  for (const [at, err] of [0, errorCode.notReadOnly, 0].entries()) expect(await client.reply()).toMatchObject({ xid: xids[at], err })
  client.send(op.closeSession)
  expect((await client.reply()).err).toBe(0)
  await client.closed
  expect(ensemble.servers.get(1)?.sessions.size).toBe(0)
})

test('it says what it is, and sends away who wants to write or comes with a session of the ensemble', async () => {
  const { ensemble, old } = await alone()
  expect(await word(ensemble, 1, 'isro')).toBe('ro')
  expect(await word(ensemble, 1, 'srvr')).toContain('\nMode: read-only\n')
  const mntr = await word(ensemble, 1, 'mntr')
  expect(mntr).toContain('zk_server_state\tread-only\n')
  for (const request of [{ readOnly: false }, { readOnly: undefined }, { readOnly: true, sessionId: old.sessionId, passwd: old.session?.passwd }]) {
    const client = await clientOf(ensemble, 1, request)
    await client.closed
    expect(client.session).toBe(undefined)
  }
  const client = await clientOf(ensemble, 1, { readOnly: true, timeOut: 200 })
  expect(await word(ensemble, 1, 'mntr')).toContain('zk_local_sessions\t1\n')
  expect(await word(ensemble, 1, 'dump')).toMatch(/^SessionTracker dump:\nLocal Session Sets \(1\)\/\(1\):\n1 expire at .*\n\t0x1[0-9a-f]+\nGlobal Sessions\(1\):\n0x1[0-9a-f]+\t30000ms\n/)
  // Its session ends as any other when it falls silent.
  await client.closed
  expect(ensemble.servers.get(1)?.sessions.localCount).toBe(0)
})

test('with a quorum it is a server as before, and the sessions of the ensemble are what they were', async () => {
  const { ensemble, old } = await alone()
  const client = await clientOf(ensemble, 1, { readOnly: true })
  expect((await client.ask(...getData('/a'))).err).toBe(0)
  await ensemble.start(2)
  await ensemble.settled()
  await client.closed
  expect(await word(ensemble, 1, 'isro')).toBe('rw')
  const back = await clientOf(ensemble, 1, { sessionId: old.sessionId, passwd: old.session?.passwd, readOnly: true })
  expect(back.session).toMatchObject({ sessionId: old.sessionId, readOnly: false })
  expect((await back.create('/b')).err).toBe(0)
  // What it was given without a quorum, nobody knows any more.
  expect((await clientOf(ensemble, 1, { sessionId: client.sessionId, passwd: client.session?.passwd })).session?.timeOut).toBe(0)
})

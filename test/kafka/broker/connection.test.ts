import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import type { Connection } from '../../../src/host/host.ts'
import { Dispatcher } from '../../../src/kafka/broker/dispatch.ts'
import { closeConnection, handler, noAnswer, type Handler } from '../../../src/kafka/broker/handler.ts'
import { Listeners } from '../../../src/kafka/broker/listeners.ts'
import type { BrokerServices } from '../../../src/kafka/broker/services.ts'
import { apiVersions } from '../../../src/kafka/broker/handlers/api-versions.ts'
import { ApiVersions } from '../../../src/kafka/protocol/api-versions.ts'
import { DescribeCluster } from '../../../src/kafka/protocol/describe-cluster.ts'
import { decodeResponse, encodeRequest } from '../../../src/kafka/protocol/headers.ts'
import { Heartbeat } from '../../../src/kafka/protocol/heartbeat.ts'

const host = nodeHost({ logger: silentLogger })
/** Settles the requests of a Heartbeat handler in the order the test wants. */
let pending: Map<string, (code: number) => void>
let begun: string[]
let listeners: Listeners
let port: number
let client: Connection
let received: Buffer
let gone: Promise<void>

const heartbeat = (inPlace: boolean) =>
  handler({
    api: Heartbeat,
    inPlace,
    refuse: (errorCode) => ({ errorCode }),
    answer: ({ groupId, memberId }) => {
      begun.push(groupId)
      if (memberId === 'now') return { errorCode: 7 }
      if (memberId === 'fail') throw new Error('out of order')
      if (memberId === 'silent') return noAnswer
      if (memberId === 'close') return closeConnection
      return new Promise((done) => pending.set(groupId, (errorCode) => done({ errorCode })))
    },
  })

async function serve(handlers: readonly Handler[]): Promise<void> {
  const services = { host, apis: handlers.map(({ api }) => api), featureEpoch: () => 0 } as unknown as BrokerServices
  listeners = new Listeners({ host, frameSizeMax: 1 << 20, idleMsMax: -1, backlog: 50, memoryMax: 1 << 22 })
  const [bound] = await listeners.bind([{ listener: 'PLAINTEXT', host: '127.0.0.1', port: 0 }])
  port = bound.port
  listeners.serve(new Dispatcher(services, handlers))
  client = await host.network.connect({ host: '127.0.0.1', port })
  received = Buffer.alloc(0)
  client.onData((chunk) => (received = Buffer.concat([received, chunk])))
  gone = new Promise((done) => client.onClose(() => done()))
}
const send = (correlationId: number, groupId: string, memberId = '') =>
  client.write(encodeRequest(Heartbeat, { apiVersion: 4, correlationId, clientId: 'test' }, { groupId, generationId: 1, memberId }))
/** Answers so far: correlation id and error code. */
function answers(): [number, number][] {
  const list: [number, number][] = []
  for (let at = 0; at + 4 <= received.length && at + 4 + received.readInt32BE(at) <= received.length; at += 4 + received.readInt32BE(at)) {
    const { correlationId, response } = decodeResponse(Heartbeat, 4, received.subarray(at + 4, at + 4 + received.readInt32BE(at)))
    list.push([correlationId, response.errorCode])
  }
  return list
}

beforeEach(() => {
  pending = new Map()
  begun = []
})
afterEach(async () => {
  client.destroy()
  await listeners.stop(0)
})

describe('requests in place', () => {
  beforeEach(() => serve([heartbeat(true) as unknown as Handler]))
  test('begin in the order of arrival and are answered in it, however they end', async () => {
    for (const [id, group] of [[1, 'a'], [2, 'b'], [3, 'c']] as const) send(id, group)
    await expect.poll(() => begun).toEqual(['a', 'b', 'c'])
    pending.get('c')!(3)
    pending.get('a')!(1)
    await expect.poll(answers).toEqual([[1, 1]])
    pending.get('b')!(2)
    await expect.poll(answers).toEqual([[1, 1], [2, 2], [3, 3]])
  })
  test('a stop waits for what is in progress, and for nothing else', async () => {
    send(1, 'a')
    await expect.poll(() => begun).toEqual(['a'])
    const stopped = listeners.stop(600_000)
    send(2, 'b')
    pending.get('a')!(1)
    await stopped
    await gone
    expect(answers()).toEqual([[1, 1]])
    expect(begun).toEqual(['a'])
  })
  test('one without an answer leaves no gap', async () => {
    send(1, 'a', 'silent')
    send(2, 'b', 'now')
    await expect.poll(answers).toEqual([[2, 7]])
  })
  test('one that fails gets UNKNOWN_SERVER_ERROR, and the connection lives on', async () => {
    send(1, 'a', 'fail')
    send(2, 'b', 'now')
    await expect.poll(answers).toEqual([[1, -1], [2, 7]])
  })
  test('one can end the connection in place of an answer', async () => {
    send(1, 'a', 'close')
    await gone
  })
  test('are bounded: what is too much waits in the socket, and is not lost', async () => {
    for (let id = 0; id < 400; id++) send(id, `group-${id}`)
    await expect.poll(() => begun.length).toBe(256)
    for (let id = 0; id < 400; id++) {
      await expect.poll(() => pending.has(`group-${id}`), { interval: 1 }).toBe(true)
      pending.get(`group-${id}`)!(0)
    }
    await expect.poll(() => answers().length).toBe(400)
  })
})

test('a request that is not in place holds back the next one of its connection', async () => {
  await serve([heartbeat(false) as unknown as Handler])
  send(1, 'a')
  send(2, 'b')
  await expect.poll(() => begun).toEqual(['a'])
  pending.get('a')!(0)
  await expect.poll(() => begun).toEqual(['a', 'b'])
})

describe('what the table does not have', () => {
  beforeEach(() => serve([apiVersions as unknown as Handler]))
  test('closes the connection', async () => {
    client.write(encodeRequest(DescribeCluster, { apiVersion: 0, correlationId: 1, clientId: null }, { includeClusterAuthorizedOperations: false }))
    await gone
    expect(received).toHaveLength(0)
  })
  test('but a newer ApiVersions is answered in version 0 with the versions of itself', async () => {
    const [request] = encodeRequest(ApiVersions, { apiVersion: 4, correlationId: 9, clientId: null }, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })
    new DataView(request.buffer, request.byteOffset).setInt16(6, 99)
    client.write([request])
    await expect.poll(() => received.length).toBeGreaterThan(4)
    const { correlationId, response } = decodeResponse(ApiVersions, 0, received.subarray(4))
    expect(correlationId).toBe(9)
    expect(response.errorCode).toBe(35)
    expect(response.apiKeys).toEqual([{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
  })
})

test('who comes and goes before the broker is ready is forgotten: a stop does not wait for it', async () => {
  let accept: (connection: Connection) => void = () => {}
  const closeHandlers: ((error: Error | undefined) => void)[] = []
  const early: Connection = {
    remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2, bufferedSize: 0,
    onData() {}, onDrain() {}, onClose: (told) => void closeHandlers.push(told), write: () => true, pause() {}, resume() {}, end() {}, destroy() {},
  }
  const listen = async (_address: unknown, accepted: typeof accept) => {
    accept = accepted
    return { host: '', port: 2, close: async () => {} }
  }
  const unready = new Listeners({ host: { ...host, network: { ...host.network, listen } }, frameSizeMax: 1 << 20, idleMsMax: -1, backlog: 50, memoryMax: 1 << 22 })
  await unready.bind([{ listener: 'PLAINTEXT', host: '127.0.0.1', port: 0 }])
  accept(early)
  // A socket says once that it has closed; whoever listens later is told nothing.
  for (const told of closeHandlers.splice(0)) told(undefined)
  unready.serve(new Dispatcher({ host, apis: [], featureEpoch: () => 0 } as unknown as BrokerServices, []))
  expect(unready.connectionCount).toBe(0)
  await unready.stop(60_000)
})

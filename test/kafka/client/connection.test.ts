import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ConnectionError, KafkaConnection, RequestTimeoutError, software, UnsupportedVersionError } from '../../../src/kafka/client/connection.ts'
import { ApiVersions } from '../../../src/kafka/protocol/api-versions.ts'
import { Fetch } from '../../../src/kafka/protocol/fetch.ts'
import { encodeResponse } from '../../../src/kafka/protocol/headers.ts'
import { Heartbeat } from '../../../src/kafka/protocol/heartbeat.ts'
import { fakeBroker, host, type FakeBroker } from './fake-broker.ts'

const beat = { groupId: 'g', generationId: 1, memberId: 'm' }
const open = (broker: FakeBroker, options: Partial<Parameters<typeof KafkaConnection.open>[0]> = {}) =>
  KafkaConnection.open({ host, to: { host: '127.0.0.1', port: broker.port }, clientId: 'test', ...options })

test('both sides use the highest version that both know', async () => {
  const broker = await fakeBroker({ Heartbeat: () => ({ errorCode: 0 }) }, { Heartbeat: [1, 2] })
  const connection = await open(broker)
  expect(connection.versionOf(Heartbeat)).toBe(2)
  expect(connection.versionOf(Heartbeat, 1)).toBe(1)
  await connection.send(Heartbeat, beat)
  expect(broker.requests('Heartbeat')[0].version).toBe(2)
  expect(() => connection.versionOf(Fetch)).toThrow(UnsupportedVersionError)
  expect(() => connection.versionOf(Heartbeat, 0)).toThrow(/serves Heartbeat in versions 1 to 2/)
  connection.close()
})
test('an older broker answers ApiVersions in version 0 and is asked again in a version of its own', async () => {
  const broker = await fakeBroker({
    ApiVersions: ({ version, correlationId }) => {
      const apiKeys = [{ apiKey: 18, minVersion: 0, maxVersion: 1 }, { apiKey: 12, minVersion: 0, maxVersion: 0 }]
      const answer = { errorCode: version > 1 ? 35 : 0, apiKeys: version > 1 ? apiKeys.slice(0, 1) : apiKeys }
      return Buffer.concat(encodeResponse(ApiVersions, version > 1 ? 0 : version, correlationId, answer))
    },
  })
  const connection = await open(broker)
  expect(broker.asked.map(({ version }) => version)).toEqual([3, 1])
  expect(connection.versionOf(Heartbeat)).toBe(0)
  connection.close()
})
test('with fixed versions nothing is asked first', async () => {
  const broker = await fakeBroker({ Heartbeat: () => ({ errorCode: 27 }) })
  const connection = await open(broker, { versions: 'fixed' })
  expect((await connection.send(Heartbeat, beat, { version: 3 })).errorCode).toBe(27)
  expect(broker.asked).toHaveLength(1)
  await expect(connection.send(Heartbeat, beat)).rejects.toThrow(UnsupportedVersionError)
  connection.close()
})
test('requests are pipelined and answers go to whom they belong', async () => {
  const held: (() => void)[] = []
  const broker = await fakeBroker({
    Heartbeat: ({ request }) => (held.length < 2 && request['generationId'] === 0 ? new Promise((done) => held.push(() => done({ errorCode: 0 }))) : { errorCode: request['generationId'] as number }),
  })
  const connection = await open(broker)
  const answers = [0, 1, 2].map((generationId) => connection.send(Heartbeat, { ...beat, generationId }))
  expect(connection.inFlight).toBe(3)
  while (held.length === 0) await host.timers.sleep(1)
  held[0]()
  expect((await Promise.all(answers)).map(({ errorCode }) => errorCode)).toEqual([0, 1, 2])
  connection.close()
})
test('an answer that comes byte by byte is put together', async () => {
  const broker = await fakeBroker({
    Heartbeat: async ({ version, correlationId, connection }) => {
      for (const byte of Buffer.concat(encodeResponse(Heartbeat, version, correlationId, { errorCode: 16 }))) {
        connection.write([Buffer.from([byte])])
        await new Promise<void>((done) => host.timers.endOfTurn(done))
      }
      return 'silence' as const
    },
  })
  const connection = await open(broker)
  expect((await connection.send(Heartbeat, beat)).errorCode).toBe(16)
  connection.close()
})
test('a request without an answer in its time ends the connection, and all others on it', async () => {
  const broker = await fakeBroker({ Heartbeat: () => 'silence' })
  const connection = await open(broker)
  const ended = new Promise((done) => connection.onClose(done))
  const slow = connection.send(Heartbeat, beat, { timeoutMs: 30 })
  const other = connection.send(Heartbeat, beat)
  await expect(slow).rejects.toThrow(RequestTimeoutError)
  await expect(other).rejects.toThrow(`${broker.address} did not answer Heartbeat (version 4) within 30 ms`)
  expect(await ended).toBeInstanceOf(RequestTimeoutError)
  await expect(connection.send(Heartbeat, beat)).rejects.toThrow(ConnectionError)
})
test('the number of requests in flight is bounded', async () => {
  const broker = await fakeBroker({ Heartbeat: () => 'silence' })
  const connection = await open(broker, { inFlightMax: 2 })
  const waiting = [connection.send(Heartbeat, beat), connection.send(Heartbeat, beat)].map((one) => expect(one).rejects.toThrow('was closed'))
  await expect(connection.send(Heartbeat, beat)).rejects.toThrow(/2 requests to .* have no answer yet/)
  connection.close()
  await Promise.all(waiting)
})
test.each([
  ['another correlation id', ({ correlationId }: { correlationId: number }) => Buffer.concat(encodeResponse(Heartbeat, 4, correlationId + 7, { errorCode: 0 })), /correlation id \d+ where \d+ was due/],
  ['a body that is cut off', ({ correlationId }: { correlationId: number }) => Buffer.from([0, 0, 0, 5, 0, 0, 0, correlationId, 0]), /bytes wanted/],
  ['an HTTP server', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /this is an HTTP server/],
  ['a TLS alert', () => Buffer.from('15030300020246', 'hex'), /this is a TLS listener/],
  ['a negative size', () => Buffer.from('ffffffff00000000', 'hex'), /a frame of -1 bytes/],
])('%s ends the connection with a sentence that says so', async (_, reaction, message) => {
  const broker = await fakeBroker({ Heartbeat: reaction })
  const connection = await open(broker)
  const sent = connection.send(Heartbeat, beat)
  await expect(sent).rejects.toThrow(ConnectionError)
  await expect(sent).rejects.toThrow(message)
  expect(connection.closed).toBe(true)
})
test('nobody there, and somebody who hangs up, are named with the address', async () => {
  const listener = await host.network.listen({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
  const to = { host: '127.0.0.1', port: listener.port }
  await expect(KafkaConnection.open({ host, to })).rejects.toThrow(/did not answer the first request of a Kafka client.*plain-text listener/)
  await listener.close()
  await expect(KafkaConnection.open({ host, to })).rejects.toThrow(`no connection to 127.0.0.1:${listener.port}: connect ECONNREFUSED`)
})
test("the version that brokers are told is the package's", () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  expect(software.version).toBe(version)
})

/** Nothing that arrives on a port may end the process, grow it without bound, or lose what was acknowledged. `CASES=100000` runs more. */
import fc from 'fast-check'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import type { Connection, LogFacts, Logger } from '../../src/host/host.ts'
import { handlers } from '../../src/kafka/broker/handlers/table.ts'
import { encodeRequest } from '../../src/kafka/protocol/headers.ts'
import { Ottla } from '../../src/ottla.ts'
import type { JuteRecord } from '../../src/wire/codec.ts'
import type { Fields } from '../../src/wire/schema.ts'
import { FrameReader } from '../../src/zookeeper/client/frame-reader.ts'
import { op } from '../../src/zookeeper/protocol/op-codes.ts'
import {
  AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateRequest, CreateTTLRequest, DeleteContainerRequest, DeleteRequest, ExistsRequest, GetACLRequest,
  GetAllChildrenNumberRequest, GetChildren2Request, GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, GetSASLRequest, MultiHeader, ReconfigRequest, RemoveWatchesRequest,
  SetACLRequest, SetDataRequest, SetWatches, SetWatches2, SyncRequest,
} from '../../src/zookeeper/protocol/records.ts'
import { messages } from '../wire/messages.ts'

const cases = Number(process.env['CASES'] ?? 6_000)
const host = nodeHost({ logger: silentLogger })
const warnings: string[] = []
const logger: Logger = {
  debug() {},
  info() {},
  warn: (event: string, facts?: LogFacts) => void warnings.push(`${event} ${JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`),
  error: (event: string, facts?: LogFacts) => void warnings.push(`${event} ${String(facts?.['error'] ?? '')}`),
  named: () => logger,
}
let ottla: Ottla
let kafkaPort: number
let zookeeperPort: number

beforeAll(async () => {
  ottla = await Ottla.start({ logger })
  kafkaPort = Number(ottla.bootstrapServers.split(':')[1])
  zookeeperPort = Number(ottla.zookeeperConnect.split(':')[1])
  const producer = kafka().producer()
  await producer.connect()
  await producer.send({ topic: 'precious', messages: Array.from({ length: 50 }, (_, each) => ({ value: `kept ${each}` })) })
  await producer.disconnect()
})
afterAll(() => ottla?.stop())
const kafka = () => new Kafka({ brokers: [ottla.bootstrapServers], connectionTimeout: 30_000, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, maxRetryTime: 500, retries: 60 } })

/** A connection that is opened anew whenever the server has closed it. */
class Attacker {
  readonly #port: number
  #connection: Connection | undefined
  received = 0
  constructor(port: number) {
    this.#port = port
  }
  async send(pieces: readonly Uint8Array[]): Promise<void> {
    if (!this.#connection) {
      const connection = await host.network.connect({ host: '127.0.0.1', port: this.#port })
      connection.onData((chunk) => (this.received += chunk.length))
      connection.onClose(() => {
        if (this.#connection === connection) this.#connection = undefined
      })
      this.#connection = connection
    }
    this.#connection.write(pieces)
    await host.timers.sleep(0)
  }
  /** Begins anew, so that a half-sent frame does not swallow the next case. */
  drop(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }
}

/** Sent on a connection of its own; there are so many answers, or the server has closed it. */
async function answered(port: number, pieces: readonly Uint8Array[], { repliesMin }: { repliesMin: number }): Promise<void> {
  const connection = await host.network.connect({ host: '127.0.0.1', port })
  const frames = new FrameReader(16 * 1024 * 1024)
  let replies = 0
  try {
    await new Promise<void>((resolve) => {
      connection.onData((chunk) => {
        replies += [...frames.push(chunk)].length
        if (replies >= repliesMin) resolve()
      })
      connection.onClose(() => resolve())
      connection.write(pieces)
    })
  } finally {
    connection.destroy()
  }
}

async function stillServes(): Promise<void> {
  const admin = kafka().admin()
  await admin.connect()
  const [{ high }] = await admin.fetchTopicOffsets('precious')
  await admin.disconnect()
  expect(high).toBe('50')
}
/** Behind size and API: a request keeps to what it may ask for. */
const mutableFrom = 6
const mutate = (frame: Buffer, places: readonly [number, number][]): Buffer => {
  const bytes = Buffer.from(frame)
  for (const [where, value] of places) bytes[mutableFrom + (where % (bytes.length - mutableFrom))] = value
  return bytes
}
const places = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 })

describe('the Kafka port', () => {
  // What changes the cluster is left to the tests of its handler: here a random name may be a good one, and whoever says that it is
  // the controller, of an epoch not seen before, is believed as long as there is no authorizer.
  const reading = handlers.filter(({ api }) => !/^(Create|Delete|Alter|Incremental)|^(LeaderAndIsr|StopReplica|UpdateMetadata|ControlledShutdown)$/.test(api.name))
  const requestsOf = (served: typeof handlers, strings?: fc.Arbitrary<string>) =>
    fc.constantFrom(...served).chain(({ api }) =>
      fc.integer({ min: api.versions[0], max: api.versions[1] }).chain((version) =>
        messages(api.request.fields, version, version >= api.flexible ? 'compact' : 'classic', strings).map((message) =>
          Buffer.concat(encodeRequest(api, { apiVersion: version, correlationId: 1, clientId: 'x' }, message as never)),
        ),
      ),
    )
  const request = requestsOf(reading)
  test('outlives valid requests with absurd content, and mutated ones', async () => {
    const attacker = new Attacker(kafkaPort)
    await fc.assert(
      fc.asyncProperty(request, fc.option(places), async (bytes, changes) => {
        await attacker.send([changes ? mutate(bytes, changes) : bytes])
        // A request that waits (a long poll, a group) would hold back what follows on its connection.
        attacker.drop()
      }),
      { numRuns: cases, endOnFailure: true },
    )
    await stillServes()
    expect(warnings.filter((warning) => warning.startsWith('request failed'))).toEqual([])
  }, 240_000)

  // Names that are no names of topics, but parts of a znode's path; none that the server has.
  const names = fc.oneof(fc.constantFrom('', '.', '..', '/', 'precious/', 'precious/partitions', '../precious', 'precious/../precious', 'x\0', '\ud800', 'x'.repeat(250), 'x'.repeat(30_000)), fc.string({ unit: 'binary', maxLength: 12 }))
  const changing = handlers.filter(({ api }) => /^(Create|Delete|Alter|Incremental)/.test(api.name))
  test('answers requests that would change what has an absurd name', async () => {
    await fc.assert(
      fc.asyncProperty(requestsOf(changing, names), async (bytes) => {
        await answered(kafkaPort, [bytes], { repliesMin: 1 })
      }),
      { numRuns: Math.ceil(cases / 3), endOnFailure: true },
    )
    await stillServes()
    expect(warnings.filter((warning) => warning.startsWith('request failed'))).toEqual([])
  }, 240_000)

  test('outlives random bytes', async () => {
    const attacker = new Attacker(kafkaPort)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        await attacker.send([bytes])
        attacker.drop()
      }),
      { numRuns: Math.ceil(cases / 3) },
    )
    await stillServes()
  }, 240_000)

  test.each([
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex'), /TLS hello/],
    ['an HTTP request', Buffer.from('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'), /HTTP request/],
    ["a ZooKeeper client's handshake", Buffer.from(`0000002d${'00'.repeat(24)}00000010${'00'.repeat(17)}`, 'hex'), /ZooKeeper client's handshake/],
    ['a size of 2 GB', Buffer.from('7fffffff0012', 'hex'), /2147483647 bytes; socket.request.max.bytes allows/],
    ['an unknown API', Buffer.from('0000000e03e700000000000100040000000000', 'hex'), /API 999 version 0 is not served/],
  ])('says in its log that it was %s', async (_, bytes, said) => {
    warnings.length = 0
    const attacker = new Attacker(kafkaPort)
    await attacker.send([bytes])
    await expect.poll(() => warnings.join('\n')).toMatch(said)
    await stillServes()
  })
})

describe("ZooKeeper's port", () => {
  const handshake = Buffer.from(`0000002d00000000${'00'.repeat(8)}00007530${'00'.repeat(8)}00000010${'00'.repeat(17)}`, 'hex')
  test('outlives random requests of a client that has shaken hands', async () => {
    const attacker = new Attacker(zookeeperPort)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: -20, max: 120 }), fc.uint8Array({ maxLength: 80 }), async (op, body) => {
        const head = Buffer.alloc(12)
        head.writeInt32BE(8 + body.length, 0)
        head.writeInt32BE(1, 4)
        head.writeInt32BE(op, 8)
        await attacker.send([handshake, head, body])
        attacker.drop()
      }),
      { numRuns: Math.ceil(cases / 3) },
    )
    await stillServes()
  }, 240_000)
  const path = fc.oneof(fc.constantFrom('', '/', '//', '/.', '/..', '/zookeeper', '/zookeeper/quota', '/zookeeper/config', '/a', '/a/b', '/a/', 'a', '/x\0', '/\ud800', `/${'x'.repeat(2_000)}`), fc.string({ unit: 'binary', maxLength: 12 }))
  const requests = new Map<number, JuteRecord<Fields>>([
    [op.create, CreateRequest], [op.create2, CreateRequest], [op.createContainer, CreateRequest], [op.createTTL, CreateTTLRequest], [op.delete, DeleteRequest], [op.deleteContainer, DeleteContainerRequest],
    [op.exists, ExistsRequest], [op.getData, GetDataRequest], [op.setData, SetDataRequest], [op.getACL, GetACLRequest], [op.setACL, SetACLRequest], [op.getChildren, GetChildrenRequest],
    [op.getChildren2, GetChildren2Request], [op.getAllChildrenNumber, GetAllChildrenNumberRequest], [op.getEphemerals, GetEphemeralsRequest], [op.sync, SyncRequest], [op.check, CheckVersionRequest],
    [op.checkWatches, CheckWatchesRequest], [op.removeWatches, RemoveWatchesRequest], [op.addWatch, AddWatchRequest], [op.setWatches, SetWatches], [op.setWatches2, SetWatches2], [op.auth, AuthPacket],
    [op.sasl, GetSASLRequest], [op.reconfig, ReconfigRequest],
  ])
  const operation = (types: readonly number[]) =>
    fc.constantFrom(...types).chain((type) => {
      const record = requests.get(type) as JuteRecord<Fields>
      return messages(record.fields, 0, 'jute', path).map((message) => ({ type, body: record.encode(message as never) }))
    })
  const several = fc.constantFrom(op.multi, op.multiRead).chain((type) =>
    fc.array(operation([op.create, op.create2, op.createContainer, op.createTTL, op.delete, op.setData, op.check, op.getData, op.getChildren]), { maxLength: 4 }).map((parts) => ({
      type,
      body: Buffer.concat([...parts.flatMap((part) => [MultiHeader.encode({ type: part.type, done: false, err: -1 }), part.body]), MultiHeader.encode({ type: -1, done: true, err: -1 })]),
    })),
  )
  test('answers valid requests with absurd content', async () => {
    warnings.length = 0
    await fc.assert(
      fc.asyncProperty(fc.oneof({ arbitrary: operation([...requests.keys()]), weight: 4 }, { arbitrary: several, weight: 1 }), async ({ type, body }) => {
        const head = Buffer.alloc(12)
        head.writeInt32BE(8 + body.length, 0)
        head.writeInt32BE(1, 4)
        head.writeInt32BE(type, 8)
        await answered(zookeeperPort, [handshake, head, body], { repliesMin: 2 })
      }),
      { numRuns: Math.ceil(cases / 3), endOnFailure: true },
    )
    await stillServes()
    expect(warnings.filter((warning) => warning.includes('bug of the server'))).toEqual([])
  }, 240_000)
  test('outlives random bytes', async () => {
    const attacker = new Attacker(zookeeperPort)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        await attacker.send([bytes])
        attacker.drop()
      }),
      { numRuns: Math.ceil(cases / 3) },
    )
    await stillServes()
  }, 240_000)
  test.each([
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex'), /TLS/],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /HTTP/],
    ['a Kafka request', Buffer.from('00000013001200030000000100086d792d6170702e00000000', 'hex'), /Kafka/],
  ])('says in its log that it was %s', async (_, bytes, said) => {
    warnings.length = 0
    await new Attacker(zookeeperPort).send([bytes])
    await expect.poll(() => warnings.join('\n')).toMatch(said)
  })
})

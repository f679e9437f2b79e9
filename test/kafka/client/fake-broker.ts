/** A broker that says what a test tells it to say, on a real socket: for what a client does with refusals, silence and nonsense. */
import { afterEach } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import type { Connection } from '../../../src/host/host.ts'
import type { Api } from '../../../src/kafka/protocol/api.ts'
import { apiByKey } from '../../../src/kafka/protocol/apis.ts'
import { ApiVersions } from '../../../src/kafka/protocol/api-versions.ts'
import { decodeRequest, encodeResponse, readRequestStart } from '../../../src/kafka/protocol/headers.ts'
import { Reader } from '../../../src/wire/reader.ts'

export const host = nodeHost({ logger: silentLogger })
export interface Asked {
  api: Api
  version: number
  request: Record<string, unknown>
  connection: Connection
  correlationId: number
}
/** An answer, or `silence`, or bytes to be sent as they are. */
export type Reaction = Record<string, unknown> | 'silence' | Buffer
export type Handlers = { [apiName: string]: (asked: Asked) => Reaction | Promise<Reaction> }

const running: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of running.splice(0)) await stop()
})

export class FakeBroker {
  readonly port: number
  readonly asked: Asked[] = []
  readonly connections: Connection[] = []
  constructor(port: number) {
    this.port = port
  }
  get address(): string {
    return `127.0.0.1:${this.port}`
  }
  requests(name: string): Asked[] {
    return this.asked.filter(({ api }) => api.name === name)
  }
}

/** What ApiVersions says: every API of `handlers` in all its versions, unless `ranges` narrows it. */
export async function fakeBroker(handlers: Handlers, ranges: { [apiName: string]: [number, number] } = {}): Promise<FakeBroker> {
  let broker: FakeBroker | undefined
  const all: Handlers = { ApiVersions: () => versions(Object.keys(all), ranges), ...handlers }
  const listener = await host.network.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    broker!.connections.push(connection)
    let bytes = Buffer.alloc(0)
    connection.onClose(() => {})
    connection.onData(async (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const frame = bytes.subarray(4, 4 + bytes.readInt32BE(0))
        bytes = bytes.subarray(4 + frame.length)
        const { apiKey, apiVersion, correlationId } = readRequestStart(new Reader(frame))
        const api = apiByKey(apiKey)!
        const asked: Asked = { api, version: apiVersion, request: decodeRequest(api, frame).request, connection, correlationId }
        broker!.asked.push(asked)
        const reaction = await all[api.name](asked)
        if (reaction === 'silence') continue
        connection.write(Buffer.isBuffer(reaction) ? [reaction] : encodeResponse(api, apiVersion, correlationId, reaction as never))
      }
    })
  })
  broker = new FakeBroker(listener.port)
  const { connections } = broker
  running.push(async () => {
    for (const connection of connections) connection.destroy()
    await listener.close()
  })
  return broker
}
function versions(names: string[], ranges: { [apiName: string]: [number, number] }): Reaction {
  const apiKeys = names.map((name) => {
    const api = apiByName(name)
    const [minVersion, maxVersion] = ranges[name] ?? api.versions
    return { apiKey: api.key, minVersion, maxVersion }
  })
  return { errorCode: 0, apiKeys }
}
function apiByName(name: string): Api {
  for (let key = 0; key < 100; key++) if (apiByKey(key)?.name === name) return apiByKey(key)!
  return ApiVersions
}
/** A metadata answer for one topic with a leader for each partition. */
export function metadataOf(brokers: FakeBroker[], topic: string, leaders: readonly number[], controllerId = 0): Reaction {
  return {
    brokers: brokers.map(({ port }, nodeId) => ({ nodeId, host: '127.0.0.1', port })),
    controllerId,
    topics: [{ errorCode: 0, name: topic, partitions: leaders.map((leaderId, partitionIndex) => ({ errorCode: 0, partitionIndex, leaderId, replicaNodes: [0], isrNodes: [0] })) }],
  }
}

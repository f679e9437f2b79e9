/** A broker with its ZooKeeper on free ports, and one connection to it: for tests of handlers over their whole range of versions. */
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { KafkaConnection } from '../../../src/kafka/client/connection.ts'
import type { Api, RequestTo, ResponseOf } from '../../../src/kafka/protocol/api.ts'
import { Ottla } from '../../../src/ottla.ts'
import type { Fields } from '../../../src/wire/schema.ts'

export interface BrokerUnderTest {
  readonly ottla: Ottla
  ask<Q extends Fields, S extends Fields>(api: Api<Q, S>, version: number, request: RequestTo<Api<Q, S>>): Promise<ResponseOf<Api<Q, S>>>
  stop(): Promise<void>
}

export async function startBroker(broker: Readonly<Record<string, string>> = {}): Promise<BrokerUnderTest> {
  const ottla = await Ottla.start({ broker })
  const [host, port] = ottla.bootstrapServers.split(':')
  const connection = await KafkaConnection.open({ host: nodeHost({ logger: silentLogger }), to: { host, port: Number(port) }, clientId: 'test' })
  return {
    ottla,
    ask: async (api, version, request) => (await connection.send(api, request, { version })) as never,
    async stop() {
      connection.close()
      await ottla.stop()
    },
  }
}

/** Every version of an API. */
export const versionsOf = ({ versions: [first, last] }: Api): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index)

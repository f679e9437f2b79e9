/** One request to one broker, on a connection of its own: whoever else stands still does not matter. */
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { KafkaConnection } from '../../src/kafka/client/connection.ts'
import type { Api, RequestTo, ResponseOf } from '../../src/kafka/protocol/api.ts'
import type { Fields } from '../../src/wire/schema.ts'

const host = nodeHost({ logger: silentLogger })

/** `version`: default the highest that both know. `timeoutMs`: for the answer; default 30 s. */
export async function askBroker<Q extends Fields, S extends Fields>(
  { host: name, port }: { readonly host: string; readonly port: number },
  api: Api<Q, S>,
  request: RequestTo<Api<Q, S>>,
  how: { readonly version?: number; readonly timeoutMs?: number } = {},
): Promise<ResponseOf<Api<Q, S>>> {
  const connection = await KafkaConnection.open({ host, to: { host: name, port }, clientId: 'interop', requestTimeoutMs: 30_000 })
  try {
    return await connection.send(api, request, how)
  } finally {
    connection.close()
  }
}

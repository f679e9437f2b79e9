/** The client of a cluster named on a command line, by its brokers or by its ZooKeeper. */
import type { ServerAddress } from '../kafka/client/addresses.ts'
import { KafkaClient, type ClientOptions } from '../kafka/client/client.ts'
import { brokersIn, connectZooKeeper } from './brokers-in-zookeeper.ts'
import { numberIn, type ClientProperties } from './client-properties.ts'
import type { ToolIo } from './tool.ts'

export interface ClusterNamed {
  bootstrapServers?: string
  zookeeper?: string
  clientId: string
  properties?: ClientProperties
  callTimeoutMs?: number
  /** By default `warnOnce(io)`. */
  onTrouble?: (error: Error) => void
}

/** Each trouble is told once, as a line on standard error, while the client goes on trying. */
export function warnOnce(io: ToolIo): (error: Error) => void {
  const told = new Set<string>()
  return ({ message }) => {
    if (told.has(message) || told.size > 100) return
    told.add(message)
    io.err(`WARN ${message}; trying again`)
  }
}

export async function clusterClient(io: ToolIo, { bootstrapServers, zookeeper, clientId, properties = new Map(), callTimeoutMs, onTrouble = warnOnce(io) }: ClusterNamed): Promise<KafkaClient> {
  let servers: string | ServerAddress[] = bootstrapServers ?? properties.get('bootstrap.servers') ?? ''
  if (zookeeper !== undefined) {
    const session = await connectZooKeeper(io.host, zookeeper)
    try {
      servers = await brokersIn(session, zookeeper)
    } finally {
      await session.close()
    }
  }
  const options: ClientOptions = {
    host: io.host,
    bootstrapServers: servers,
    clientId: properties.get('client.id') ?? clientId,
    requestTimeoutMs: numberIn(properties, 'request.timeout.ms') ?? 30_000,
    callTimeoutMs: callTimeoutMs ?? numberIn(properties, 'default.api.timeout.ms') ?? 60_000,
    retryBackoffMs: numberIn(properties, 'retry.backoff.ms') ?? 100,
    onRetry: onTrouble,
  }
  return new KafkaClient(options)
}

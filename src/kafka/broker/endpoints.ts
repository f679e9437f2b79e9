/** Where clients find a broker, as seen from the listener they came in on. */
import type { RequestContext } from './handler.ts'

export interface Node {
  nodeId: number
  host: string
  port: number
  rack: string | null
}

/**
 * The broker's address for this client, or undefined when it is not alive or does not have the listener. Without
 * `advertised.listeners` this broker is where the client has reached it: several interfaces and virtual machines just work.
 */
export function nodeFor(context: RequestContext, brokerId: number): Node | undefined {
  const { broker } = context
  const known = broker.metadata.brokers.get(brokerId)
  if (!known) return undefined
  if (brokerId === broker.brokerId && !broker.advertised) return { nodeId: brokerId, host: context.localAddress, port: context.localPort, rack: known.rack }
  const endpoint = known.endpoints.get(context.listener)
  return endpoint && { nodeId: brokerId, host: endpoint.host, port: endpoint.port, rack: known.rack }
}
/** All brokers that the client can reach. */
export function nodesFor(context: RequestContext): Node[] {
  const nodes = []
  for (const id of context.broker.metadata.brokers.keys()) {
    const node = nodeFor(context, id)
    if (node) nodes.push(node)
  }
  return nodes
}

/** Tells a client that came to the wrong broker who leads the partition, so that it need not ask for metadata (KIP-951). */
export function leaderHint({ broker }: RequestContext, topic: string, index: number): { leaderId: number; leaderEpoch: number } {
  const known = broker.metadata.partition(topic, index)
  // A replica hears of its new leader before all brokers hear where to find it.
  const told = broker.replicas.find(topic, index)?.leadership
  if (told && !(known && known.leaderEpoch > told.leaderEpoch)) return told
  return known ? { leaderId: known.leader, leaderEpoch: known.leaderEpoch } : { leaderId: -1, leaderEpoch: -1 }
}
/** Where the leaders are that the answers hint at. */
export function nodesOf(context: RequestContext, answers: readonly { currentLeader?: { leaderId?: number } }[]): Node[] {
  const ids = new Set(answers.map(({ currentLeader }) => currentLeader?.leaderId ?? -1))
  return [...ids].flatMap((id) => nodeFor(context, id) ?? [])
}

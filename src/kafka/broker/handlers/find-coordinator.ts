/**
 * FindCoordinator: the leader of the partition of `__consumer_offsets` a group belongs to, or of `__transaction_state` a transactional id;
 * the topic is made when somebody first asks. Key type 2 (share groups) has no coordinator here. Behaviour by version: v4 asks for several keys.
 */
import { offsetsPartitionOf } from '../../groups/offsets-partition-of.ts'
import { errors, type KafkaError } from '../../protocol/errors.ts'
import { FindCoordinator } from '../../protocol/find-coordinator.ts'
import { nodeFor } from '../endpoints.ts'
import { handler, type RequestContext } from '../handler.ts'
import { transactionsTopic } from '../internal-topics.ts'
import { offsetsTopic } from '../offsets-storage.ts'

/** How long the first to ask waits for the topic's leaders, before it is told to ask again. */
const creationWaitMs = 1_000
const keyTypes = { group: 0, transaction: 1, share: 2 } as const
interface Found {
  nodeId: number
  host: string
  port: number
  errorCode: number
  errorMessage: string | null
}

export const findCoordinator = handler({
  api: FindCoordinator,
  refuse: (errorCode, request, { version }) => {
    const found = nobody({ code: errorCode, message: '' })
    return version < 4 ? found : { coordinators: (request.coordinatorKeys ?? []).map((key) => ({ key, ...found })) }
  },
  async answer({ key, keyType, coordinatorKeys }, context) {
    const { version } = context
    const keys = version < 4 ? [key] : [...new Set(coordinatorKeys)]
    const find = await finderFor(keyType, keys, context)
    if (version >= 4) return { coordinators: keys.map((each) => ({ key: each, ...find(each) })) }
    const found = find(key)
    // Apache names the lack of an error, in these versions alone.
    return { ...found, errorMessage: found.errorCode === 0 ? errors.none.name : found.errorMessage }
  },
})

async function finderFor(keyType: number, keys: readonly string[], context: RequestContext): Promise<(key: string) => Found> {
  const { broker, version } = context
  if (keyType === keyTypes.share) return () => nobody(version >= 6 ? errors.coordinatorNotAvailable : errors.invalidRequest)
  if (keyType !== keyTypes.group && keyType !== keyTypes.transaction)
    return () => nobody({ code: errors.invalidRequest.code, message: `coordinators of type ${keyType} do not exist; known are 0 (group) and 1 (transaction)` })
  const name = keyType === keyTypes.group ? offsetsTopic : transactionsTopic
  const leaderOf = (key: string): number => {
    const topic = broker.metadata.topic(name)
    return topic?.partitions[offsetsPartitionOf(key, topic.partitions.length)]?.leader ?? -1
  }
  if (!broker.metadata.topic(name)) {
    await broker.topics.autoCreate([name], { allowed: true })
    await broker.metadata.until(() => keys.every((key) => leaderOf(key) >= 0), creationWaitMs, broker.host.timers)
  }
  return (key) => {
    const leader = leaderOf(key)
    const node = leader < 0 ? undefined : nodeFor(context, leader)
    return node ? { nodeId: node.nodeId, host: node.host, port: node.port, errorCode: 0, errorMessage: '' } : nobody(errors.coordinatorNotAvailable)
  }
}

function nobody({ code, message }: Pick<KafkaError, 'code' | 'message'>): Found {
  return { nodeId: -1, host: '', port: -1, errorCode: code, errorMessage: message }
}

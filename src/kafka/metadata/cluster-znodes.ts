/** The small nodes that exist once: cluster id, controller, producer ids, features; and the notifications of brokers. */
import { paths } from './znode-paths.ts'
import { asInteger, asIntegers, asList, asObject, asText, encodeZnode, parseZnode, ZnodeError } from './znode-json.ts'

/** The version is a string. */
export const encodeClusterId = (id: string): Buffer => encodeZnode({ version: '1', id })
export const decodeClusterId = (data: Uint8Array | null): string => asText(paths.clusterId, 'id', parseZnode(paths.clusterId, data).id)

export interface ControllerNode {
  readonly brokerId: number
  readonly timestampMs: number
  /** Above 0 a KRaft controller is migrating the cluster: no broker may elect itself. */
  readonly kraftControllerEpoch: number
}
export function encodeController({ brokerId, timestampMs, kraftControllerEpoch }: ControllerNode): Buffer {
  return encodeZnode({ version: 2, brokerid: brokerId, timestamp: String(timestampMs), kraftControllerEpoch })
}
export function decodeController(data: Uint8Array | null): ControllerNode {
  const json = parseZnode(paths.controller, data)
  return {
    brokerId: asInteger(paths.controller, 'brokerid', json.brokerid),
    timestampMs: Number(json.timestamp ?? -1),
    kraftControllerEpoch: json.kraftControllerEpoch === undefined ? -1 : asInteger(paths.controller, 'kraftControllerEpoch', json.kraftControllerEpoch),
  }
}
/** Plain decimal text; one more has to be a number of 32 bits, too. */
export function decodeControllerEpoch(data: Uint8Array | null): number {
  const text = Buffer.from(data ?? []).toString('utf8').trim()
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 0x7fff_ffff) throw new ZnodeError(paths.controllerEpoch, `holds ${JSON.stringify(text.slice(0, 80))} in place of a number of 32 bits`)
  return Number(text)
}

/** A block of producer ids, both ends inclusive; on the wire and here beyond 2^53 refused. */
export interface ProducerIdBlockNode {
  readonly brokerId: number
  readonly first: number
  readonly last: number
}
export function encodeProducerIds({ brokerId, first, last }: ProducerIdBlockNode): Buffer {
  return encodeZnode({ version: 1, broker: brokerId, block_start: String(first), block_end: String(last) })
}
/** Undefined when no block was ever given. */
export function decodeProducerIds(data: Uint8Array | null): ProducerIdBlockNode | undefined {
  if (data === null || data.length === 0) return undefined
  const json = parseZnode(paths.producerIds, data)
  const first = Number(asText(paths.producerIds, 'block_start', json.block_start))
  const last = Number(asText(paths.producerIds, 'block_end', json.block_end))
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) throw new ZnodeError(paths.producerIds, `has a block ${first}..${last} beyond 2^53`)
  if (first < 0 || last < first) throw new ZnodeError(paths.producerIds, `has a block ${first}..${last}, which is none`)
  return { brokerId: asInteger(paths.producerIds, 'broker', json.broker), first, last }
}

/** ZooKeeper-mode brokers finalize no features: the map stays empty, status 1 says that there could be some. Version 1 before 3.3. */
export const encodeFeature = (version: 1 | 2): Buffer => encodeZnode({ features: {}, version, status: 1 })

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** `/isr_change_notification/…`, `/admin/preferred_replica_election`: a list of partitions. */
export function encodePartitions(partitions: readonly TopicPartition[]): Buffer {
  return encodeZnode({ version: 1, partitions: partitions.map(({ topic, partition }) => ({ topic, partition })) })
}
export function decodePartitions(path: string, data: Uint8Array | null): TopicPartition[] {
  const { partitions } = parseZnode(path, data)
  return asList(path, 'partitions', partitions).map((each) => {
    const { topic, partition } = asObject(path, 'a partition', each)
    return { topic: asText(path, 'topic', topic), partition: asInteger(path, 'partition', partition) }
  })
}
/** `/admin/reassign_partitions`: what tools before KIP-455 ask for, and what of it is not done yet. */
export interface WantedReplicas extends TopicPartition {
  readonly replicas: readonly number[]
}
export function encodeReassignment(partitions: readonly WantedReplicas[]): Buffer {
  return encodeZnode({ version: 1, partitions: partitions.map(({ topic, partition, replicas }) => ({ topic, partition, replicas })) })
}
export function decodeReassignment(data: Uint8Array | null): WantedReplicas[] {
  const path = paths.reassignment
  const { partitions } = parseZnode(path, data)
  return asList(path, 'partitions', partitions).map((each) => {
    const { topic, partition, replicas } = asObject(path, 'a partition', each)
    return { topic: asText(path, 'topic', topic), partition: asInteger(path, 'partition', partition), replicas: asIntegers(path, 'replicas', replicas) }
  })
}
/** `/log_dir_event_notification/…`: event 1 is the failure of a log dir. */
export const encodeLogDirEvent = (brokerId: number): Buffer => encodeZnode({ version: 1, broker: brokerId, event: 1 })
export const decodeLogDirEvent = (path: string, data: Uint8Array | null): { brokerId: number; event: number } => {
  const json = parseZnode(path, data)
  return { brokerId: asInteger(path, 'broker', json.broker), event: asInteger(path, 'event', json.event) }
}

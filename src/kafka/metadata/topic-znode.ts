/** `/brokers/topics/<topic>`: id and assignment (reference §1.4). What is there decides, not the version; 3 is written. */
import { paths } from './znode-paths.ts'
import { isPartitionIndex } from './topic-names.ts'
import { asIntegers, asObject, asUuid, encodeZnode, parseZnode, requestSizeMax, ZnodeError, type Json } from './znode-json.ts'

/** Where one partition lives. While it is moved, `replicas` holds old and new ones; adding and removing say which are which. */
export interface Assignment {
  readonly replicas: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
}
export interface TopicAssignment {
  /** Undefined for topics made before Kafka 2.8, until a controller gives them one. */
  readonly topicId: string | undefined
  readonly partitions: ReadonlyMap<number, Assignment>
}

export const assigned = (replicas: readonly number[]): Assignment => ({ replicas, adding: [], removing: [] })
export const isReassigning = ({ adding, removing }: Assignment): boolean => adding.length > 0 || removing.length > 0
/** Where the partition lived before it was moved. */
export const originOf = ({ replicas, adding }: Assignment): number[] => replicas.filter((id) => !adding.includes(id))
/** Where it is to live in the end. */
export const targetOf = ({ replicas, removing }: Assignment): number[] => replicas.filter((id) => !removing.includes(id))
/** The assignment while the partition moves to `target` (KIP-455): the target first, then who leaves. */
export function movedTo(from: Assignment, target: readonly number[]): Assignment {
  const origin = originOf(from)
  const replicas = [...new Set([...target, ...origin])]
  return { replicas, adding: replicas.filter((id) => !origin.includes(id)), removing: replicas.filter((id) => !target.includes(id)) }
}
export function sameAssignment(one: Assignment, other: Assignment): boolean {
  const text = ({ replicas, adding, removing }: Assignment): string => `${replicas.join()}|${adding.join()}|${removing.join()}`
  return text(one) === text(other)
}

export function encodeTopic({ topicId, partitions }: TopicAssignment): Buffer {
  const byIndex = [...partitions].sort(([one], [other]) => one - other)
  const some = (of: (assignment: Assignment) => readonly number[]) =>
    Object.fromEntries(byIndex.filter(([, assignment]) => of(assignment).length > 0).map(([index, assignment]) => [index, of(assignment)]))
  return encodeZnode({
    partitions: Object.fromEntries(byIndex.map(([index, { replicas }]) => [index, replicas])),
    ...(topicId === undefined ? {} : { topic_id: topicId }),
    adding_replicas: some(({ adding }) => adding),
    removing_replicas: some(({ removing }) => removing),
    version: 3,
  })
}

/** Why ZooKeeper would not take the znode; undefined when it does. Leaves room for a request's head, path and ACL. */
export function sizeFault(topic: TopicAssignment): string | undefined {
  const size = encodeTopic(topic).length
  const sizeMax = requestSizeMax - 1_024
  return size > sizeMax ? `${topic.partitions.size} partitions take ${size} bytes in ZooKeeper, and a topic may have ${sizeMax} (jute.maxbuffer)` : undefined
}
export function decodeTopic(topic: string, data: Uint8Array | null): TopicAssignment {
  const path = paths.topic(topic)
  const json = parseZnode(path, data)
  const lists = (what: string, value: Json | undefined): Map<number, number[]> =>
    new Map(value === undefined ? [] : Object.entries(asObject(path, `'${what}'`, value)).map(([index, replicas]) => [indexOf(path, index), asIntegers(path, what, replicas)]))
  const adding = lists('adding_replicas', json.adding_replicas)
  const removing = lists('removing_replicas', json.removing_replicas)
  return {
    topicId: json.topic_id === undefined ? undefined : asUuid(path, 'topic_id', json.topic_id),
    partitions: new Map(
      [...lists('partitions', json.partitions)].map(([index, replicas]) => [index, { replicas, adding: adding.get(index) ?? [], removing: removing.get(index) ?? [] }]),
    ),
  }
}

function indexOf(path: string, text: string): number {
  const index = /^\d+$/.test(text) ? Number(text) : -1
  if (!isPartitionIndex(index)) throw new ZnodeError(path, `has the partition ${JSON.stringify(text.slice(0, 60))}, which is no number from 0 on`)
  return index
}

/**
 * What several clients of one ensemble asked and were told, judged afterwards: writes are linearizable over all paths, each session sees
 * its own order and never goes back, everybody sees a set grow in the same order, nothing acknowledged is missing. Reads may be old
 * (as ZooKeeper's are), but never older than what their session has seen; those that follow a sync at rest are as new as any answer.
 */
import { Registers, type Floor } from './registers.ts'
import { Violation } from './violation.ts'

/** One request, by whoever asked. Times are nanoseconds of one monotonic clock for all clients. */
export interface Operation {
  /** One session. Its operations stand in the history in the order it asked them. */
  readonly client: string
  /** `add` makes a child that nobody makes twice and nobody deletes; `list` shows all children of the path. */
  readonly kind: 'write' | 'read' | 'add' | 'list'
  readonly path: string
  /** What was written, added or shown: unique among the writes of a path. Empty for a list. */
  readonly value: string
  /** What a list showed. */
  readonly names?: readonly string[]
  readonly begun: number
  readonly ended: number
  /** `unknown`: it may have happened, or may happen yet. */
  readonly outcome: 'ok' | 'refused' | 'unknown'
  /** Of the write, or of the last change of what is shown (mzxid, or pzxid for a list). 0 without an answer. */
  readonly zxid: bigint
  /** The reply's own zxid, where the client knows it. */
  readonly header?: bigint
  /** The version written or shown; a list has none. */
  readonly version?: number
  /** The version a conditional write asked for. */
  readonly expected?: number
  /** A read or list after a sync, while no leader could be outdated: as new as anything any client had been told. */
  readonly isSynced?: boolean
}
export interface Tally {
  writes: number
  reads: number
  lists: number
  refused: number
  unknown: number
}

/** Throws the first Violation; returns what was judged. */
export function judge(history: readonly Operation[]): Tally {
  const answered = history.filter(({ outcome }) => outcome === 'ok')
  inRealTime(history)
  const writes = writesOf(answered)
  for (const operations of byKey(answered, ({ client }) => client).values()) inSession(operations, writes)
  for (const operations of byKey(answered.filter(({ version }) => version !== undefined), ({ path }) => path).values()) versions(operations)
  for (const [path, lists] of byKey(answered.filter(({ kind }) => kind === 'list'), (list) => list.path)) sets(lists, history.filter((add) => add.kind === 'add' && add.path === path))
  const count = (test: (operation: Operation) => boolean): number => history.reduce((sum, operation) => sum + Number(test(operation)), 0)
  return {
    writes: count(({ kind, outcome }) => outcome === 'ok' && (kind === 'write' || kind === 'add')),
    reads: count(({ kind, outcome }) => outcome === 'ok' && kind === 'read'),
    lists: count(({ kind, outcome }) => outcome === 'ok' && kind === 'list'),
    refused: count(({ outcome }) => outcome === 'refused'),
    unknown: count(({ outcome }) => outcome === 'unknown'),
  }
}

const named = ({ client, kind, path, value }: Operation): string => `${client}'s ${kind} of ${path}${value === '' ? '' : ` '${value}'`}`
const placeOf = ({ kind, path, value }: Operation): string => (kind === 'add' ? `${path}/${value}` : path)

/** Writes are ordered as their clients saw them begin and end, whatever the path; a value shown was written by somebody. */
function inRealTime(history: readonly Operation[]): void {
  const events = history.flatMap((operation) => [
    { operation, at: operation.begun, isEnd: false },
    { operation, at: operation.ended, isEnd: true },
  ])
  // What begins at the very moment of an answer may not have known it.
  events.sort((one, other) => one.at - other.at || Number(one.isEnd) - Number(other.isEnd))
  const registers = new Registers()
  const floors = new Map<Operation, Floor>()
  for (const { operation, isEnd } of events) {
    const { kind, value, outcome, zxid } = operation
    if (kind === 'list') continue
    const place = placeOf(operation)
    const isWrite = kind !== 'read'
    if (!isEnd) {
      const floor = isWrite ? registers.writeBegins(place, value) : registers.begins(place)
      floors.set(operation, isWrite || operation.isSynced ? floor : { ...floor, latest: 0n })
      continue
    }
    const floor = floors.get(operation)!
    if (outcome === 'refused') {
      if (isWrite) registers.writeRefused(floor, value)
    } else if (outcome === 'ok') {
      if (isWrite) registers.written(floor, value, zxid)
      else registers.read(floor, value, zxid)
    }
  }
}

/** The zxids of all writes known, in order, for each register and each set. */
function writesOf(answered: readonly Operation[]): Map<string, bigint[]> {
  const byZxid = new Map<bigint, string>()
  const zxids = new Map<string, Set<bigint>>()
  for (const operation of answered) {
    if (operation.kind === 'list') continue
    if (operation.kind !== 'read') {
      const effect = `${placeOf(operation)} '${operation.value}'`
      const known = byZxid.get(operation.zxid)
      if (known !== undefined) throw new Violation('one zxid is one write', `${operation.zxid} was given to ${known} and to ${effect}`)
      byZxid.set(operation.zxid, effect)
    }
    let set = zxids.get(operation.path)
    if (!set) zxids.set(operation.path, (set = new Set()))
    set.add(operation.zxid)
  }
  return new Map([...zxids].map(([path, set]) => [path, [...set].sort((one, other) => (one < other ? -1 : 1))]))
}
function lastUpTo(zxids: readonly bigint[], limit: bigint): bigint {
  let low = 0
  let high = zxids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (zxids[middle] <= limit) low = middle + 1
    else high = middle
  }
  return low === 0 ? 0n : zxids[low - 1]
}

/** First in, first out; and the state a session sees never goes back, over all paths and servers. */
function inSession(operations: readonly Operation[], writes: ReadonlyMap<string, readonly bigint[]>): void {
  let seen = 0n
  let lastWrite: Operation | undefined
  let before: Operation | undefined
  for (const operation of operations) {
    if (before && operation.ended < before.ended) throw new Violation('a session is answered in its order', `${named(operation)} was answered before ${named(before)}, which was asked first`)
    before = operation
    const { header } = operation
    if (header !== undefined && header < seen) throw new Violation('zxids never go back on a session', `${named(operation)} was answered at ${header}, and the session had seen ${seen}`)
    if (operation.kind === 'write' || operation.kind === 'add') {
      if (lastWrite && operation.zxid <= lastWrite.zxid) throw new Violation('a session writes in its order', `${named(operation)} is ${operation.zxid}, and ${named(lastWrite)}, asked first, is ${lastWrite.zxid}`)
      lastWrite = operation
    } else {
      const atLeast = lastUpTo(writes.get(operation.path) ?? [], seen)
      if (operation.zxid < atLeast) throw new Violation('zxids never go back on a session', `${named(operation)} shows change ${operation.zxid}, and the session had seen ${seen}, when change ${atLeast} was made`)
    }
    for (const zxid of [operation.zxid, header ?? 0n]) if (zxid > seen) seen = zxid
  }
}

/** Each version is one write, and a later version is a later write. */
function versions(operations: readonly Operation[]): void {
  const zxids = new Map<number, bigint>()
  for (const operation of operations) {
    const version = operation.version!
    if (operation.expected !== undefined && version !== operation.expected + 1) throw new Violation('a conditional write follows the version it names', `${named(operation)} asked for ${operation.expected} and made ${version}`)
    const known = zxids.get(version)
    if (known !== undefined && known !== operation.zxid) throw new Violation('one version is one write', `version ${version} of ${operation.path} is ${known} and ${operation.zxid}`)
    zxids.set(version, operation.zxid)
  }
  let last: [number, bigint] | undefined
  for (const entry of [...zxids].sort(([one], [other]) => one - other)) {
    if (last && entry[1] <= last[1]) throw new Violation('versions are in the order of the writes', `version ${last[0]} is ${last[1]}, version ${entry[0]} is ${entry[1]}`)
    last = entry
  }
}

/** All see the same set at the same change; it grows as the zxids say, and what was added before stays. */
function sets(lists: readonly Operation[], adds: readonly Operation[]): void {
  const begun = new Map(adds.map((add) => [add.value, add]))
  const made = adds.filter(({ outcome }) => outcome === 'ok').sort((one, other) => (one.zxid < other.zxid ? -1 : 1))
  let last: { names: ReadonlySet<string>; list: Operation } | undefined
  for (const list of [...lists].sort((one, other) => (one.zxid < other.zxid ? -1 : one.zxid > other.zxid ? 1 : 0))) {
    const names = new Set(list.names)
    for (const name of names) {
      const add = begun.get(name)
      if (!add || add.begun > list.ended) throw new Violation('only what was written is read', `${named(list)} shows '${name}', which nobody had added`)
      if (add.outcome === 'refused') throw new Violation('a refused write has no effect', `${named(list)} shows '${name}', which was refused`)
      if (add.outcome === 'ok' && add.zxid > list.zxid) throw new Violation('a list shows its zxid', `${named(list)} at ${list.zxid} shows '${name}' of ${add.zxid}`)
    }
    for (const add of made) {
      if (add.zxid > list.zxid) break
      if (!names.has(add.value)) throw new Violation('what was acknowledged is there', `${named(list)} at ${list.zxid} lacks '${add.value}' of ${add.zxid}`)
    }
    if (last) {
      for (const name of last.names) if (!names.has(name)) throw new Violation('everybody sees one order', `${named(list)} at ${list.zxid} lacks '${name}', which ${named(last.list)} showed at ${last.list.zxid}`)
      if (list.zxid === last.list.zxid && names.size !== last.names.size) throw new Violation('everybody sees one order', `${named(list)} and ${named(last.list)} differ at ${list.zxid}`)
    }
    if (list.isSynced) {
      const missing = made.find((add) => add.ended < list.begun && !names.has(add.value))
      if (missing) throw new Violation('what was acknowledged is there', `${named(list)} lacks '${missing.value}', acknowledged as ${missing.zxid} before`)
    }
    last = { names, list }
  }
}

function byKey<K>(operations: readonly Operation[], key: (operation: Operation) => K): Map<K, Operation[]> {
  const groups = new Map<K, Operation[]>()
  for (const operation of operations) {
    const group = groups.get(key(operation))
    if (group) group.push(operation)
    else groups.set(key(operation), [operation])
  }
  return groups
}

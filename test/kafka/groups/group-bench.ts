/** One group on a bench: requests by name, a clock that is turned by hand, a log that keeps, delays or refuses what it is given. */
import type { Commit, TopicPartition } from '../../../src/kafka/groups/committed-offsets.ts'
import { Group, type GroupLimits } from '../../../src/kafka/groups/group.ts'
import type { GroupRecord, Input, JoinAnswer, JoinInput, Leaving, Output, SyncAnswer } from '../../../src/kafka/groups/steps.ts'

export const limits: GroupLimits = { sizeMax: 1000, initialRebalanceDelayMs: 3000, offsetMetadataMax: 20 }

/** A request; the answer is there as soon as the group has given it. */
export interface Asked<T> {
  answer?: T
}
type Each = { errorCode: number; errorCodes: readonly number[] }
type Wish = Partial<Omit<JoinInput, 'kind' | 'ticket' | 'time' | 'protocols'>> & { protocols?: Record<string, string | Buffer> }
interface Claim {
  memberId: string
  generation: number
  instanceId?: string
}

export class GroupBench {
  now = 1_000
  group: Group
  /** What a `persist` asked for and nobody has answered, when `holdsLog`. */
  held: Extract<Output, { kind: 'persist' }>[] = []
  holdsLog = false
  /** Error code of the next appends. */
  logError = 0
  log: GroupRecord[] = []
  #asked = new Map<number, Asked<unknown>>()
  #tickets = 0
  #uuids = 0

  constructor(options: Partial<GroupLimits> = {}) {
    this.group = new Group('g', { ...limits, ...options }, this.time)
  }
  get time() {
    return { now: this.now, wallMs: this.now + 1_700_000_000_000 }
  }

  join(wish: Wish = {}): Asked<JoinAnswer> {
    const { protocols = { range: 'topics' }, ...rest } = wish
    return this.#ask((ticket) => ({
      kind: 'join', ticket, memberId: '', instanceId: null, clientId: 'c', clientHost: '/127.0.0.1', uuid: `u${++this.#uuids}`, memberIdRequired: false,
      canSkipAssignment: true, protocolType: 'consumer', protocols: Object.entries(protocols).map(([name, metadata]) => ({ name, metadata: Buffer.from(metadata as string) })),
      sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, reason: null, ...rest, time: this.time,
    }))
  }
  sync(claim: Claim, assignments: Record<string, string> = {}, names: { protocolType?: string; protocolName?: string } = {}): Asked<SyncAnswer> {
    return this.#ask((ticket) => ({
      kind: 'sync', ticket, member: this.#claim(claim), protocolType: names.protocolType ?? null, protocolName: names.protocolName ?? null,
      assignments: new Map(Object.entries(assignments).map(([id, text]) => [id, Buffer.from(text)])), time: this.time,
    }))
  }
  heartbeat(claim: Claim): number | undefined {
    return this.#ask<{ errorCode: number }>((ticket) => ({ kind: 'heartbeat', ticket, member: this.#claim(claim), time: this.time })).answer?.errorCode
  }
  leave(...leaving: Partial<Leaving>[]): Each | undefined {
    const all = leaving.map((each) => ({ memberId: '', instanceId: null, reason: null, ...each }))
    return this.#ask<Each>((ticket) => ({ kind: 'leave', ticket, leaving: all, time: this.time })).answer
  }
  commit(claim: Claim, offsets: Record<string, number>, more: Partial<Commit> = {}, producer?: { id: number; epoch: number }): Asked<Each> {
    const commits = Object.entries(offsets).map(([name, offset]) => ({
      ...partitionOf(name), offset, leaderEpoch: -1, metadata: '', commitTimestamp: this.time.wallMs, expireTimestamp: undefined, ...more,
    }))
    return this.#ask((ticket) => ({ kind: 'commit', ticket, member: this.#claim(claim), commits, time: this.time, ...(producer && { producer }) }))
  }
  committed(name: string, requireStable = false): number {
    const { offset, errorCode } = this.group.fetchOffset(partitionOf(name), requireStable)
    return errorCode === 0 ? offset : -errorCode
  }
  deleteOffsets(...names: string[]): Asked<Each> {
    return this.#ask((ticket) => ({ kind: 'deleteOffsets', ticket, partitions: names.map(partitionOf), time: this.time }))
  }
  delete(): Asked<{ errorCode: number }> {
    return this.#ask((ticket) => ({ kind: 'delete', ticket, time: this.time }))
  }
  tell(input: Input): void {
    this.perform(this.group.step(input))
  }
  expire(retentionMs: number): void {
    this.tell({ kind: 'expireOffsets', retentionMs, time: this.time })
  }
  /** Turns the clock; the group is ticked whenever it asked for it. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.group.wakeAt <= until) {
      this.now = Math.max(this.now, this.group.wakeAt)
      this.tell({ kind: 'ticked', time: this.time })
    }
    this.now = until
  }
  /** The log answers what it was asked longest ago. */
  release(errorCode = 0): void {
    const persist = this.held.shift()
    if (!persist) throw new Error('nothing is being appended')
    this.#appended(persist, errorCode)
  }
  /** A new coordinator reads the log. */
  reload(options: Partial<GroupLimits> = {}): void {
    this.perform(this.group.step({ kind: 'unloaded', errorCode: 16 }))
    this.held = []
    this.group = new Group('g', { ...limits, ...options }, this.time)
    for (const [index, record] of this.log.entries()) this.group.replay(record, index)
    this.tell({ kind: 'loaded', time: this.time })
  }

  perform(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (output.kind === 'noted') continue
      if (output.kind === 'persist') {
        if (this.holdsLog) this.held.push(output)
        else this.#appended(output, this.logError)
        continue
      }
      const asked = this.#asked.get(output.ticket)
      if (!asked) throw new Error(`ticket ${output.ticket} answered twice, or never given`)
      this.#asked.delete(output.ticket)
      asked.answer = output.kind === 'joined' || output.kind === 'synced' ? output.answer : output
    }
  }
  #appended({ token, records }: Extract<Output, { kind: 'persist' }>, errorCode: number): void {
    const baseOffset = errorCode === 0 ? this.log.length : -1
    if (errorCode === 0) this.log.push(...records)
    this.tell({ kind: 'persisted', token, errorCode, baseOffset, time: this.time })
  }
  #ask<T>(inputOf: (ticket: number) => Input): Asked<T> {
    const ticket = ++this.#tickets
    const asked: Asked<T> = {}
    this.#asked.set(ticket, asked as Asked<unknown>)
    this.tell(inputOf(ticket))
    return asked
  }
  #claim({ memberId, generation, instanceId = undefined }: Claim) {
    return { memberId, generation, instanceId: instanceId ?? null }
  }

  /** A stable group of these members (instance id or null); the first leads. Returns their claims. */
  stable(...instanceIds: (string | null)[]): Required<Claim>[] {
    const joins = instanceIds.map((instanceId) => this.join({ instanceId }))
    for (let waited = 0; joins.some(({ answer }) => answer === undefined) && waited < 20_000; waited += 100) this.pass(100)
    const claims = joins.map(({ answer }, index) => ({ memberId: answer!.memberId, generation: answer!.generationId, instanceId: instanceIds[index] ?? undefined }))
    const leader = claims.findIndex(({ memberId }) => memberId === joins[0].answer!.leader)
    const assignments = Object.fromEntries(claims.map(({ memberId }, index) => [memberId, `share ${index}`]))
    claims.forEach((claim, index) => this.sync(claim, index === leader ? assignments : {}))
    return claims as Required<Claim>[]
  }
}

/** `topic-0` → its parts. */
export function partitionOf(name: string): TopicPartition {
  const dash = name.lastIndexOf('-')
  return { topic: name.slice(0, dash), partition: Number(name.slice(dash + 1)) }
}
/** A subscription as consumers encode it, version 0. */
export function subscription(...topics: string[]): Buffer {
  const parts = [Buffer.from([0, 0, 0, 0, 0, topics.length])]
  for (const topic of topics) parts.push(Buffer.from([0, topic.length]), Buffer.from(topic))
  return Buffer.concat([...parts, Buffer.from([0xff, 0xff, 0xff, 0xff])])
}

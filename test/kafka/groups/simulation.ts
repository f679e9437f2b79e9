/**
 * Clients, a coordinator and its log over virtual time and one seed: requests and answers are late or lost, clients crash and come
 * back, appends are late, fail, or fail though they are stored, the coordinator restarts. Checkers say what must hold whatever happens.
 */
import assert from 'node:assert'
import { Group, type GroupLimits } from '../../../src/kafka/groups/group.ts'
import type { GroupRecord, Input, JoinAnswer, MemberClaim, Output, SyncAnswer } from '../../../src/kafka/groups/steps.ts'

/** xorshift32: the seed is the bug report. */
export class Chance {
  #state: number
  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1
    for (let turn = 0; turn < 8; turn++) this.below(2)
  }
  below(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }
  one(in_: number): boolean {
    return this.below(in_) === 0
  }
}

type GroupClass = new (...args: ConstructorParameters<typeof Group>) => Group
type Answered = Extract<Output, { ticket: number }>
const sessionMs = 6_000
const rebalanceMs = 10_000
/** A JoinGroup of a new member waits five minutes at most; a SyncGroup until members that never sync are given up, or the log has answered. */
const joinMsMax = 5 * 60_000 + 1_000
const syncMsMax = rebalanceMs + 5_000
const limits: GroupLimits = { sizeMax: 6, initialRebalanceDelayMs: 3_000, offsetMetadataMax: 4096 }

interface Waiting {
  kind: Input['kind']
  since: number
  deliver: (answer: Answered) => void
}
interface Append {
  persist: Extract<Output, { kind: 'persist' }>
  /** Whether the record is in the log; `errorCode` is what the coordinator is told. */
  stored: boolean
  errorCode: number
  at: number
}

export class Simulation {
  readonly chance: Chance
  readonly groupClass: GroupClass
  now = 0
  group: Group
  readonly log: GroupRecord[] = []
  faults = true
  events = 0
  readonly trace: string[] = []
  #queue: { at: number; order: number; run: () => void }[] = []
  #order = 0
  #waiting = new Map<number, Waiting>()
  #tickets = 0
  #incarnation = 0
  #appends: Append[] = []
  readonly clients: Client[]

  // What the checkers remember.
  /** The leader's word for each generation, as members were told it. */
  #wordOfGeneration = new Map<number, string>()
  #shareOfInstance = new Map<string, string>()
  /** The process last heard under an instance and generation. */
  #holders = new Map<string, number>()
  processes = 0
  #generationSeen = 0
  #generationStored = 0
  #offsetsIssued = 0
  #offsetAcknowledged = -1
  readonly #offsetsNotStored = new Set<number>()

  constructor(seed: number, groupClass: GroupClass = Group) {
    this.chance = new Chance(seed)
    this.groupClass = groupClass
    this.group = new groupClass('g', limits, this.time)
    this.clients = Array.from({ length: 2 + this.chance.below(3) }, (_, index) => new Client(this, index, this.chance.one(2) ? `static-${index}` : null))
  }
  get time() {
    return { now: this.now, wallMs: this.now }
  }
  after(ms: number, run: () => void): void {
    this.#queue.push({ at: this.now + ms, order: this.#order++, run })
  }

  run(faultyMs: number): void {
    for (const client of this.clients) this.after(this.chance.below(4_000), () => client.start())
    this.after(5_000 + this.chance.below(20_000), () => this.#trouble())
    this.#until(faultyMs)
    this.faults = false
    for (const client of this.clients) client.start()
    this.#until(faultyMs + 4 * 60_000)
    this.#checkEnd()
  }
  #until(end: number): void {
    for (;;) {
      let next = -1
      for (const [index, event] of this.#queue.entries())
        if (next < 0 || event.at < this.#queue[next].at || (event.at === this.#queue[next].at && event.order < this.#queue[next].order)) next = index
      const at = next < 0 ? Infinity : this.#queue[next].at
      const wake = Math.max(this.group.wakeAt, this.now)
      if (Math.min(at, wake) > end) break
      if (++this.events > 100_000) throw new Error(`no end in sight at ${this.now}`)
      if (wake <= at) {
        this.now = wake
        this.tell({ kind: 'ticked', time: this.time })
      } else {
        this.now = at
        const [event] = this.#queue.splice(next, 1)
        event.run()
      }
      this.#checkAlways()
    }
    this.now = end
  }
  #trouble(): void {
    if (!this.faults) return
    const { chance } = this
    if (chance.one(3)) this.restartCoordinator()
    else this.clients[chance.below(this.clients.length)].crash()
    this.after(2_000 + chance.below(25_000), () => this.#trouble())
  }

  /** A request reaches the coordinator late or never; its answer likewise. The client sees `undefined` when its patience ends. */
  request(inputOf: (ticket: number) => Input, patienceMs: number, then: (answer: Answered | undefined) => void): void {
    let settled = false
    const settle = (answer: Answered | undefined) => {
      if (settled) return
      settled = true
      then(answer)
    }
    this.after(patienceMs, () => settle(undefined))
    if (this.faults && this.chance.one(40)) return
    const isAnswerLost = this.faults && this.chance.one(40)
    this.after(this.chance.below(20), () => {
      const ticket = ++this.#tickets
      const input = inputOf(ticket)
      this.#waiting.set(ticket, { kind: input.kind, since: this.now, deliver: (answer) => { if (!isAnswerLost) this.after(this.chance.below(20), () => settle(answer)) } })
      this.tell(input)
    })
  }
  tell(input: Input): void {
    for (const output of this.group.step(input)) this.#perform(output)
  }
  #perform(output: Output): void {
    switch (output.kind) {
      case 'noted': return
      case 'persist': return this.#append(output)
      default: {
        const waiting = this.#waiting.get(output.ticket)
        assert(waiting, `one answer: ticket ${output.ticket} is answered twice`)
        this.#waiting.delete(output.ticket)
        waiting.deliver(output)
      }
    }
  }

  // ---- the log

  #append(persist: Append['persist']): void {
    const { chance } = this
    const fails = this.faults && chance.one(12)
    const stored = !fails || chance.one(3)
    const last = this.#appends.at(-1)?.at ?? 0
    const append: Append = { persist, stored, errorCode: fails ? (stored ? 7 : [19, 6][chance.below(2)]) : 0, at: Math.max(last, this.now + chance.below(chance.one(10) ? 3_000 : 30)) }
    this.#appends.push(append)
    const incarnation = this.#incarnation
    this.after(append.at - this.now, () => {
      if (incarnation === this.#incarnation) this.#appended(this.#appends.shift()!)
    })
  }
  #appended({ persist, stored, errorCode }: Append): void {
    const baseOffset = this.log.length
    this.#store(persist, stored, errorCode)
    this.tell({ kind: 'persisted', token: persist.token, errorCode, baseOffset: errorCode === 0 ? baseOffset : -1, time: this.time })
  }
  #store({ records }: Append['persist'], stored: boolean, errorCode: number): void {
    for (const record of records) {
      if (stored) this.log.push(record)
      if (record.kind === 'offset' && !stored) this.#offsetsNotStored.add(record.commit.offset)
      if (record.kind === 'group' && errorCode === 0) this.#generationStored = Math.max(this.#generationStored, record.value.generation)
    }
  }
  /** The process dies, or its leadership moves: appends under way are in the log up to some point, and what waited is answered or not. */
  restartCoordinator(): void {
    this.#incarnation++
    const survive = this.chance.below(this.#appends.length + 1)
    this.#appends.forEach(({ persist, stored }, index) => this.#store(persist, stored && index < survive, -1))
    this.#appends = []
    if (this.chance.one(2)) this.tell({ kind: 'unloaded', errorCode: 16 })
    this.#waiting.clear()
    this.group = new this.groupClass('g', limits, this.time)
    for (const [offset, record] of this.log.entries()) this.group.replay(record, offset)
    this.#generationSeen = 0
    assert(this.group.generation >= this.#generationStored, `generation never goes back: ${this.#generationStored} was stored, ${this.group.generation} is loaded`)
    this.tell({ kind: 'loaded', time: this.time })
  }

  // ---- what must hold

  nextOffset(): number {
    return this.#offsetsIssued++
  }
  acknowledged(offset: number): void {
    this.#offsetAcknowledged = Math.max(this.#offsetAcknowledged, offset)
  }
  #checkAlways(): void {
    const { group } = this
    assert(group.generation >= this.#generationSeen, `generation never goes back: ${this.#generationSeen} → ${group.generation}`)
    this.#generationSeen = group.generation
    assert(group.size <= limits.sizeMax, `${group.size} members, group.max.size is ${limits.sizeMax}`)
    const { offset } = group.fetchOffset({ topic: 't', partition: 0 }, false)
    assert(offset >= this.#offsetAcknowledged, `offset ${this.#offsetAcknowledged} was acknowledged, ${offset} is committed`)
    assert(!this.#offsetsNotStored.has(offset), `offset ${offset} could not be appended, and is committed`)
    for (const { kind, since } of this.#waiting.values())
      assert(this.now - since <= (kind === 'join' ? joinMsMax : syncMsMax), `every waiting request is answered by its deadline: a ${kind} of ${since} waits at ${this.now}`)
  }
  checkShare(client: Client, { assignment, errorCode }: SyncAnswer): void {
    if (errorCode !== 0 || assignment.length === 0) return
    const [word, whose] = String(assignment).split(' for ')
    const known = this.#wordOfGeneration.get(client.generation) ?? word
    assert(known === word, `one generation has one assignment: ${client.generation} has ${known} and ${word}`)
    this.#wordOfGeneration.set(client.generation, word)
    assert(whose === (client.instanceId ?? client.memberId), `${client.instanceId ?? client.memberId} got what was for ${whose}`)
    if (client.instanceId === null) return
    const key = `${client.generation} ${client.instanceId}`
    const before = this.#shareOfInstance.get(key) ?? String(assignment)
    assert(before === String(assignment), `a static member keeps its share: ${before}, then ${String(assignment)}`)
    this.#shareOfInstance.set(key, before)
  }
  /** A heartbeat of this process was accepted: no process that took over from it may have been heard before. */
  checkBeat(instanceId: string, generation: number, process: number): void {
    const key = `${instanceId} ${generation}`
    const newest = this.#holders.get(key) ?? process
    assert(newest <= process, `a static member keeps its identity: ${instanceId} is process ${newest}, and process ${process} was accepted`)
    this.#holders.set(key, process)
  }
  #checkEnd(): void {
    const state = () => `the group is ${this.group.state} with ${this.group.size} members, clients are ${this.clients.map((client) => client.phase).join(' ')}`
    assert(this.group.state === 'Stable', `without further trouble everybody is served: ${state()}`)
    for (const client of this.clients) assert(client.phase === 'stable', `without further trouble everybody is served: ${state()}`)
    assert(this.group.size === this.clients.length, `nobody else is left in the group: ${state()}`)
  }
}

/** A consumer as the Java client behaves, a few lines of it. */
class Client {
  readonly #world: Simulation
  readonly #name: string
  readonly instanceId: string | null
  readonly #version: number
  phase: 'down' | 'joining' | 'syncing' | 'stable' = 'down'
  memberId = ''
  generation = -1
  /** Grows with each start of whatever client. */
  #process = 0
  /** Whatever belongs to an earlier life or phase is not heard. */
  #life = 0
  #protocols: string[]

  constructor(world: Simulation, index: number, instanceId: string | null) {
    this.#world = world
    this.#name = `client-${index}`
    this.instanceId = instanceId
    this.#version = world.chance.one(3) ? 3 : world.chance.one(2) ? 5 : 9
    this.#protocols = world.chance.one(2) ? ['range', 'sticky'] : ['sticky', 'range']
  }
  start(): void {
    if (this.phase !== 'down') return
    this.memberId = ''
    this.#process = ++this.#world.processes
    this.#join()
  }
  crash(): void {
    if (this.phase === 'down') return
    const { chance } = this.#world
    if (chance.one(3) && this.instanceId === null)
      this.#ask((ticket) => ({ kind: 'leave', ticket, leaving: [{ memberId: this.memberId, instanceId: null, reason: null }], time: this.#world.time }), 1_000, () => {})
    if (this.instanceId !== null && this.phase === 'stable' && chance.one(2)) this.#haunt(this.instanceId, this.#claim(), this.#process, 12)
    this.phase = 'down'
    this.#life++
    this.#world.after(chance.below(12_000), () => this.start())
  }
  /** The process is not dead, it only lost sight of its supervisor: it goes on beating beside its successor. */
  #haunt(instanceId: string, member: MemberClaim, process: number, beats: number): void {
    if (beats === 0) return
    this.#world.request((ticket) => ({ kind: 'heartbeat', ticket, member, time: this.#world.time }), 3_000, (answer) => {
      if (answer?.kind === 'answered' && answer.errorCode === 0) this.#world.checkBeat(instanceId, member.generation, process)
    })
    this.#world.after(1_000, () => this.#haunt(instanceId, member, process, beats - 1))
  }

  #ask(inputOf: (ticket: number) => Input, patienceMs: number, then: (answer: Answered | undefined) => void): void {
    const life = this.#life
    this.#world.request(inputOf, patienceMs, (answer) => {
      if (life === this.#life && this.phase !== 'down') then(answer)
    })
  }
  #again(ms: number): void {
    const life = ++this.#life
    this.phase = 'joining'
    this.#world.after(ms, () => {
      if (life === this.#life && this.phase === 'joining') this.#join()
    })
  }
  #join(): void {
    this.#life++
    this.phase = 'joining'
    const { memberId, instanceId } = this
    this.#ask((ticket) => ({
      kind: 'join', ticket, memberId, instanceId, clientId: this.#name, clientHost: '/127.0.0.1', uuid: `u${ticket}`,
      memberIdRequired: this.#version >= 4, canSkipAssignment: this.#version >= 9, protocolType: 'consumer',
      protocols: this.#protocols.map((name) => ({ name, metadata: Buffer.from(this.#name) })),
      sessionTimeoutMs: sessionMs, rebalanceTimeoutMs: rebalanceMs, reason: null, time: this.#world.time,
    }), rebalanceMs + 5_000, (answer) => (answer?.kind === 'joined' ? this.#joined(answer.answer) : this.#again(100)))
  }
  #joined(answer: JoinAnswer): void {
    switch (answer.errorCode) {
      case 0: break
      case 79:
        this.memberId = answer.memberId
        return this.#join()
      case 82: return this.#fenced()
      case 25:
        this.memberId = ''
        return this.#again(50)
      default: return this.#again(200)
    }
    this.memberId = answer.memberId
    this.generation = answer.generationId
    this.phase = 'syncing'
    this.#life++
    const leads = answer.leader === answer.memberId && !answer.skipAssignment
    const word = `${this.#name}-${this.#world.events}-${this.generation}`
    const assignments = new Map(leads ? answer.members.map((member) => [member.memberId, Buffer.from(`${word} for ${member.groupInstanceId ?? member.memberId}`)]) : [])
    if (this.#world.faults && this.#world.chance.one(30)) return this.#dawdle() // slow: it beats and never syncs
    this.#beatLater()
    this.#ask((ticket) => ({
      kind: 'sync', ticket, member: this.#claim(), protocolType: null, protocolName: null, assignments, time: this.#world.time,
    }), rebalanceMs + 5_000, (synced) => {
      if (synced?.kind !== 'synced') return this.#again(100)
      if (synced.answer.errorCode !== 0) return this.#refused(synced.answer.errorCode)
      this.#world.checkShare(this, synced.answer)
      this.phase = 'stable'
      this.#commitLater()
    })
  }
  #dawdle(): void {
    this.#beatLater()
    const life = this.#life
    this.#world.after(40_000, () => {
      if (life === this.#life && this.phase === 'syncing') this.#again(0)
    })
  }
  #refused(errorCode: number): void {
    if (errorCode === 82) return this.#fenced()
    if (errorCode === 25) this.memberId = ''
    this.#again(20)
  }
  /** Somebody else has the instance: give up; a supervisor starts the process again. */
  #fenced(): void {
    this.phase = 'down'
    this.#life++
    this.#world.after(1_000 + this.#world.chance.below(3_000), () => this.start())
  }
  #claim() {
    return { memberId: this.memberId, instanceId: this.instanceId, generation: this.generation }
  }
  #beatLater(): void {
    const life = this.#life
    this.#world.after(1_500, () => {
      if (life !== this.#life || (this.phase !== 'stable' && this.phase !== 'syncing')) return
      const { generation } = this
      this.#ask((ticket) => ({ kind: 'heartbeat', ticket, member: this.#claim(), time: this.#world.time }), 3_000, (answer) => {
        if (answer?.kind === 'answered' && answer.errorCode === 0 && this.instanceId !== null) this.#world.checkBeat(this.instanceId, generation, this.#process)
        if (answer?.kind === 'answered' && answer.errorCode !== 0 && answer.errorCode !== 16) return this.#refused(answer.errorCode)
        this.#beatLater()
      })
    })
  }
  #commitLater(): void {
    const life = this.#life
    this.#world.after(500 + this.#world.chance.below(3_000), () => {
      if (life !== this.#life || this.phase !== 'stable') return
      let offset = -1
      this.#ask((ticket) => {
        // Offsets are numbered as they arrive: later in the log is larger.
        offset = this.#world.nextOffset()
        return {
          kind: 'commit', ticket, member: this.#claim(), time: this.#world.time,
          commits: [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: '', commitTimestamp: this.#world.now, expireTimestamp: undefined }],
        }
      }, 5_000, (answer) => {
        if (answer?.kind === 'answeredEach' && answer.errorCode === 0) this.#world.acknowledged(offset)
        this.#commitLater()
      })
    })
  }
}

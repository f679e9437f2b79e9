/** Looks at all brokers of a cluster at once, again and again, and tells the laws of replicas what is there; changes nothing. */
import type { SimulatedBroker } from './kafka-broker.ts'
import { PowerCuts } from './checkers/power-cuts.ts'
import type { ReplicaLaws, SeenReplica } from './checkers/replicas.ts'
import { Violation } from './checkers/violation.ts'
import type { PartitionLog } from '../kafka/log/partition-log.ts'
import { batchesIn } from '../kafka/records/decode.ts'
import type { World } from './world.ts'

/** Between two looks. */
const everyMs = 20

export class ClusterWatch {
  readonly #world: World
  readonly #brokers: readonly SimulatedBroker[]
  readonly #laws: ReplicaLaws
  readonly #cuts: PowerCuts
  readonly #violated: (violation: unknown) => void
  readonly #overheard = new WeakSet<object>()
  readonly #lives = new WeakMap<object, number>()
  #replicas = 0

  constructor(world: World, facts: { brokers: readonly SimulatedBroker[]; laws: ReplicaLaws; cuts?: PowerCuts; violated: (violation: unknown) => void }) {
    this.#world = world
    this.#brokers = facts.brokers
    this.#laws = facts.laws
    this.#cuts = facts.cuts ?? new PowerCuts()
    this.#violated = facts.violated
  }
  start(): void {
    this.#world.schedule(everyMs, () => {
      this.#told(() => this.#look())
      this.start()
    })
  }
  #told(tell: () => void): void {
    try {
      tell()
    } catch (violation) {
      this.#violated(violation)
    }
  }
  #look(): void {
    const seen: SeenReplica[] = []
    for (const each of this.#brokers) {
      if (!each.broker || !each.machine.isRunning) continue
      const { replicas, controller } = each.broker.services
      if (!this.#overheard.has(replicas)) this.#overhear(each)
      if (controller.isActive) this.#laws.controls(each.id, controller.epoch)
      for (const partition of replicas.all()) {
        if (partition.failure) continue
        const { leader, log, highWatermark } = partition
        seen.push({ partition: `${partition.topic}-${partition.index}`, broker: each.id, life: this.#lifeOf(partition), logEndOffset: log.logEndOffset, highWatermark, leadership: leader && { epoch: leader.leaderEpoch, isr: leader.isr.filter((id) => id === each.id || leader.replicas.includes(id)) } })
      }
    }
    for (const { partition, broker, leadership, highWatermark } of seen) {
      if (!leadership || this.#cuts.isTorn(partition, broker)) continue
      for (const other of seen) if (other.partition === partition && other.logEndOffset >= highWatermark) this.#cuts.isWhole(partition, other.broker)
    }
    this.#laws.seen(seen, (partition, broker) => this.#cuts.isTorn(partition, broker))
  }
  /** A replica that is deleted and made anew, or is loaded by a new process, is another one. */
  #lifeOf(replica: object): number {
    const life = this.#lives.get(replica) ?? ++this.#replicas
    this.#lives.set(replica, life)
    return life
  }
  /** An append was answered: its records are there now, if they are anywhere. */
  acknowledged(partition: string, offset: number, minInsyncReplicas: number): void {
    this.#told(() => {
      this.#look()
      this.#laws.acknowledged(partition, offset, minInsyncReplicas)
    })
  }
  #overhear({ id, starts, broker }: SimulatedBroker): void {
    const { replicas } = broker!.services
    this.#overheard.add(replicas)
    const shipped = replicas.refusalOf.bind(replicas)
    replicas.refusalOf = (request) => {
      const errorCode = shipped(request)
      if (errorCode === 0) this.#told(() => this.#laws.obeyed(id, starts, request.controllerEpoch))
      return errorCode
    }
  }
  /** All faults are over: every partition is led, in sync, and the same everywhere. */
  async agree(topics: readonly { topic: string; partitionCount: number }[]): Promise<void> {
    for (const { topic, partitionCount } of topics)
      for (let index = 0; index < partitionCount; index++) {
        const found = this.#brokers.map(({ id, broker }) => ({ id, partition: broker?.services.replicas.find(topic, index) }))
        const leader = found.find(({ partition }) => partition?.leading)?.partition
        if (!leader) throw new Violation('a broker serves again when nothing fails any more', `nobody leads ${topic}-${index}`)
        this.#laws.inSync(`${topic}-${index}`, leader.leader!.isr, this.#brokers.length)
        const upTo = Math.min(...found.map(({ partition }) => partition?.log.highWatermark ?? Infinity))
        const logs = new Map<number, Buffer>()
        for (const { id, partition } of found) if (partition) logs.set(id, await bytesOf(partition.log, upTo))
        this.#laws.agree(`${topic}-${index}`, logs)
      }
  }
}

async function bytesOf(log: PartitionLog, upTo: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let offset = log.logStartOffset; offset < upTo; ) {
    const outcome = await log.read({ offset, maxBytes: 1_000_000, minOneBatch: true, upTo })
    if (!('slices' in outcome)) throw new Violation('what is below the high watermark can be read', `${log.directory} at offset ${offset}: ${outcome.message}`)
    let nextOffset = offset
    for (const batch of batchesIn(Buffer.concat(outcome.slices))) {
      if (batch.nextOffset <= offset || batch.nextOffset > upTo) continue
      pieces.push(Buffer.from(batch.whole))
      nextOffset = batch.nextOffset
    }
    if (nextOffset === offset) break
    offset = nextOffset
  }
  return Buffer.concat(pieces)
}

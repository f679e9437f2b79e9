/**
 * What the replicas of a partition and the controllers of a cluster promise each other, seen by somebody who sees all brokers at once:
 * one leader per epoch, one controller per epoch, nobody obeys an older controller, what is committed is on every in-sync replica, no
 * running replica forgets what it knew to be committed, and below the high watermark all replicas are the same bytes.
 */
import { Violation } from './violation.ts'

/** One replica on a broker that runs. */
export interface SeenReplica {
  readonly partition: string
  readonly broker: number
  /** Another number for each time the replica was loaded or made: memory alone does not outlive it. */
  readonly life: number
  readonly logEndOffset: number
  readonly highWatermark: number
  /** Of a leader alone. A replica that has just been moved away may be in the ISR still: nobody waits for it, and it is not elected. */
  readonly leadership: { readonly epoch: number; readonly isr: readonly number[] } | undefined
}

export class ReplicaLaws {
  readonly counts = new Map<string, number>()
  readonly #leaders = new Map<string, number>()
  readonly #controllers = new Map<number, number>()
  readonly #watermarks = new Map<string, number>()
  /** Where each replica ended when it was seen last, by partition and broker: what is on a disk stays there. */
  readonly #ends = new Map<string, Map<number, number>>()
  readonly #obeyed = new Map<string, number>()

  #look(law: string, isKept: boolean, broken: () => string): void {
    this.counts.set(law, (this.counts.get(law) ?? 0) + 1)
    if (!isKept) throw new Violation(law, broken())
  }
  /** Everything that can be seen at one moment. `isTorn`: a power cut has taken what a replica had not synced, and it does not have it again yet. */
  seen(replicas: readonly SeenReplica[], isTorn: (partition: string, broker: number) => boolean = () => false): void {
    const at = new Map(replicas.map((replica) => [`${replica.partition}@${replica.broker}`, replica]))
    for (const { partition, broker, life, logEndOffset, highWatermark, leadership } of replicas) {
      const ends = this.#ends.get(partition) ?? new Map<number, number>()
      this.#ends.set(partition, ends.set(broker, logEndOffset))
      const memory = `${partition}@${broker}/${life}`
      const before = this.#watermarks.get(memory) ?? 0
      this.#look('a running replica never forgets what is committed', highWatermark >= before, () => `${partition} on broker ${broker} had its high watermark at ${before}, and has it at ${highWatermark}`)
      this.#watermarks.set(memory, highWatermark)
      if (!leadership) continue
      const { epoch, isr } = leadership
      const term = `${partition} epoch ${epoch}`
      const leader = this.#leaders.get(term) ?? broker
      this.#look('one leader per partition and epoch', leader === broker, () => `brokers ${leader} and ${broker} lead ${term}`)
      this.#leaders.set(term, broker)
      for (const id of isr) {
        const member = at.get(`${partition}@${id}`)
        if (member && !isTorn(partition, id))
          this.#look('what is committed is on every in-sync replica', member.logEndOffset >= highWatermark, () => `broker ${broker} leads ${term} with in-sync replicas ${isr.join(', ')} and high watermark ${highWatermark}; the log of ${id} ends at ${member.logEndOffset}`)
      }
    }
  }
  /** A producer with acks=all was answered: `count` is what min.insync.replicas asks for. */
  acknowledged(partition: string, offset: number, count: number): void {
    const ends = this.#ends.get(partition) ?? new Map<number, number>()
    const have = [...ends].filter(([, end]) => end > offset).length
    this.#look('what is acknowledged is on enough replicas', have >= count, () => `offset ${offset} of ${partition} was acknowledged; the replicas end at ${[...ends].map(([id, end]) => `${end} (broker ${id})`).join(', ')}`)
  }
  controls(broker: number, epoch: number): void {
    const known = this.#controllers.get(epoch) ?? broker
    this.#look('one controller per epoch', known === broker, () => `brokers ${known} and ${broker} are controllers in epoch ${epoch}`)
    this.#controllers.set(epoch, broker)
  }
  /** A running broker has taken a controller's request. */
  obeyed(broker: number, life: number, controllerEpoch: number): void {
    const process = `${broker}/${life}`
    const newest = this.#obeyed.get(process) ?? -1
    this.#look('nobody obeys an older controller', controllerEpoch >= newest, () => `broker ${broker} obeyed the controller of epoch ${controllerEpoch} after that of epoch ${newest}`)
    this.#obeyed.set(process, controllerEpoch)
  }
  /** All faults are over: the bytes below the high watermark of each replica. */
  agree(partition: string, logs: ReadonlyMap<number, Buffer>): void {
    const [[first, bytes], ...others] = [...logs]
    for (const [broker, each] of others)
      this.#look('replicas agree below the high watermark', each.equals(bytes), () => `${partition} has ${bytes.length} bytes on broker ${first} and ${each.length} others on broker ${broker}`)
  }
  inSync(partition: string, isr: readonly number[], count: number): void {
    this.#look('replicas come back in sync', isr.length === count, () => `${partition} has the in-sync replicas ${isr.join(', ')}, and nothing has failed for a while`)
  }
}

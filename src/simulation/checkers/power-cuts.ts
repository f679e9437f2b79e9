/**
 * Which power cuts may lose what was acknowledged, where brokers do not sync each record. While another member of the ISR stays up nothing
 * may be lost. A cut that takes the last member that has everything is wider: what is lost then is reported as lost, and is no violation.
 */

/** A partition as its state in ZooKeeper says. */
export interface InSync {
  readonly partition: string
  readonly isr: readonly number[]
}

/** Laws that do not depend on what was lost: broken they are broken, whatever happened before. */
const independent: ReadonlySet<string> = new Set([
  'one leader per partition and epoch', 'one controller per epoch', 'nobody obeys an older controller', 'replicas agree below the high watermark',
  'replicas come back in sync', 'a broker is registered as long as it lives', 'a broker serves again when nothing fails any more', 'a broker starts on what it has written itself', 'a server meets no bug of its own',
])

export class PowerCuts {
  /** Cuts after which something may be missing. */
  wide = 0
  /** Cuts that had to lose nothing. */
  narrow = 0
  /** Replicas that have lost power and not been seen since with all that is committed: `partition@broker`. */
  readonly #torn = new Set<string>()

  isTorn(partition: string, broker: number): boolean {
    return this.#torn.has(`${partition}@${broker}`)
  }
  /** It has all that its leader calls committed. */
  isWhole(partition: string, broker: number): void {
    this.#torn.delete(`${partition}@${broker}`)
  }
  /** A broker goes down, with what its memory held or without. `others`: the ids of those that run and are registered. */
  goesDown(broker: number, how: 'killed' | 'powerCut', { states, others }: { states: readonly InSync[]; others: readonly number[] }): void {
    let isWide = false
    for (const { partition, isr } of states) {
      if (!isr.includes(broker)) continue
      const staysUp = isr.some((id) => others.includes(id) && !this.isTorn(partition, id))
      if (!staysUp && (how === 'powerCut' || isr.some((id) => this.isTorn(partition, id)))) isWide = true
    }
    if (isWide) this.wide++
    else if (how === 'powerCut') this.narrow++
    if (how === 'powerCut') for (const { partition } of states) this.#torn.add(`${partition}@${broker}`)
  }
  /** Whether a broken law only says what such a cut has lost. */
  explains(law: string): boolean {
    return this.wide > 0 && !independent.has(law)
  }
}

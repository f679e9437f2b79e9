/** What an ensemble promises whatever happens to its members: fed with what each member does, by whoever drives them. */
import { Violation } from './violation.ts'

export class EnsembleLaws {
  readonly #leaders = new Map<number, number>()
  readonly #lastEstablished = new Map<number, number>()
  /** All transactions ever committed, by zxid: the text is anything that tells two of them apart. */
  readonly #committed = new Map<bigint, string>()
  readonly #committedOrder: bigint[] = []
  readonly #applied = new Map<string, number>()
  readonly #acknowledged = new Set<bigint>()

  /** A quorum has acknowledged this server as the leader of the epoch. */
  established(server: number, epoch: number): void {
    const other = this.#leaders.get(epoch)
    if (other !== undefined && other !== server) throw new Violation('an epoch has one leader', `servers ${other} and ${server} were both established in epoch ${epoch}`)
    const last = this.#lastEstablished.get(server) ?? -1
    if (epoch < last) throw new Violation('epochs never go back', `server ${server} led epoch ${last} and then ${epoch}`)
    this.#leaders.set(epoch, server)
    this.#lastEstablished.set(server, epoch)
  }
  /** A member in one of its lives delivers its next transaction. Lives begin with `restored`. */
  delivered(member: string, zxid: bigint, text: string): void {
    const known = this.#committed.get(zxid)
    if (known !== undefined && known !== text) throw new Violation('committed prefixes never differ', `${member} delivers '${text}' as ${zxid}, where another one delivered '${known}'`)
    const at = this.#applied.get(member) ?? 0
    if (at < this.#committedOrder.length) {
      const expected = this.#committedOrder[at]
      if (expected !== zxid) throw new Violation('committed prefixes never differ', `${member} delivers ${zxid} where ${expected} was delivered before`)
    } else {
      const last = this.#committedOrder[this.#committedOrder.length - 1] ?? -1n
      if (zxid <= last) throw new Violation('committed prefixes never differ', `${member} delivers ${zxid} after ${last}`)
      this.#committedOrder.push(zxid)
      this.#committed.set(zxid, text)
    }
    this.#applied.set(member, at + 1)
  }
  /** A member has restored its state, up to and with this transaction (0: nothing). */
  restored(member: string, lastZxid: bigint): void {
    const at = this.#committedOrder.findIndex((zxid) => zxid > lastZxid)
    this.#applied.set(member, at < 0 ? this.#committedOrder.length : at)
  }
  /** A client was told that its write has succeeded. */
  acknowledged(zxid: bigint): void {
    this.#acknowledged.add(zxid)
  }
  /** What a newly established leader has, oldest first. */
  leads(server: number, history: Iterable<bigint>): void {
    const has = new Set(history)
    for (const zxid of this.#acknowledged) if (!has.has(zxid)) throw new Violation('what was acknowledged is in every later leader', `server ${server} leads without ${zxid}`)
  }
}

/** How a learner's history is made the leader's: nothing, the transactions it lacks, a cut and then those, or a snapshot (reference §5.3). */
import type { CommittedTransaction } from './committed-log.ts'

export type Synchronization =
  /** `zxid`: what DIFF announces. `transactions`: all that are sent, each with its commit. */
  | { readonly kind: 'diff'; readonly zxid: bigint; readonly transactions: readonly CommittedTransaction[] }
  /** `zxid`: the last transaction that the learner keeps. */
  | { readonly kind: 'trunc'; readonly zxid: bigint; readonly transactions: readonly CommittedTransaction[] }
  | { readonly kind: 'snap'; readonly zxid: bigint }

const counterOf = (zxid: bigint): bigint => zxid & 0xffff_ffffn
const epochOf = (zxid: bigint): bigint => zxid >> 32n

/** The zxid below which the logs may help who lacks more than memory holds; undefined: they cannot, or need not. */
export function historyNeeded({ peerLast, lastProcessed, committed, forceSnapshot = false }: Situation): bigint | undefined {
  // With nothing in memory it cannot be seen where the logs would have to end; and an empty member has nothing that they could continue.
  if (forceSnapshot || committed.length === 0 || peerLast <= 0n || peerLast === lastProcessed) return undefined
  return peerLast < committed[0].zxid ? committed[0].zxid : undefined
}
/** What was read of the logs, and behind it what is in memory, which may have moved on meanwhile; memory alone where they do not meet. */
export function joined(history: readonly CommittedTransaction[] | undefined, committed: readonly CommittedTransaction[]): readonly CommittedTransaction[] {
  if (!history || history.length === 0) return committed
  const last = history[history.length - 1].zxid
  const at = committed.findIndex(({ zxid }) => zxid > last)
  if (at < 0) return committed
  const { zxid } = committed[at]
  const meets = zxid === last + 1n || (at > 0 && committed[at - 1].zxid === last) || (epochOf(zxid) > epochOf(last) && counterOf(zxid) === 1n)
  return meets ? [...history, ...committed.slice(at)] : committed
}

interface Situation {
  readonly peerLast: bigint
  readonly lastProcessed: bigint
  readonly committed: readonly CommittedTransaction[]
  readonly forceSnapshot?: boolean
}
/**
 * `peerLast`: the last zxid the learner has logged. `lastProcessed`: the last one applied here. `committed`: the latest committed
 * transactions, in order, without a gap, ending at `lastProcessed` (or empty).
 */
export function synchronizationOf({ peerLast, lastProcessed, committed, forceSnapshot = false }: Situation): Synchronization {
  const snap: Synchronization = { kind: 'snap', zxid: lastProcessed }
  if (forceSnapshot) return snap
  if (peerLast === lastProcessed) return { kind: 'diff', zxid: peerLast, transactions: [] }
  const min = committed.length > 0 ? committed[0].zxid : lastProcessed
  const max = committed.length > 0 ? committed[committed.length - 1].zxid : lastProcessed
  if (peerLast > max && counterOf(peerLast) !== 0n) return { kind: 'trunc', zxid: max, transactions: [] }
  if (peerLast < min || peerLast > max) return snap
  // The first transaction the learner may lack, and the one before it.
  const at = committed.findIndex(({ zxid }) => zxid >= peerLast)
  const first = committed[at]
  if (first.zxid === peerLast) return { kind: 'diff', zxid: max, transactions: committed.slice(at + 1) }
  if (counterOf(peerLast) === 0n) return { kind: 'diff', zxid: max, transactions: committed.slice(at) }
  const before = committed[at - 1]
  // What it has beyond `before` was never committed; whether `before` is of its history too, only the same epoch proves.
  if (epochOf(before.zxid) !== epochOf(peerLast)) return snap
  return { kind: 'trunc', zxid: before.zxid, transactions: committed.slice(at) }
}

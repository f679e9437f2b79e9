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

/**
 * `peerLast`: the last zxid the learner has logged. `lastProcessed`: the last one applied here. `committed`: the latest committed
 * transactions, in order, without a gap, ending at `lastProcessed` (or empty).
 */
export function synchronizationOf({ peerLast, lastProcessed, committed, forceSnapshot = false }: {
  peerLast: bigint; lastProcessed: bigint; committed: readonly CommittedTransaction[]; forceSnapshot?: boolean
}): Synchronization {
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

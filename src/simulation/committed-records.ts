/** What a client that reads committed records makes of an answer: it leaves out what the answer's list of aborted transactions names. */
import { controlType, controlTypeOf } from '../kafka/records/control.ts'
import { decodeBatches } from '../kafka/records/decode.ts'
import type { Record } from '../kafka/records/record.ts'
import { Violation } from './checkers/violation.ts'

export interface FetchedPart {
  readonly records: Buffer | null
  readonly lastStableOffset: number
  readonly abortedTransactions: readonly { readonly producerId: number; readonly firstOffset: number }[] | null
}

/** The records from `from` on that a client shows, and where it goes on; `isCommitted: false` shows the aborted ones too. */
export function readableRecords(part: FetchedPart, from: number, name: string, isCommitted = true): { next: number; records: Record[] } {
  const coming = [...(part.abortedTransactions ?? [])].sort((one, other) => one.firstOffset - other.firstOffset)
  const aborted = new Set<number>()
  const shown: Record[] = []
  let next = from
  for (const { batch, records } of decodeBatches(part.records ?? Buffer.alloc(0))) {
    while (coming.length > 0 && coming[0].firstOffset <= batch.lastOffset) aborted.add(coming.shift()!.producerId)
    if (isCommitted && batch.nextOffset > part.lastStableOffset) throw new Violation('nothing is read committed above the last stable offset', `${name} shows offset ${batch.lastOffset}; it is stable up to ${part.lastStableOffset}`)
    next = Math.max(next, batch.nextOffset)
    if (batch.isControl) {
      if (controlTypeOf(records[0]?.key ?? null) === controlType.abort) aborted.delete(batch.producerId)
    } else if (!isCommitted || !batch.isTransactional || !aborted.has(batch.producerId)) shown.push(...records.filter(({ offset }) => offset >= from))
  }
  return { next, records: shown }
}

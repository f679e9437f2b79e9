/**
 * What compaction promises, whatever happens to the brokers that compact: of each key the newest value stays, at its offset, for every
 * reader; a tombstone stays long enough for whoever has seen what it deletes; what was aborted never comes back; no producer is forgotten.
 * Told of everything that is written, it knows the log as it would be if nobody compacted it. Records bear unique ids.
 */
import { Violation } from './violation.ts'

export type Fate = 'open' | 'asked' | 'committed' | 'aborted'
export interface Entry {
  readonly id: string
  readonly key: string
  readonly isTombstone: boolean
}
interface Known extends Entry {
  readonly partition: number
  readonly transaction: string | undefined
  offset: number | undefined
}
export interface Seen extends Entry {
  readonly offset: number
}
/** What one reader found on its way from the first offset on. */
export interface View {
  readonly partition: number
  /** Everything below it has been asked for. */
  readonly position: number
  /** By id, in the order of the log. */
  readonly seen: ReadonlyMap<string, Seen>
  /** So quickly, and so undisturbed, that no tombstone may have gone in between. */
  readonly isPrompt: boolean
  readonly who: string
}
/** What is known of a producer. */
export interface ProducerKnown {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly currentTransactionStartOffset: number
}

export class CompactionLaws {
  readonly counts = new Map<string, number>()
  readonly #records = new Map<string, Known>()
  readonly #offsets = new Map<string, string>()
  readonly #keys = new Map<string, Known[]>()
  readonly #fates = new Map<string, Fate>()

  #look(law: string, isKept: boolean, broken: () => string): void {
    this.counts.set(law, (this.counts.get(law) ?? 0) + 1)
    if (!isKept) throw new Violation(law, broken())
  }
  begins(transaction: string): void {
    this.#fates.set(transaction, 'open')
  }
  /** What was asked for, or is known to have become of it. */
  ends(transaction: string, fate: Fate): void {
    this.#fates.set(transaction, fate)
  }
  sends(partition: number, entries: readonly Entry[], transaction?: string): void {
    for (const entry of entries) {
      if (this.#records.has(entry.id)) continue
      const known: Known = { ...entry, partition, transaction, offset: undefined }
      this.#records.set(entry.id, known)
      const key = `${partition}/${entry.key}`
      const all = this.#keys.get(key)
      if (all) all.push(known)
      else this.#keys.set(key, [known])
    }
  }
  acknowledged(entries: readonly Entry[], baseOffset: number): void {
    entries.forEach(({ id }, index) => this.#at(this.#records.get(id)!, baseOffset + index))
  }
  get records(): number {
    return this.#offsets.size
  }
  #at(known: Known, offset: number): void {
    const place = `${known.partition}@${offset}`
    const there = this.#offsets.get(place)
    this.#look('an offset has one record for ever', there === undefined || there === known.id, () => `partition ${known.partition} offset ${offset} was '${there}' and is '${known.id}'`)
    this.#look('offsets never change', known.offset === undefined || known.offset === offset, () => `'${known.id}' of partition ${known.partition} was at offset ${known.offset} and is at ${offset}`)
    known.offset = offset
    this.#offsets.set(place, known.id)
  }
  /** A record that a reader was shown; `isCommitted`: as committed. */
  reads(partition: number, { id, key, isTombstone, offset }: Seen, isCommitted: boolean): void {
    const known = this.#records.get(id)
    this.#look('only what was sent is read', known?.partition === partition && known.key === key && known.isTombstone === isTombstone, () => `partition ${partition} offset ${offset} shows '${id}' with key '${key}'`)
    this.#at(known!, offset)
    if (!isCommitted || known!.transaction === undefined) return
    const fate = this.#fates.get(known!.transaction)
    this.#look('what is aborted never comes back', fate === 'asked' || fate === 'committed', () => `partition ${partition} offset ${offset} shows '${id}' as committed; its transaction is ${fate}`)
    this.#fates.set(known!.transaction, 'committed')
  }
  #fateOf({ transaction }: Known): Fate {
    return transaction === undefined ? 'committed' : this.#fates.get(transaction)!
  }
  /** The reader has come to the end: what it holds is what the uncompacted log says, as far as that is certain. */
  views({ partition, position, seen, isPrompt, who }: View): void {
    const held = new Map<string, Seen>()
    for (const entry of seen.values()) {
      const fate = this.#fateOf(this.#records.get(entry.id)!)
      if (fate === 'committed') held.set(entry.key, entry)
    }
    for (const all of this.#keys.values()) {
      if (all[0].partition !== partition) continue
      const last = newestOf(all, (known) => this.#fateOf(known))
      // What may have been written after it, or will be read later, may have replaced it.
      if (!last || last.offset! >= position) continue
      const found = held.get(last.key)
      if (last.isTombstone && found?.id !== last.id) {
        if (isPrompt) this.#look('a tombstone stays for whoever has seen what it deletes', found === undefined, () => `${who} of partition ${partition} up to ${position} holds '${found!.id}' of offset ${found!.offset}, and was not shown '${last.id}' of offset ${last.offset}, which deletes it`)
        continue
      }
      this.#look('of each key the newest value is there', found?.id === last.id, () => `${who} of partition ${partition} up to ${position} holds ${found ? `'${found.id}' of offset ${found.offset}` : 'nothing'} for key '${last.key}'; its newest is '${last.id}' of offset ${last.offset}`)
    }
  }
  /** What lies in one replica below the offset up to which it says that it is clean, in order. */
  cleaned(replica: string, cleanedTo: number, entries: readonly Seen[]): void {
    const newest = new Map<string, Seen>()
    for (const entry of entries) {
      if (entry.offset >= cleanedTo) continue
      const fate = this.#fateOf(this.#records.get(entry.id)!)
      this.#look('nothing aborted is left where it is clean', fate !== 'aborted', () => `${replica} is clean up to ${cleanedTo}, and has '${entry.id}' at ${entry.offset}`)
      const before = newest.get(entry.key)
      this.#look('what is clean has each key once', before === undefined, () => `${replica} is clean up to ${cleanedTo}, and has '${before!.id}' at ${before!.offset} and '${entry.id}' at ${entry.offset}, both of key '${entry.key}'`)
      newest.set(entry.key, entry)
    }
  }
  /** Nothing has failed for longer than a transaction may take. */
  stable(replica: string, lastStableOffset: number, logEndOffset: number): void {
    this.#look('no transaction hangs', lastStableOffset === logEndOffset, () => `${replica} is stable up to ${lastStableOffset} of ${logEndOffset}`)
  }
  /** The records between two markers of one producer: they are of one transaction, and the marker says what became of it. */
  marked(replica: string, ids: readonly string[], isCommitted: boolean): void {
    const transactions = new Set(ids.map((id) => this.#records.get(id)!.transaction))
    this.#look('a marker stays as long as what it marks', transactions.size < 2, () => `${replica} has no marker between ${[...transactions].join(' and ')}`)
    for (const transaction of transactions) {
      const fate = this.#fates.get(transaction!)
      this.#look('a marker says what became of its transaction', fate === 'asked' || fate === (isCommitted ? 'committed' : 'aborted'), () => `${replica} has ${transaction} as ${isCommitted ? 'committed' : 'aborted'}; it was ${fate}`)
    }
  }
  /** What a replica knows of its producers, and what one made anew from its batches would know. */
  producers(replica: string, known: readonly ProducerKnown[], anew: readonly ProducerKnown[]): void {
    const found = new Map(anew.map((producer) => [producer.producerId, producer]))
    for (const { producerId, producerEpoch, lastSequence, currentTransactionStartOffset } of known) {
      const other = found.get(producerId)
      this.#look('no producer is forgotten', other?.producerEpoch === producerEpoch && other.lastSequence === lastSequence, () => `${replica} knows epoch ${producerEpoch} and sequence ${lastSequence} of producer ${producerId}; its batches say ${other ? `epoch ${other.producerEpoch} and sequence ${other.lastSequence}` : 'nothing'}`)
      this.#look('a marker stays as long as what it marks', other!.currentTransactionStartOffset === currentTransactionStartOffset, () => `producer ${producerId} has a transaction open since ${currentTransactionStartOffset} in ${replica}; by its batches since ${other!.currentTransactionStartOffset}`)
    }
  }
}

/** The newest record of a key that counts; undefined when that is not certain. */
function newestOf(all: readonly Known[], fateOf: (known: Known) => Fate): Known | undefined {
  let last: Known | undefined
  let doubtful = -1
  for (const known of all) {
    const fate = fateOf(known)
    if (fate === 'open' || fate === 'aborted') continue
    // Nobody knows whether it is there, or where.
    if (known.offset === undefined) return undefined
    if (fate === 'asked') doubtful = Math.max(doubtful, known.offset)
    else if (!last || known.offset > last.offset!) last = known
  }
  return last && last.offset! > doubtful ? last : undefined
}

/** One segment of a log: its file of batches with its indexes. Knows positions; never decides what to append or delete. */
import type { FileFacts } from '../../host/host.ts'
import { Batch, headProblem, int32At, int64At, lengthEnd } from '../records/batch.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import { fileName, segmentSuffixes, suffix } from './names.ts'
import { offsetEntrySize, OffsetIndex } from './offset-index.ts'
import { PooledFile, type OpenFiles } from './open-files.ts'
import { PositionHints } from './position-hints.ts'
import { timeEntrySize, TimeIndex } from './time-index.ts'
import { TransactionIndex } from './transaction-index.ts'

/** Bytes that say where a batch ends and of which format it is. */
const scanHead = 27
/** How much is read to find a batch between two index entries. */
const scanWindow = 8192
export const offsetRangeMax = 0x7fff_ffff

export interface SegmentEnd {
  /** Behind the last batch. */
  nextOffset: number
  /** The last batch, if there is one. */
  last: { readonly baseOffset: number; readonly leaderEpoch: number } | undefined
}

export class Segment {
  readonly baseOffset: number
  directory: string
  readonly log: PooledFile
  readonly offsetIndex: OffsetIndex
  readonly timeIndex: TimeIndex
  readonly txnIndex: TransactionIndex
  /** Bytes with what waits to be written. */
  size: number
  /** Bytes in the file. */
  writtenSize: number
  createdMs: number
  bytesSinceIndexEntry = 0
  /** Largest timestamp so far and the last offset of the batch that has it; asked of the time index when first needed. */
  #max: { timestamp: bigint; offset: number } | undefined
  /** Largest timestamp of the first append, which time-based rolling counts from; undefined until looked up. */
  firstTimestamp: bigint | undefined
  jitterMs = 0
  /** Everything, indexes included, is on the device. */
  isSynced = false
  /** The batches are on the device. */
  isDataSynced = false
  /** The file is longer than its batches (`preallocate`). */
  isPreallocated = false
  /** The indexes have their full length, for appends. */
  isPrepared = false
  /** It was read from the beginning in vain: what its index says is as good as anything. */
  #isDamaged = false
  /** Where some offsets that are likely to be read next begin. */
  readonly #hints = new PositionHints()

  constructor(files: OpenFiles, directory: string, baseOffset: number, facts: { size: number; createdMs: number; offsetEntries: number; timeEntries: number; indexSizeMax: number; ending?: string }) {
    const path = (kind: string): string => `${directory}/${fileName(baseOffset, kind)}${facts.ending ?? ''}`
    this.baseOffset = baseOffset
    this.directory = directory
    this.log = new PooledFile(files, path(suffix.log))
    this.offsetIndex = new OffsetIndex(files, path(suffix.index), baseOffset, { entries: facts.offsetEntries, sizeMax: facts.indexSizeMax })
    this.timeIndex = new TimeIndex(files, path(suffix.timeIndex), baseOffset, { entries: facts.timeEntries, sizeMax: facts.indexSizeMax })
    this.txnIndex = new TransactionIndex(files, path(suffix.txnIndex))
    this.size = facts.size
    this.writtenSize = facts.size
    this.createdMs = facts.createdMs
  }
  get maxTimestamp(): bigint {
    return (this.#max ??= this.timeIndex.last()).timestamp
  }
  get offsetOfMaxTimestamp(): number {
    return (this.#max ??= this.timeIndex.last()).offset
  }

  /** A new, empty segment. Leftovers under its names are emptied. */
  static create(files: OpenFiles, directory: string, baseOffset: number, { indexSizeMax, createdMs, preallocatedSize = 0, ending }: { indexSizeMax: number; createdMs: number; preallocatedSize?: number; ending?: string }): Segment {
    const segment = new Segment(files, directory, baseOffset, { size: 0, createdMs, offsetEntries: 0, timeEntries: 0, indexSizeMax, ending })
    segment.log.createEmpty()
    if (preallocatedSize > 0) segment.log.file.truncateSync(preallocatedSize)
    segment.isPreallocated = preallocatedSize > 0
    segment.offsetIndex.empty()
    segment.timeIndex.empty()
    // Nothing in it yet that could be lost.
    segment.isSynced = segment.isDataSynced = true
    return segment
  }
  /** Opens what lies on disk. The contents of the offset and time indexes are believed, as Apache's broker does; a bad transaction index throws. */
  static async open(files: OpenFiles, directory: string, baseOffset: number, { indexSizeMax }: { indexSizeMax: number }): Promise<Segment> {
    const { disk } = files
    const facts = async (kind: string): Promise<FileFacts | undefined> => {
      const path = `${directory}/${fileName(baseOffset, kind)}`
      const found = await disk.facts(path)
      if (found && found.kind !== 'file') throw Object.assign(new Error(`${path} is ${found.kind === 'directory' ? 'a directory' : 'a pipe, a socket or a device'} where a file of a segment belongs`), { code: found.kind === 'directory' ? 'EISDIR' : 'ENOTFILE' })
      return found
    }
    const [log, offsetIndex, timeIndex, txnIndex] = await Promise.all(segmentSuffixes.map(facts))
    const segment = new Segment(files, directory, baseOffset, {
      size: log?.size ?? 0,
      createdMs: log?.modifiedMs ?? 0,
      offsetEntries: Math.floor((offsetIndex?.size ?? 0) / offsetEntrySize),
      timeEntries: Math.floor((timeIndex?.size ?? 0) / timeEntrySize),
      indexSizeMax,
    })
    if (log && !timeIndex) segment.timeIndex.empty()
    if (txnIndex) segment.txnIndex.load(await disk.readFile(segment.txnIndex.path), baseOffset)
    return segment
  }
  prepareForAppends(indexSizeMax: number): void {
    this.isPrepared = true
    this.isSynced = false
    this.offsetIndex.preallocate(indexSizeMax)
    this.timeIndex.preallocate(indexSizeMax)
  }

  /** Takes note of an append of `size` bytes that will stand at the end; index entries are added as LogSegment.append does. */
  appended({ size, lastOffset, maxTimestamp, offsetOfMaxTimestamp, indexIntervalBytes }: { size: number; lastOffset: number; maxTimestamp: bigint; offsetOfMaxTimestamp: number; indexIntervalBytes: number }): void {
    if (this.size === 0) this.firstTimestamp = maxTimestamp
    if (maxTimestamp > this.maxTimestamp) this.#max = { timestamp: maxTimestamp, offset: offsetOfMaxTimestamp }
    if (this.bytesSinceIndexEntry > indexIntervalBytes) {
      this.offsetIndex.add(lastOffset, this.size)
      this.timeIndex.maybeAdd(this.maxTimestamp, this.offsetOfMaxTimestamp)
      this.bytesSinceIndexEntry = 0
    }
    this.bytesSinceIndexEntry += size
    this.size += size
    this.isSynced = this.isDataSynced = false
  }
  writeIndexes(): void {
    this.offsetIndex.write()
    this.timeIndex.write()
    this.txnIndex.write()
  }

  /** Remembers where `offset` begins: whoever read up to it reads on from there. */
  hint(offset: number, position: number): void {
    this.#hints.add(offset, position)
  }

  /**
   * The batch that holds `offset` or is the first behind it; undefined when none is written. Looks at a few pages of the file at most.
   */
  locate(offset: number): { position: number; size: number } | undefined {
    const known = this.#hints.get(offset)
    // Who said it has read up to there; compaction may have left nothing of the offset itself.
    if (known !== undefined) return known < this.writtenSize ? this.#scan(offset, known) : undefined
    const start = this.offsetIndex.positionFor(offset)
    if (start === 0) return this.#scan(offset, 0)
    try {
      const found = start > 0 && start < this.writtenSize ? this.#scanIndexed(offset, start) : 'misled'
      if (found !== 'misled') return found
    } catch (error) {
      if (this.#isDamaged || !(error instanceof CorruptFileError)) throw error
    }
    // What an index that does not fit hides is found from the beginning. It takes long: where that is in vain, it is done once.
    try {
      return this.#scan(offset, 0)
    } catch (error) {
      this.#isDamaged = true
      throw error
    }
  }
  /** From an entry of the index, which names a batch that does not begin behind the offset; `misled`: there is none. */
  #scanIndexed(offset: number, from: number): { position: number; size: number } | undefined | 'misled' {
    const head = Buffer.allocUnsafe(scanHead)
    const isThere = this.log.file.readSync(head, from) === scanHead && headProblem(head, 0, this.writtenSize - from) === undefined
    const first = isThere ? int64At(head, 0) : -1
    return first >= this.baseOffset && first <= offset ? this.#scan(offset, from) : 'misled'
  }
  #scan(offset: number, from: number): { position: number; size: number } | undefined {
    let position = from
    let window = Buffer.allocUnsafe(scanWindow)
    let start = position
    let filled = 0
    while (position < this.writtenSize) {
      if (position - start + scanHead > filled) {
        start = position
        filled = this.log.file.readSync(window.subarray(0, Math.min(window.length, this.writtenSize - position)), position)
        if (filled < scanHead) throw this.corrupt(position, `the file ends within the head of a batch`)
      }
      const at = position - start
      const size = lengthEnd + int32At(window, at + 8)
      const lastOffset = int64At(window, at) + (window[at + 16] < 2 ? 0 : int32At(window, at + 23))
      if (size < scanHead - 1 || position + size > this.writtenSize) throw this.corrupt(position, `a batch of ${size} bytes, ${this.writtenSize - position} left`)
      if (lastOffset >= offset) return { position, size }
      position += size
    }
    return undefined
  }
  corrupt(position: number, reason: string, cause?: unknown): CorruptFileError {
    return new CorruptFileError(this.log.path, position, reason, cause === undefined ? undefined : { cause })
  }

  /** Whole batches from `position` to `to`, their bytes read in chunks. Stops without error at the first that is not whole; `problem` is told why. */
  async *batches(from: number, to: number, problem?: (position: number, reason: string) => void): AsyncGenerator<{ batch: Batch; position: number }> {
    // What is yielded may still be looked at afterwards: no chunk is used twice.
    for await (const { bytes, end, position } of this.stretches(from, to, { sizeAbout: 1 << 20, problem }))
      for (let at = 0; at < end; ) {
        const batch = new Batch(bytes, at)
        yield { batch, position: position + at }
        at += batch.size
      }
  }
  /**
   * The same in stretches: batches lie one after the other in `bytes` up to `end`. With `reuse` each stretch is valid only until the next is
   * asked for; that one is read meanwhile, so that two chunks are in use. A batch larger than `sizeAbout` gets a chunk of its size.
   */
  async *stretches(
    from: number, to: number, { sizeAbout, reuse = false, problem }: { sizeAbout: number; reuse?: boolean; problem?: (position: number, reason: string) => void },
  ): AsyncGenerator<{ bytes: Buffer; end: number; position: number }> {
    let position = from
    let spare: Buffer | undefined
    const read = (at: number, sizeMin: number) => {
      const chunk = spare && spare.length >= sizeMin ? spare : Buffer.allocUnsafe(Math.max(Math.min(to - at, sizeAbout), sizeMin))
      const wanted = Math.min(chunk.length, to - at)
      const filled = this.log.with((file) => file.read(chunk.subarray(0, wanted), at))
      // Who waits for it learns of a failure; it may also be that nobody does any more.
      filled.catch(nobody)
      return { chunk, wanted, filled }
    }
    let reading = position < to ? read(position, 1) : undefined
    try {
      while (reading) {
        const { chunk, wanted } = reading
        const filled = await reading.filled
        reading = undefined
        let at = 0
        let larger = 1
        let wrong: string | undefined
        while (at < filled && wrong === undefined) {
          const left = to - position - at
          if (filled - at < scanHead && filled - at < left) break
          wrong = headProblem(chunk, at, Math.min(filled - at, left))
          if (wrong !== undefined) break
          const size = lengthEnd + int32At(chunk, at + 8)
          if (size > left) wrong = `a batch of ${size} bytes, ${left} left`
          else if (at + size > filled) {
            // Read on from here; the file is known to have as much.
            larger = size
            break
          } else at += size
        }
        const next = position + at
        const goesOn = wrong === undefined && (at > 0 || filled === wanted) && next < to
        if (reuse && goesOn) reading = read(next, larger)
        if (at > 0) yield { bytes: chunk, end: at, position }
        if (wrong !== undefined) return problem?.(next, wrong)
        if (at === 0 && filled < wanted) return problem?.(position, 'the file ends here')
        if (reuse) spare = chunk
        else if (goesOn) reading = read(next, larger)
        position = next
      }
    } finally {
      // Its memory and its file are in use until then.
      await reading?.filled.catch(nobody)
    }
  }

  /** Cuts everything at and behind `offset`. Nothing may wait to be written. Returns the bytes cut. */
  truncateTo(offset: number): number {
    const found = this.locate(offset)
    this.#hints.clear()
    this.offsetIndex.truncateTo(offset)
    this.timeIndex.truncateTo(offset)
    this.txnIndex.truncateTo(offset)
    this.offsetIndex.refill()
    this.timeIndex.refill()
    this.#max = undefined
    if (!found) return 0
    const cut = this.size - found.position
    this.log.file.truncateSync(found.position)
    this.size = this.writtenSize = found.position
    if (this.size === 0) this.firstTimestamp = undefined
    this.bytesSinceIndexEntry = 0
    this.isSynced = this.isDataSynced = false
    return cut
  }

  /** Forgets what the indexes say, to build them anew. */
  resetIndexes(): void {
    this.offsetIndex.empty()
    this.timeIndex.empty()
    this.txnIndex.reset()
    this.#hints.clear()
    this.#max = undefined
    this.size = this.writtenSize = 0
    this.bytesSinceIndexEntry = 0
    this.isSynced = this.isDataSynced = false
  }
  /** Where the last batch ends, looked for from the last index entry on; undefined when the bytes there are no batches. */
  async end(): Promise<SegmentEnd | undefined> {
    const start = this.offsetIndex.positionFor(Infinity)
    if (start !== 0 && (start < 0 || start >= this.writtenSize)) return undefined
    const end: SegmentEnd = { nextOffset: this.baseOffset, last: undefined }
    let whole = true
    for await (const { batch } of this.batches(start, this.writtenSize, () => (whole = false))) {
      whole &&= batch.baseOffset >= end.nextOffset
      end.nextOffset = batch.nextOffset
      end.last = { baseOffset: batch.baseOffset, leaderEpoch: batch.partitionLeaderEpoch }
    }
    return whole ? end : undefined
  }
  /** No more appends: last time index entry, files cut to size. */
  seal(): void {
    if (this.size > 0) this.timeIndex.maybeAdd(this.maxTimestamp, this.offsetOfMaxTimestamp)
    if (this.isPreallocated) this.log.file.truncateSync(this.size)
    this.isPreallocated = false
    this.txnIndex.write()
    this.offsetIndex.trim()
    this.timeIndex.trim()
    this.isPrepared = false
  }
  async sync(): Promise<void> {
    await this.log.with((file) => file.sync())
    await this.offsetIndex.sync()
    await this.timeIndex.sync()
    await this.txnIndex.sync()
  }
  /** Renames all files of the segment from one ending to another. */
  async rename(from: string, to: string): Promise<void> {
    for (const file of [this.log, this.offsetIndex, this.timeIndex, this.txnIndex]) await file.rename(`${from === '' ? file.path : file.path.slice(0, -from.length)}${to}`)
  }
  /** The directory has been renamed, with all that is in it. */
  movedTo(directory: string): void {
    for (const file of [this.log, this.offsetIndex, this.timeIndex, this.txnIndex]) file.path = `${directory}${file.path.slice(this.directory.length)}`
    this.directory = directory
  }
  get paths(): string[] {
    return [this.log.path, this.offsetIndex.path, this.timeIndex.path, this.txnIndex.path]
  }
  close(): void {
    this.log.close()
    this.offsetIndex.close()
    this.timeIndex.close()
    this.txnIndex.close()
  }
}

const nobody = (): void => {}

/**
 * What waits to be written to one log, in order. Appends of a turn leave in one write; small ones synchronously, which is
 * cheaper than a trip through the thread pool, large ones with one asynchronous `writev` while the next gather.
 */
import type { Clock } from '../../host/host.ts'
import type { AppendDone } from './append.ts'
import type { Segment } from './segment.ts'

/** Measured: at this size a synchronous write costs about what the trip through the pool does. */
export const syncSizeMax = 64 * 1024
/** Pieces smaller than this on average are copied together for a synchronous write: handing over each costs more. */
const joinedPieceMax = 4 * 1024
/** A synchronous write slower than this says that the disk stalls; for a while the loop does not wait for it. */
const slowMs = 20
const avoidSyncMs = 2_000

interface Group {
  segment: Segment
  position: number
  startOffset: number
  pieces: Uint8Array[]
  size: number
  endOffset: number
  dones: AppendDone[]
  flush: boolean
  joined: Buffer | undefined
  /** The bytes are in the file; who waits for that is not told yet. */
  isInFile: boolean
  /** Runs when everything before it is written: the closing of a segment. What comes behind waits for what it returns. */
  after: (() => Promise<void> | undefined) | undefined
}
export interface Written {
  startOffset: number
  endOffset: number
  dones: AppendDone[]
  flush: boolean
  /** All of it, where it was put together for the write. */
  joined: Buffer | undefined
}

export class WriteQueue {
  readonly #clock: Clock
  readonly #room: (size: number) => Buffer
  readonly #written: (written: Written) => void
  /** Says what those who wait are told. */
  readonly #failed: (failure: Error) => Error
  #groups: Group[] = []
  #writing = false
  #avoidSyncUntil = 0
  #idle: (() => void)[] = []
  #failure: Error | undefined

  /** `room`: where the pieces of a small write, of so many bytes, are put together. It is not used from here when `written` has returned. */
  constructor({ clock, room, written, failed }: { clock: Clock; room: (size: number) => Buffer; written: (written: Written) => void; failed: (failure: Error) => Error }) {
    this.#clock = clock
    this.#room = room
    this.#written = written
    this.#failed = failed
  }
  get isEmpty(): boolean {
    return this.#groups.length === 0 && !this.#writing
  }

  place(segment: Segment, pieces: readonly Uint8Array[], facts: { position: number; startOffset: number; size: number; endOffset: number; done: AppendDone; flush: boolean }): void {
    let group = this.#groups[this.#groups.length - 1] as Group | undefined
    if (!group || group.segment !== segment || group.after) {
      // Most groups keep their first append alone: lists of its size, not ones that have grown.
      const { position, startOffset, size, endOffset, done, flush } = facts
      group = { segment, position, startOffset, pieces: pieces.slice(), size, endOffset, dones: [done], flush, joined: undefined, isInFile: false, after: undefined }
      this.#groups.push(group)
      return
    }
    for (const piece of pieces) group.pieces.push(piece)
    group.size += facts.size
    group.endOffset = facts.endOffset
    group.dones.push(facts.done)
    if (facts.flush) group.flush = true
  }
  /** `done` after everything placed before. */
  afterAll(done: AppendDone, segment: Segment, endOffset: number): void {
    this.place(segment, [], { position: segment.size, startOffset: endOffset, size: 0, endOffset, done, flush: false })
  }
  /** Closes `segment` after its last write. Writes placed later wait for the promise of `after`, if there is one. */
  closing(segment: Segment, after: () => Promise<void> | undefined): void {
    this.#groups.push({ segment, position: segment.size, startOffset: -1, pieces: [], size: 0, endOffset: -1, dones: [], flush: false, joined: undefined, isInFile: false, after })
  }

  /**
   * Small writes that wait are put into their files now, and told of in their turn: a new segment must not be seen, by whoever reads the directory
   * after a kill, before what lies in front of it.
   */
  writeAhead(): void {
    if (this.#writing || this.#failure || this.#clock.monotonic() < this.#avoidSyncUntil) return
    for (const group of this.#groups) {
      if (group.after || group.size > syncSizeMax) return
      if (group.size === 0 || group.isInFile) continue
      try {
        group.segment.log.file.writeSync([Buffer.concat(group.pieces)], group.position)
      } catch {
        // Tried again in its turn, where whoever waits is told.
        return
      }
      group.isInFile = true
    }
  }
  write(): void {
    while (!this.#writing && this.#groups.length > 0 && !this.#failure) {
      const group = this.#groups.shift()!
      if (group.after || group.size === 0 || group.isInFile) {
        const closing = this.#finish(group)
        if (closing) return this.#resumeAfter(closing, group, () => {})
        continue
      }
      if (group.size <= syncSizeMax && this.#clock.monotonic() >= this.#avoidSyncUntil) {
        const begun = this.#clock.monotonic()
        try {
          group.segment.log.file.writeSync(this.#joined(group), group.position)
        } catch (error) {
          return this.#fail(error as Error, group)
        }
        const ended = this.#clock.monotonic()
        if (ended - begun > slowMs) this.#avoidSyncUntil = ended + avoidSyncMs
        this.#finish(group)
        continue
      }
      return this.#resumeAfter(group.segment.log.with((file) => file.write(group.pieces, group.position)), group, () => void this.#finish(group))
    }
    if (this.isEmpty) this.#tellIdle()
  }
  #resumeAfter(step: Promise<unknown>, group: Group, finish: () => void): void {
    this.#writing = true
    step.then(
      () => {
        this.#writing = false
        finish()
        this.write()
      },
      (error: Error) => {
        this.#writing = false
        this.#fail(error, group)
      },
    )
  }
  /** What a synchronous write is given. */
  #joined(group: Group): readonly Uint8Array[] {
    const { pieces, size } = group
    if (size > pieces.length * joinedPieceMax) return pieces
    const joined = (group.joined = this.#room(size))
    let at = 0
    for (const piece of pieces) {
      joined.set(piece, at)
      at += piece.length
    }
    return [joined]
  }
  #finish(group: Group): Promise<void> | undefined {
    const { segment } = group
    let closing: Promise<void> | undefined
    try {
      if (group.size > 0) {
        segment.writtenSize = group.position + group.size
        segment.hint(group.startOffset, group.position)
        segment.writeIndexes()
      }
      closing = group.after?.()
    } catch (error) {
      this.#fail(error as Error, group)
      return undefined
    }
    if (group.dones.length > 0) this.#written(group)
    return closing
  }
  #fail(failure: Error, group: Group): void {
    const waiting = [group, ...this.#groups]
    this.#groups = []
    this.#failure ??= failure
    const told = this.#failed(failure)
    for (const { dones } of waiting) for (const done of dones) done(told)
    this.#tellIdle()
  }
  /** Nothing is written any more; what waits is told. */
  fail(failure: Error): void {
    this.#failure ??= failure
    const waiting = this.#groups
    this.#groups = []
    for (const { dones } of waiting) for (const done of dones) done(failure)
    this.#tellIdle()
  }
  #tellIdle(): void {
    const idle = this.#idle
    if (idle.length === 0) return
    this.#idle = []
    for (const done of idle) done()
  }
  /** Writes all that waits. */
  drained(): Promise<void> {
    this.write()
    if (this.isEmpty) return Promise.resolve()
    return new Promise((done) => this.#idle.push(done))
  }
}

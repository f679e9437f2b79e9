/** Builds what stays of a batch of magic 2 out of its own bytes: records are copied, not decoded. */
import { attribute, type Batch } from '../records/batch.ts'
import { compress } from '../records/compression.ts'
import { sealBatch } from '../records/encode.ts'
import type { RecordCursor } from '../records/record-cursor.ts'

const growth = 64 * 1024

export class KeptRecords {
  count = 0
  hasTombstone = false
  #maxTimestampDelta = -Infinity
  #firstTimestampDelta = 0
  /** Some delta is beyond 2^53. */
  #isWide = false
  /** For each that stays: begin, begin and end of its timestamp delta, end, timestamp delta. */
  #places = new Float64Array(5 * 512)
  #out = Buffer.allocUnsafe(growth)

  begin(): void {
    this.count = 0
    this.hasTombstone = this.#isWide = false
    this.#maxTimestampDelta = -Infinity
  }
  /** The record the cursor stands on stays. */
  add(cursor: RecordCursor): void {
    const { timestampDelta } = cursor
    let at = this.count * 5
    if (at === this.#places.length) {
      const more = new Float64Array(at * 2)
      more.set(this.#places)
      this.#places = more
    }
    const places = this.#places
    places[at++] = cursor.from
    places[at++] = cursor.timestampFrom
    places[at++] = cursor.timestampTo
    places[at++] = cursor.to
    places[at] = timestampDelta
    if (this.count++ === 0) this.#firstTimestampDelta = timestampDelta
    if (timestampDelta > this.#maxTimestampDelta) this.#maxTimestampDelta = timestampDelta
    if (!Number.isSafeInteger(timestampDelta)) this.#isWide = true
    if (cursor.valueSize < 0) this.hasTombstone = true
  }

  /**
   * The batch with these records; `bytes` are those the cursor went over. Offsets and producer are kept. Undefined when timestamps are not to
   * be had by copying: one for all records, or too far from one another.
   */
  batchOf(batch: Batch, bytes: Buffer, deleteHorizonMs: bigint | undefined): Buffer | undefined {
    if (this.#isWide || batch.isLogAppendTime) return undefined
    const { baseTimestamp } = batch
    const newBase = deleteHorizonMs ?? baseTimestamp + BigInt(this.#firstTimestampDelta)
    const shift = Number(baseTimestamp - newBase)
    if (!Number.isSafeInteger(shift) || Math.abs(shift) > 2 ** 51 || Math.abs(this.#maxTimestampDelta) > 2 ** 51 || Math.abs(this.#firstTimestampDelta) > 2 ** 51) return undefined
    const stored = shift === 0 ? this.#copied(bytes) : this.#shifted(bytes, shift)
    if (!stored) return undefined
    const max = baseTimestamp + BigInt(this.#maxTimestampDelta)
    const { baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, lastOffsetDelta } = batch
    return sealBatch(compress(batch.codec, stored), {
      attributes: (batch.attributes & ~attribute.deleteHorizon) | (deleteHorizonMs === undefined ? 0 : attribute.deleteHorizon),
      baseOffset, partitionLeaderEpoch, producerId, producerEpoch, baseSequence, lastOffsetDelta, baseTimestamp: newBase, maxTimestamp: max, recordCount: this.count,
    })
  }
  /** As they are; neighbours in one piece. */
  #copied(bytes: Buffer): Buffer {
    const places = this.#places
    let size = 0
    for (let at = 0; at < this.count * 5;) {
      const from = places[at]
      let to = places[at + 3]
      for (at += 5; at < this.count * 5 && places[at] === to; at += 5) to = places[at + 3]
      this.#reserve(size + to - from)
      size += bytes.copy(this.#out, size, from, to)
    }
    return this.#out.subarray(0, size)
  }
  /** With all timestamp deltas moved. Undefined when one would not fit. */
  #shifted(bytes: Buffer, shift: number): Buffer | undefined {
    const places = this.#places
    let size = 0
    for (let at = 0; at < this.count * 5; at += 5) {
      const delta = places[at + 4] + shift
      if (Math.abs(delta) > 2 ** 52 - 1) return undefined
      const from = places[at + 2]
      const to = places[at + 3]
      this.#reserve(size + 5 + 1 + 8 + to - from)
      const out = this.#out
      size = writeVarint(out, size, 1 + varintSize(delta) + to - from)
      out[size++] = bytes[places[at + 1] - 1]
      size = writeVarint(out, size, delta)
      size += bytes.copy(out, size, from, to)
    }
    return this.#out.subarray(0, size)
  }
  #reserve(size: number): void {
    if (size <= this.#out.length) return
    const larger = Buffer.allocUnsafe(Math.max(size, this.#out.length * 2))
    this.#out.copy(larger)
    this.#out = larger
  }
}

const zigzag = (value: number): number => (value >= 0 ? value * 2 : -value * 2 - 1)
function varintSize(value: number): number {
  let size = 1
  for (let raw = zigzag(value); raw > 0x7f; raw = Math.floor(raw / 0x80)) size++
  return size
}
function writeVarint(out: Buffer, from: number, value: number): number {
  let at = from
  let raw = zigzag(value)
  for (; raw > 0x7f; raw = Math.floor(raw / 0x80)) out[at++] = (raw % 0x80) | 0x80
  out[at++] = raw
  return at
}

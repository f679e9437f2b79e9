/** Reads records: positions from a source (a group, a partition, ZooKeeper), record sets from a fetcher, decoded here. */
import type { Host } from '../host/host.ts'
import { ConnectionError } from '../kafka/client/connection.ts'
import type { Fetched, Fetcher } from '../kafka/client/fetcher.ts'
import { partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { RefusedError } from '../kafka/protocol/errors.ts'
import { controlType, controlTypeOf } from '../kafka/records/control.ts'
import { batchesIn, recordsOf } from '../kafka/records/decode.ts'
import { CorruptBatchError } from '../kafka/records/corrupt-batch-error.ts'
import type { ConsumedRecord } from './record-formatter.ts'

export type Position = TopicPartition & { offset: number }
/** Who says which partitions are ours and where to begin in them. */
export interface PositionSource {
  /** True before the first `assign`, and whenever it has to be asked again. Throws when there is no going on. */
  readonly changed: boolean
  /** `before`: where this consumer was, for partitions that it keeps and nobody has committed. */
  assign(before: readonly Position[]): Promise<readonly Position[]>
  /** Keeps the next offsets to read, where the source keeps any. */
  commit(positions: readonly Position[]): Promise<void>
  /** Gives the partitions up. */
  close(): Promise<void>
}
export interface RecordConsumerOptions {
  host: Host
  fetcher: Fetcher
  source: PositionSource
  readCommitted: boolean
  /** Ms between commits; undefined: never by itself. */
  autoCommitMs: number | undefined
  /** Told of a commit that failed for now; it is repeated with the next one. */
  onTrouble: (error: Error) => void
}
/** Records of one partition, in order, and where to go on when all of them are taken. */
export interface Chunk extends TopicPartition {
  records: ConsumedRecord[]
  nextOffset: number
}
/** How long a poll may overlook that the source has changed. */
const glanceMs = 250

export class RecordConsumer {
  readonly #options: RecordConsumerOptions
  /** Taken by the caller and not committed yet. */
  readonly #taken = new Map<string, Position>()
  #committedAt = 0

  constructor(options: RecordConsumerOptions) {
    this.#options = options
  }

  /** Asks the source for partitions if it has to be asked. True when it was. */
  async assign(): Promise<boolean> {
    const { source, fetcher, host } = this.#options
    if (!source.changed) return false
    await this.commit()
    fetcher.assign(await source.assign(fetcher.positions))
    this.#taken.clear()
    this.#committedAt = host.clock.monotonic()
    return true
  }
  /** The next records, or none when `waitMs` has passed or the source has changed. */
  async poll(waitMs: number): Promise<Chunk[]> {
    const { host, fetcher, source, autoCommitMs } = this.#options
    const deadline = host.clock.monotonic() + waitMs
    for (;;) {
      if (autoCommitMs !== undefined && host.clock.monotonic() - this.#committedAt >= autoCommitMs) await this.commit()
      const leftMs = deadline - host.clock.monotonic()
      if (leftMs <= 0 || source.changed) return []
      const chunks = (await fetcher.poll(Math.min(leftMs, glanceMs))).map((one) => this.#decode(one))
      // Nothing to show, as control batches and aborted ones: go on behind them.
      for (const chunk of chunks) if (chunk.records.length === 0) this.taken(chunk, chunk.nextOffset)
      const shown = chunks.filter(({ records }) => records.length > 0)
      if (shown.length > 0) return shown
    }
  }
  /** The caller has taken everything below `nextOffset`. */
  taken({ topic, partition }: TopicPartition, nextOffset: number): void {
    const position = { topic, partition, offset: nextOffset }
    this.#options.fetcher.seek(position, nextOffset)
    this.#taken.set(partitionName(position), position)
  }
  /** Commits what was taken, unless the source keeps nothing. */
  async commit(): Promise<void> {
    const { source, autoCommitMs, host } = this.#options
    this.#committedAt = host.clock.monotonic()
    if (autoCommitMs === undefined || this.#taken.size === 0) return
    const positions = [...this.#taken.values()]
    this.#taken.clear()
    try {
      await source.commit(positions)
    } catch (error) {
      if (!(error instanceof ConnectionError) && !(error instanceof RefusedError && error.error.retriable)) throw error
      for (const position of positions) if (!this.#taken.has(partitionName(position))) this.#taken.set(partitionName(position), position)
      this.#options.onTrouble(error)
    }
  }

  #decode({ topic, partition, records: bytes, fetchOffset, abortedTransactions }: Fetched): Chunk {
    const { readCommitted } = this.#options
    const aborted = [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset)
    const dropped = new Set<number>()
    const records: ConsumedRecord[] = []
    let nextOffset = fetchOffset
    for (const batch of batchesIn(bytes)) {
      if (batch.nextOffset <= fetchOffset) continue
      if (!batch.isLegacy && batch.computeCrc() !== batch.crc)
        throw new CorruptBatchError(batch.at, `${partitionName({ topic, partition })}, offset ${batch.baseOffset}: checksum ${batch.crc} stored, ${batch.computeCrc()} computed`)
      nextOffset = batch.nextOffset
      while (readCommitted && aborted.length > 0 && aborted[0].firstOffset <= batch.lastOffset) dropped.add(aborted.shift()!.producerId)
      if (!batch.isLegacy && batch.isControl) {
        if (recordsOf(batch).some(({ key }) => controlTypeOf(key) === controlType.abort)) dropped.delete(batch.producerId)
        continue
      }
      if (!batch.isLegacy && batch.isTransactional && dropped.has(batch.producerId)) continue
      const timestampType = batch.magic === 0 ? undefined : batch.isLogAppendTime ? 'LogAppendTime' : 'CreateTime'
      for (const record of recordsOf(batch)) if (record.offset >= fetchOffset) records.push({ topic, partition, timestampType, record })
    }
    return { topic, partition, records, nextOffset }
  }
}

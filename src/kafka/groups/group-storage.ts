/** What the coordinator needs of the log of `__consumer_offsets`; the broker implements it on its partitions. */

export interface AppendedBatch {
  /** 0, or why nothing counts as appended: an error code as a Produce request would get. */
  readonly errorCode: number
  /** Offset of the batch's first record; −1 after an error. */
  readonly baseOffset: number
}

export interface GroupStorage {
  /**
   * Appends one batch, acks −1. It takes its place in the log before this returns; the promise follows when all in-sync
   * replicas have it, or after `timeoutMs`. Never rejects; answers come in the order of the appends.
   */
  append(partition: number, batch: Buffer, timeoutMs: number): Promise<AppendedBatch>
  /**
   * Whole batches from `offset` (undefined: the log's start) up to the log's end, about `sizeMax` bytes of them but at least one;
   * empty at the end. Rejects when the log cannot be read.
   */
  read(partition: number, offset: number | undefined, sizeMax: number): Promise<Buffer>
}

/** What the coordinator needs of the log of `__transaction_state`; the broker implements it on its partitions. */

export interface TransactionStorage {
  /**
   * Appends one batch, acks −1. It takes its place in the log before this returns; the promise follows when all in-sync
   * replicas have it, or after `timeoutMs`, with the error code as a Produce request would get it. Never rejects; answers come
   * in the order of the appends.
   */
  append(partition: number, batch: Buffer, timeoutMs: number): Promise<{ readonly errorCode: number }>
  /**
   * Whole batches from `offset` (undefined: the log's start) up to the log's end, about `sizeMax` bytes of them but at least one;
   * empty at the end. Rejects when the log cannot be read.
   */
  read(partition: number, offset: number | undefined, sizeMax: number): Promise<Buffer>
}

/** Bytes that are no record batch, with where they stand. The owner of the file adds its name. */
export class CorruptBatchError extends Error {
  /** Byte in what was read. */
  readonly position: number
  readonly reason: string
  constructor(position: number, reason: string, options?: ErrorOptions) {
    super(`corrupt batch at byte ${position}: ${reason}`, options)
    this.name = 'CorruptBatchError'
    this.position = position
    this.reason = reason
  }
}

/** What is wrong on disk: always with the file, and with the position when there is one. */
export class StorageError extends Error {
  readonly path: string
  readonly position: number | undefined
  constructor(path: string, position: number | undefined, reason: string, options?: ErrorOptions) {
    super(position === undefined ? `${path}: ${reason}` : `${path} at byte ${position}: ${reason}`, options)
    this.name = 'StorageError'
    this.path = path
    this.position = position
  }
}

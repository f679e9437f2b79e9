/** A file holds what it should not. Names the file, the byte, what was found; the message is for people. */
export class CorruptFileError extends Error {
  readonly path: string
  readonly position: number
  constructor(path: string, position: number, reason: string, options?: ErrorOptions) {
    super(`${path} is corrupt at byte ${position}: ${reason}`, options)
    this.name = 'CorruptFileError'
    this.path = path
    this.position = position
  }
}

/** Compressed bytes that cannot be read, a codec that is not there, or an output beyond its bound. */
export class CompressionError extends Error {
  /** `unsupported`: this installation lacks the codec; `corrupt`: the bytes are wrong; `tooLarge`: the output would exceed the bound. */
  readonly kind: 'unsupported' | 'corrupt' | 'tooLarge'
  constructor(kind: 'unsupported' | 'corrupt' | 'tooLarge', message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CompressionError'
    this.kind = kind
  }
}

export const tooLarge = (codec: string, sizeMax: number): CompressionError =>
  new CompressionError('tooLarge', `${codec} data of more than ${sizeMax} bytes when decompressed`)
export const corrupt = (codec: string, reason: string, cause?: unknown): CompressionError =>
  new CompressionError('corrupt', `not valid ${codec} data: ${reason}`, cause === undefined ? undefined : { cause })

/** Turns lines into records as Apache's LineMessageReader does, byte for byte: nothing is decoded that need not be. */
import type { NewRecord } from '../kafka/records/record.ts'
import { OptionError } from './options.ts'

/** A line that does not have the parts it should have. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

const booleans = ['parse.key', 'parse.headers', 'ignore.error'] as const

export class LineReader {
  readonly #parsesKey: boolean
  readonly #parsesHeaders: boolean
  readonly #ignoresErrors: boolean
  readonly #keySeparator: Buffer
  readonly #headersDelimiter: Buffer
  readonly #headersSeparator: Buffer
  readonly #headersKeySeparator: Buffer
  readonly #nullMarker: Buffer | undefined
  #line = 0

  /** Properties as `--property` gives them; unknown ones are ignored, as they are meant for readers of other kinds. */
  constructor(properties: ReadonlyMap<string, string>) {
    const flag = (name: (typeof booleans)[number]): boolean => (properties.get(name) ?? 'false').trim().toLowerCase() === 'true'
    const bytes = (name: string, byDefault: string): Buffer => Buffer.from(properties.get(name) ?? byDefault)
    this.#parsesKey = flag('parse.key')
    this.#parsesHeaders = flag('parse.headers')
    this.#ignoresErrors = flag('ignore.error')
    this.#keySeparator = bytes('key.separator', '\t')
    this.#headersDelimiter = bytes('headers.delimiter', '\t')
    this.#headersSeparator = bytes('headers.separator', ',')
    this.#headersKeySeparator = bytes('headers.key.separator', ':')
    const marker = properties.get('null.marker')
    this.#nullMarker = marker === undefined ? undefined : Buffer.from(marker)
    const same = (a: Buffer, b: Buffer, names: string): void => {
      if (a.equals(b)) throw new OptionError(`${names} may not be equal`)
    }
    if (this.#parsesHeaders) {
      same(this.#headersDelimiter, this.#headersSeparator, 'headers.delimiter and headers.separator')
      same(this.#headersDelimiter, this.#headersKeySeparator, 'headers.delimiter and headers.key.separator')
      same(this.#headersSeparator, this.#headersKeySeparator, 'headers.separator and headers.key.separator')
      if (this.#nullMarker) {
        same(this.#headersDelimiter, this.#nullMarker, 'null.marker and headers.delimiter')
        same(this.#headersSeparator, this.#nullMarker, 'null.marker and headers.separator')
        same(this.#headersKeySeparator, this.#nullMarker, 'null.marker and headers.key.separator')
      }
    }
    if (this.#parsesKey && this.#nullMarker) same(this.#keySeparator, this.#nullMarker, 'null.marker and key.separator')
  }

  /** The record of the next line, without its end. Throws a LineError that names the line. */
  record(line: Buffer): NewRecord {
    this.#line++
    let rest = line
    let headers: NewRecord['headers'] = []
    let key: Buffer | null = null
    if (this.#parsesHeaders) {
      const part = this.#part(rest, this.#headersDelimiter, 'header', line)
      rest = part.rest
      if (part.head && !this.#isNull(part.head)) headers = this.#headers(part.head, line)
    }
    if (this.#parsesKey) {
      const part = this.#part(rest, this.#keySeparator, 'key', line)
      rest = part.rest
      key = part.head && !this.#isNull(part.head) ? part.head : null
    }
    return { key, value: this.#isNull(rest) ? null : rest, headers }
  }

  #part(text: Buffer, separator: Buffer, what: 'header' | 'key', line: Buffer): { head: Buffer | null; rest: Buffer } {
    const at = text.indexOf(separator)
    if (at >= 0) return { head: text.subarray(0, at), rest: text.subarray(at + separator.length) }
    if (this.#ignoresErrors) return { head: null, rest: text }
    throw new LineError(`No ${what === 'key' ? 'key separator' : 'header delimiter'} found on line number ${this.#line}: '${line}'`)
  }
  #headers(text: Buffer, line: Buffer): { key: string; value: Buffer | null }[] {
    const headers: { key: string; value: Buffer | null }[] = []
    for (const pair of split(text, this.#headersSeparator)) {
      const at = pair.indexOf(this.#headersKeySeparator)
      if (at < 0 && !this.#ignoresErrors) throw new LineError(`No header key separator found in pair '${pair}' on line number ${this.#line}: '${line}'`)
      const key = at < 0 ? pair : pair.subarray(0, at)
      if (this.#isNull(key)) throw new LineError(`Header keys should not be equal to the null marker '${this.#nullMarker}' as they can't be null`)
      const value = at < 0 ? null : pair.subarray(at + this.#headersKeySeparator.length)
      headers.push({ key: key.toString(), value: value === null || this.#isNull(value) ? null : value })
    }
    return headers
  }
  #isNull(text: Buffer): boolean {
    return this.#nullMarker !== undefined && this.#nullMarker.equals(text)
  }
}

function split(text: Buffer, separator: Buffer): Buffer[] {
  const parts: Buffer[] = []
  let from = 0
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, from)) {
    parts.push(text.subarray(from, at))
    from = at + separator.length
  }
  return [...parts, text.subarray(from)]
}

const lineFeed = 10
const carriageReturn = 13

/** Lines of a stream without their `\n` or `\r\n`; the last one may lack it. All lines of one chunk at once. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let pieces: Buffer[] = []
  for await (const piece of input) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const lines: Buffer[] = []
    let from = 0
    for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, from)) {
      const line = pieces.length > 0 ? Buffer.concat([...pieces, chunk.subarray(from, at)]) : chunk.subarray(from, at)
      pieces = []
      lines.push(withoutReturn(line))
      from = at + 1
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (pieces.length > 0) yield [withoutReturn(Buffer.concat(pieces))]
}
function withoutReturn(line: Buffer): Buffer {
  return line.length > 0 && line[line.length - 1] === carriageReturn ? line.subarray(0, -1) : line
}

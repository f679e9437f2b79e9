/**
 * Zstandard frames through what the installation has: Node's zlib (22.15 and later) or `@toondepauw/node-zstd`. Without
 * either the codec is refused by name. Output is bounded before anything is decompressed: the native library has no bound of its own.
 */
import { optionalLibrary } from '../../wire/optional-library.ts'
import * as zlib from 'node:zlib'
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'

interface Zstd {
  compress(input: Uint8Array, level: number): Buffer
  decompress(input: Buffer, sizeMax: number): Buffer
}
interface ZlibWithZstd {
  zstdCompressSync?: (input: Uint8Array, options: { params: Record<number, number> }) => Buffer
  zstdDecompressSync?: (input: Uint8Array, options: { maxOutputLength: number }) => Buffer
}
interface NativeZstd {
  Encoder: new (level: number) => { encodeSync(data: Buffer): Buffer }
  Decoder: new () => { decodeSync(data: Buffer): Buffer }
}
/** ZSTD_c_compressionLevel of zstd.h. */
const compressionLevelParameter = 100

const native = optionalLibrary<NativeZstd>('@toondepauw/node-zstd')

function implementation(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as ZlibWithZstd
  if (zstdCompressSync && zstdDecompressSync)
    return {
      compress: (input, level) => zstdCompressSync(input, { params: { [compressionLevelParameter]: level } }),
      decompress: (input, sizeMax) => zstdDecompressSync(input, { maxOutputLength: sizeMax }),
    }
  const library = native()
  return (
    library && {
      compress: (input, level) => new library.Encoder(level).encodeSync(Buffer.from(input.buffer, input.byteOffset, input.byteLength)),
      decompress: (input) => new library.Decoder().decodeSync(input),
    }
  )
}

const missing = (): CompressionError =>
  new CompressionError('unsupported', 'zstd needs Node 22.15 or later, or the optional package @toondepauw/node-zstd; this installation has neither')

export const hasZstd = (): boolean => implementation() !== undefined

export function compressZstd(input: Uint8Array, level = 3): Buffer {
  const zstd = implementation()
  if (!zstd) throw missing()
  return zstd.compress(input, level)
}

export function decompressZstd(input: Uint8Array, sizeMax: number): Buffer {
  const zstd = implementation()
  if (!zstd) throw missing()
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  const { bound, frames } = survey(bytes)
  if (bound > sizeMax) throw tooLarge('zstd', sizeMax)
  try {
    // Frame by frame: Node's zlib ends with the first.
    const contents = frames.map(({ from, to }) => zstd.decompress(bytes.subarray(from, to), sizeMax))
    return contents.length === 1 ? contents[0] : Buffer.concat(contents)
  } catch (cause) {
    throw corrupt('zstd', 'a damaged frame', cause)
  }
}

/** An upper bound of what the frames hold, from their content sizes or else block by block (RFC 8878 §3.1.1). */
export const outputBound = (bytes: Buffer): number => survey(bytes).bound
/** The bound, and where each frame with content begins and ends. */
function survey(bytes: Buffer): { bound: number; frames: { from: number; to: number }[] } {
  const frames: { from: number; to: number }[] = []
  let at = 0
  let total = 0
  const need = (size: number): void => {
    if (at + size > bytes.length) throw corrupt('zstd', `the frame ends at byte ${bytes.length}, ${at + size} expected`)
  }
  if (bytes.length === 0) throw corrupt('zstd', 'no frame')
  while (at < bytes.length) {
    need(5)
    const from = at
    const magic = bytes.readUInt32LE(at)
    if (magic >>> 4 === 0x0184d2a5) {
      need(8)
      const size = bytes.readUInt32LE(at + 4)
      need(8 + size)
      at += 8 + size
      continue
    }
    if (magic !== 0xfd2fb528) throw corrupt('zstd', `no frame magic at byte ${at}`)
    const descriptor = bytes[at + 4]
    at += 5
    const single = (descriptor & 0x20) !== 0
    const contentSizeWidth = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]
    const dictionaryWidth = [0, 1, 2, 4][descriptor & 3]
    need((single ? 0 : 1) + dictionaryWidth + contentSizeWidth)
    let window = Infinity
    if (!single) {
      const exponent = bytes[at] >> 3
      window = 2 ** (10 + exponent) * (1 + (bytes[at] & 7) / 8)
      at += 1
    }
    at += dictionaryWidth
    let contentSize: number | undefined
    if (contentSizeWidth === 1) contentSize = bytes[at]
    else if (contentSizeWidth === 2) contentSize = bytes.readUInt16LE(at) + 256
    else if (contentSizeWidth === 4) contentSize = bytes.readUInt32LE(at)
    else if (contentSizeWidth === 8) contentSize = Number(bytes.readBigUInt64LE(at))
    at += contentSizeWidth
    const blockSizeMax = Math.min(single ? (contentSize ?? 0) : window, 128 * 1024)
    let blocks = 0
    for (let last = false; !last; ) {
      need(3)
      const head = bytes.readUIntLE(at, 3)
      at += 3
      last = (head & 1) !== 0
      const kind = (head >> 1) & 3
      const size = head >> 3
      if (kind === 3) throw corrupt('zstd', `a reserved block type at byte ${at}`)
      const stored = kind === 1 ? 1 : size
      need(stored)
      at += stored
      blocks += kind === 2 ? blockSizeMax : Math.min(size, 128 * 1024)
    }
    if ((descriptor & 4) !== 0) {
      need(4)
      at += 4
    }
    frames.push({ from, to: at })
    total += contentSize === undefined ? blocks : Math.max(contentSize, 0)
    // Decoders reserve a window of the claimed size; a claim beyond the bound is refused like the data itself.
    if (window !== Infinity && window > 128 * 1024 * 1024) total = Math.max(total, window)
  }
  return { bound: total, frames }
}

/**
 * Snappy as Kafka uses it: raw blocks inside snappy-java's ("xerial") stream framing. Readers also take one raw block
 * without framing, which some clients send.
 *
 *     stream := 0x82 "SNAPPY" 0x00 version:int32 compatible:int32 (size:int32 rawBlock)*    (big-endian)
 */
import { optionalLibrary } from '../../wire/optional-library.ts'
import { corrupt, tooLarge } from './compression-error.ts'

const streamMagic = Buffer.from('82534e4150505900', 'hex')
const streamHead = Buffer.concat([streamMagic, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
/** snappy-java's default; other readers allocate what a block says. */
const blockSizeMax = 32 * 1024

interface NativeSnappy {
  compressSync(data: Uint8Array): Buffer
  uncompressSync(data: Uint8Array): Buffer
}
const native = optionalLibrary<NativeSnappy>('snappy')

export function decompressSnappy(input: Uint8Array, sizeMax: number): Buffer {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  if (bytes.length < streamHead.length || bytes.compare(streamMagic, 0, streamMagic.length, 0, streamMagic.length) !== 0) return decompressBlock(bytes, sizeMax, sizeMax)
  const blocks: Buffer[] = []
  let size = 0
  for (let at = streamHead.length; at < bytes.length; ) {
    // Streams may be concatenated: another head stands where a block size would.
    if (bytes.length - at >= streamHead.length && bytes.compare(streamMagic, 0, streamMagic.length, at, at + streamMagic.length) === 0) {
      at += streamHead.length
      continue
    }
    if (bytes.length - at < 4) throw corrupt('snappy', `${bytes.length - at} stray bytes at byte ${at}`)
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0 || length > bytes.length - at) throw corrupt('snappy', `a block of ${length} bytes at byte ${at}, ${bytes.length - at} left`)
    const block = decompressBlock(bytes.subarray(at, at + length), sizeMax - size, sizeMax)
    size += block.length
    blocks.push(block)
    at += length
  }
  return blocks.length === 1 ? blocks[0] : Buffer.concat(blocks, size)
}

/** `left` of `sizeMax` bytes may still be made. */
function decompressBlock(block: Buffer, left: number, sizeMax: number): Buffer {
  // The size stands first; checked before anybody allocates it.
  let size = 0
  let at = 0
  for (let shift = 0; ; shift += 7) {
    if (at >= block.length || shift > 28) throw corrupt('snappy', 'no block size')
    const byte = block[at++]
    size += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (size > left) throw tooLarge('snappy', sizeMax)
  // One byte of a copy makes at most 64 bytes, so a larger claim is a lie.
  if (size > block.length * 64) throw corrupt('snappy', `${size} bytes claimed by a block of ${block.length}`)
  const library = native()
  if (library === undefined) return decompressSnappyScript(block, at, size)
  try {
    return library.uncompressSync(block)
  } catch (cause) {
    throw corrupt('snappy', 'a damaged block', cause)
  }
}

/** One raw block without the native library; `at` is behind its size. */
export function decompressSnappyScript(input: Uint8Array, start: number, size: number): Buffer {
  const out = Buffer.allocUnsafe(size)
  let at = start
  let o = 0
  const end = input.length
  while (at < end) {
    const tag = input[at++]
    const kind = tag & 3
    if (kind === 0) {
      let length = (tag >> 2) + 1
      if (length > 60) {
        const width = length - 60
        if (at + width > end) throw corrupt('snappy', `a length runs out at byte ${at}`)
        length = 1
        for (let index = 0; index < width; index++) length += input[at + index] * 2 ** (8 * index)
        at += width
      }
      if (at + length > end || o + length > size) throw corrupt('snappy', `literals run out at byte ${at}`)
      out.set(input.subarray(at, at + length), o)
      at += length
      o += length
      continue
    }
    const width = kind === 3 ? 4 : kind
    if (at + width > end) throw corrupt('snappy', `a copy runs out at byte ${at}`)
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const distance =
      kind === 1 ? ((tag >> 5) << 8) | input[at] : kind === 2 ? input[at] | (input[at + 1] << 8) : (input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)) >>> 0
    at += width
    if (distance === 0 || distance > o || o + length > size) throw corrupt('snappy', `a copy reaches back ${distance} bytes at byte ${at}`)
    for (let left = length; left > 0; left--, o++) out[o] = out[o - distance]
  }
  if (o !== size) throw corrupt('snappy', `${o} bytes where ${size} were claimed`)
  return out
}

export function compressSnappy(input: Uint8Array): Buffer {
  const pieces: Uint8Array[] = [streamHead]
  for (let start = 0; start < input.length; start += blockSizeMax) {
    const part = input.subarray(start, Math.min(start + blockSizeMax, input.length))
    const block = native()?.compressSync(part) ?? compressSnappyScript(part)
    const size = Buffer.allocUnsafe(4)
    size.writeInt32BE(block.length)
    pieces.push(size, block)
  }
  return Buffer.concat(pieces)
}

/** One raw block of at most 64 KiB without the native library. */
export function compressSnappyScript(input: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(16 + input.length + Math.ceil(input.length / 6))
  let o = 0
  for (let rest = input.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      out[o++] = rest
      break
    }
    out[o++] = (rest & 0x7f) | 0x80
  }
  const table = new Int32Array(4096).fill(-1)
  let anchor = 0
  let at = 0
  let misses = 0
  while (at + 4 <= input.length) {
    const word = input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)
    const slot = Math.imul(word, 0x1e35a7bd) >>> 20
    const candidate = table[slot]
    table[slot] = at
    if (candidate < 0 || input[candidate] !== input[at] || input[candidate + 1] !== input[at + 1] || input[candidate + 2] !== input[at + 2] || input[candidate + 3] !== input[at + 3]) {
      at += 1 + (misses++ >> 6)
      continue
    }
    misses = 0
    let length = 4
    while (at + length < input.length && input[candidate + length] === input[at + length]) length++
    o = literal(input, anchor, at, out, o)
    const distance = at - candidate
    for (let left = length; left > 0; left -= 64) {
      out[o++] = ((Math.min(left, 64) - 1) << 2) | 2
      out[o++] = distance & 0xff
      out[o++] = distance >> 8
    }
    at += length
    anchor = at
  }
  o = literal(input, anchor, input.length, out, o)
  return out.subarray(0, o)
}
function literal(input: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  const length = to - from
  if (length === 0) return start
  let o = start
  if (length <= 60) out[o++] = (length - 1) << 2
  else if (length <= 256) {
    out[o++] = 60 << 2
    out[o++] = length - 1
  } else {
    out[o++] = 61 << 2
    out[o++] = (length - 1) & 0xff
    out[o++] = (length - 1) >> 8
  }
  out.set(input.subarray(from, to), o)
  return o + length
}

/**
 * LZ4 frames, as Kafka uses them: independent blocks, no content size. Reads every frame the format allows except
 * dependent blocks with a dictionary; output is bounded.
 *
 *     frame := magic:0x184D2204 FLG BD [contentSize:8] headerChecksum:1 block* endMark:0 [contentChecksum:4]   (little-endian)
 *     block := size:4 (top bit: stored) bytes [checksum:4]
 */
import { optionalLibrary } from '../../wire/optional-library.ts'
import { corrupt, tooLarge } from './compression-error.ts'
import { xxhash32 } from './xxhash32.ts'

const frameMagic = 0x184d2204
const blockSizes: readonly number[] = [0, 0, 0, 0, 65_536, 262_144, 1_048_576, 4_194_304]

interface NativeLz4 {
  compressFrameSync(data: Uint8Array): Buffer
  /** One block behind four bytes (little-endian) of the most it may hold; throws where it holds more or is damaged. */
  uncompressSync(data: Uint8Array): Buffer
}
const native = optionalLibrary<NativeLz4>('lz4-napi')
/** Blocks below are read faster than they are handed over. */
const nativeFrom = 512
/** What the native library is given room for at first: blocks that hold more are rare, and read by the script. */
const usualRatio = 16

/** Memory that is decompressed into again and again, so that not each batch asks for its own. */
export interface Scratch {
  bytes: Buffer
}
/** No more is kept for the next. */
const scratchSizeMax = 4_194_304

/**
 * Decompresses one frame after another. `anyHeaderChecksum`: clients of message format 0 computed the header's checksum over
 * the wrong bytes (KAFKA-3160), so it is not looked at there. `isScriptOnly`: not with the native library, where there is one.
 * `scratch`: what is answered lies in it, where it fits, and is valid until the next use.
 */
export function decompressLz4(input: Uint8Array, sizeMax: number, { anyHeaderChecksum = false, isScriptOnly = false, scratch }: { anyHeaderChecksum?: boolean; isScriptOnly?: boolean; scratch?: Scratch } = {}): Buffer {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const guess = Math.min(sizeMax, Math.max(input.length * 4, 1024))
  let output = scratch && scratch.bytes.length >= Math.min(guess, scratchSizeMax) && scratch.bytes.length <= sizeMax ? scratch.bytes : Buffer.allocUnsafe(guess)
  let written = 0
  /** Makes room for `size` more bytes, or as many as the bound allows. */
  const reserve = (size: number): void => {
    const wanted = Math.min(sizeMax, written + size)
    if (wanted <= output.length) return
    const grown = Buffer.allocUnsafe(Math.min(sizeMax, Math.max(output.length * 2, wanted)))
    output.copy(grown, 0, 0, written)
    output = grown
  }
  const need = (at: number, size: number): void => {
    if (at + size > input.length) throw corrupt('lz4', `the frame ends at byte ${input.length}, ${at + size} expected`)
  }
  let at = 0
  if (input.length === 0) throw corrupt('lz4', 'no frame')
  while (at < input.length) {
    need(at, 7)
    if (view.getUint32(at, true) !== frameMagic) throw corrupt('lz4', `no frame magic at byte ${at}`)
    const flags = input[at + 4]
    const blockSizeMax = blockSizes[(input[at + 5] >> 4) & 7]
    if (flags >> 6 !== 1) throw corrupt('lz4', `frame version ${flags >> 6}`)
    if ((flags & 1) !== 0) throw corrupt('lz4', 'a frame with a dictionary')
    if (blockSizeMax === 0) throw corrupt('lz4', `block size code ${(input[at + 5] >> 4) & 7}`)
    const independent = (flags & 0x20) !== 0
    const headerSize = (flags & 0x08) !== 0 ? 10 : 2
    need(at, 4 + headerSize + 1)
    const checksum = (xxhash32(input.subarray(at + 4, at + 4 + headerSize)) >>> 8) & 0xff
    if (!anyHeaderChecksum && checksum !== input[at + 4 + headerSize]) throw corrupt('lz4', `wrong header checksum at byte ${at + 4 + headerSize}`)
    at += 4 + headerSize + 1
    const frameStart = written
    for (;;) {
      need(at, 4)
      const word = view.getUint32(at, true)
      at += 4
      if (word === 0) break
      const size = word & 0x7fff_ffff
      if (size > blockSizeMax) throw corrupt('lz4', `a block of ${size} bytes where ${blockSizeMax} is the most`)
      need(at, size + ((flags & 0x10) !== 0 ? 4 : 0))
      if ((flags & 0x10) !== 0 && xxhash32(input.subarray(at, at + size)) !== view.getUint32(at + size, true)) throw corrupt('lz4', `wrong block checksum at byte ${at + size}`)
      if (word >>> 31 === 1) {
        if (written + size > sizeMax) throw tooLarge('lz4', sizeMax)
        reserve(size)
        output.set(input.subarray(at, at + size), written)
        written += size
      } else {
        // A block's real size is known only after it is read; a bound that would be exceeded is found inside.
        const most = Math.min(blockSizeMax, size * 255)
        reserve(most)
        const block = !isScriptOnly && independent && size >= nativeFrom ? decompressNative(input.subarray(at, at + size), Math.min(most, Math.max(65_536, size * usualRatio), sizeMax - written)) : undefined
        if (block) {
          output.set(block, written)
          written += block.length
        } else written = decompressBlock(input, at, at + size, output, written, independent ? written : frameStart, Math.min(output.length, written + blockSizeMax), sizeMax)
      }
      at += size + ((flags & 0x10) !== 0 ? 4 : 0)
    }
    if ((flags & 0x04) !== 0) {
      need(at, 4)
      if (xxhash32(output.subarray(frameStart, written)) !== view.getUint32(at, true)) throw corrupt('lz4', `wrong content checksum at byte ${at}`)
      at += 4
    }
  }
  if (scratch && output.length <= scratchSizeMax) scratch.bytes = output
  return output.subarray(0, written)
}

/** The block's content; undefined without the library, and where the library refuses, so that the script says what is wrong. */
function decompressNative(block: Uint8Array, sizeMax: number): Uint8Array | undefined {
  const library = native()
  if (!library) return undefined
  const bytes = Buffer.allocUnsafe(4 + block.length)
  bytes.writeUInt32LE(sizeMax, 0)
  bytes.set(block, 4)
  try {
    return library.uncompressSync(bytes)
  } catch {
    return undefined
  }
}
/** Decompresses one block into `out` from `to`; matches may reach back to `from`. Returns the new end. */
function decompressBlock(input: Uint8Array, start: number, end: number, out: Uint8Array, to: number, from: number, outEnd: number, sizeMax: number): number {
  let at = start
  let o = to
  while (at < end) {
    const token = input[at++]
    let literals = token >> 4
    if (literals === 15) {
      let byte: number
      do {
        if (at >= end) throw corrupt('lz4', `a length runs out of its block at byte ${at}`)
        byte = input[at++]
        literals += byte
      } while (byte === 255)
    }
    if (at + literals > end) throw corrupt('lz4', `literals run out of their block at byte ${at}`)
    if (o + literals > outEnd) throw overflow(outEnd, sizeMax)
    if (literals > 32) {
      out.set(input.subarray(at, at + literals), o)
      o += literals
      at += literals
    } else for (let left = literals; left > 0; left--) out[o++] = input[at++]
    if (at === end) return o
    if (at + 2 > end) throw corrupt('lz4', `a match without offset at byte ${at}`)
    const distance = input[at] | (input[at + 1] << 8)
    at += 2
    if (distance === 0 || o - distance < from) throw corrupt('lz4', `a match reaches back ${distance} bytes at byte ${at}`)
    let length = (token & 15) + 4
    if (length === 19) {
      let byte: number
      do {
        if (at >= end) throw corrupt('lz4', `a length runs out of its block at byte ${at}`)
        byte = input[at++]
        length += byte
      } while (byte === 255)
    }
    if (o + length > outEnd) throw overflow(outEnd, sizeMax)
    if (length > 32) {
      // A match that overlaps itself repeats its first `distance` bytes: what is there doubles with each copy.
      const from = o - distance
      for (let done = 0; done < length; ) {
        const size = Math.min(length - done, distance + done)
        out.copyWithin(o + done, from, from + size)
        done += size
      }
      o += length
    } else for (let left = length; left > 0; left--, o++) out[o] = out[o - distance]
  }
  throw corrupt('lz4', `a block without last literals at byte ${end}`)
}
const overflow = (outEnd: number, sizeMax: number): Error => (outEnd >= sizeMax ? tooLarge('lz4', sizeMax) : corrupt('lz4', 'a block larger than its frame allows'))

/** Compresses into one frame. `brokenHeaderChecksum` as message format 0 has it (KAFKA-3160). */
export function compressLz4(input: Uint8Array, { brokenHeaderChecksum = false } = {}): Buffer {
  const library = brokenHeaderChecksum || input.length === 0 ? undefined : native()
  if (library) return library.compressFrameSync(input)
  return compressLz4Script(input, { brokenHeaderChecksum })
}

/** The same without the native library. */
export function compressLz4Script(input: Uint8Array, { brokenHeaderChecksum = false } = {}): Buffer {
  const blockSizeMax = 65_536
  const blocks = Math.ceil(input.length / blockSizeMax)
  const output = Buffer.allocUnsafe(7 + blocks * 4 + input.length + Math.ceil(input.length / 255) + 16 * blocks + 4)
  output.writeUInt32LE(frameMagic, 0)
  output[4] = 0x60 // version 1, independent blocks
  output[5] = 0x40 // blocks of 64 KiB
  output[6] = (xxhash32(output.subarray(brokenHeaderChecksum ? 0 : 4, 6)) >>> 8) & 0xff
  let at = 7
  const table = new Int32Array(4096)
  for (let start = 0; start < input.length; start += blockSizeMax) {
    const end = Math.min(start + blockSizeMax, input.length)
    const size = compressBlock(input, start, end, output, at + 4, table)
    if (size < end - start) {
      output.writeUInt32LE(size, at)
      at += 4 + size
    } else {
      output.writeUInt32LE((end - start + 0x8000_0000) >>> 0, at)
      output.set(input.subarray(start, end), at + 4)
      at += 4 + end - start
    }
  }
  output.writeUInt32LE(0, at)
  return output.subarray(0, at + 4)
}

function compressBlock(input: Uint8Array, start: number, end: number, out: Uint8Array, to: number, table: Int32Array): number {
  table.fill(-1)
  let o = to
  let anchor = start
  let at = start
  // The format's end rules: the last 5 bytes are literals, the last match begins 12 bytes before the end.
  const matchEnd = end - 5
  const matchStartEnd = end - 12
  let misses = 0
  while (at < matchStartEnd) {
    const word = input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)
    const slot = Math.imul(word, 0x9e3779b1) >>> 20
    const candidate = table[slot]
    table[slot] = at
    if (candidate < 0 || input[candidate] !== input[at] || input[candidate + 1] !== input[at + 1] || input[candidate + 2] !== input[at + 2] || input[candidate + 3] !== input[at + 3]) {
      at += 1 + (misses++ >> 6)
      continue
    }
    misses = 0
    let length = 4
    while (at + length < matchEnd && input[candidate + length] === input[at + length]) length++
    o = sequence(input, anchor, at, at - candidate, length, out, o)
    at += length
    anchor = at
  }
  const literals = end - anchor
  out[o++] = Math.min(literals, 15) << 4
  if (literals >= 15) o = lengthBytes(out, o, literals - 15)
  out.set(input.subarray(anchor, end), o)
  return o + literals - to
}
function sequence(input: Uint8Array, anchor: number, at: number, distance: number, length: number, out: Uint8Array, to: number): number {
  let o = to
  const literals = at - anchor
  out[o++] = (Math.min(literals, 15) << 4) | Math.min(length - 4, 15)
  if (literals >= 15) o = lengthBytes(out, o, literals - 15)
  for (let from = anchor; from < at; from++) out[o++] = input[from]
  out[o++] = distance & 0xff
  out[o++] = distance >> 8
  return length - 4 >= 15 ? lengthBytes(out, o, length - 4 - 15) : o
}
function lengthBytes(out: Uint8Array, to: number, length: number): number {
  let o = to
  let rest = length
  for (; rest >= 255; rest -= 255) out[o++] = 255
  out[o++] = rest
  return o
}

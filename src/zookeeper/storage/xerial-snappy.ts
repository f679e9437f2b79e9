/**
 * Unpacks the snappy stream of `snapshot.<zxid>.snappy`, in the framing of xerial's SnappyOutputStream:
 *
 *     stream := 0x82 'SNAPPY' 0x00 version:int32 compatible:int32 { size:int32 block }
 *     block  := unpackedSize:uvarint { literal | copy }
 */

const streamHeadSize = 16

/** Throws a RangeError where the stream is damaged. */
export function decodeXerialSnappy(stream: Buffer): Buffer {
  const blocks: Buffer[] = []
  let at = streamHeadSize
  while (at < stream.length) {
    if (at + 4 > stream.length) throw new RangeError(`the block at byte ${at} is cut off`)
    const size = stream.readInt32BE(at)
    if (size < 0 || size > stream.length - at - 4) throw new RangeError(`a block of ${size} bytes at byte ${at}, where ${stream.length - at - 4} are left`)
    blocks.push(decodeBlock(stream.subarray(at + 4, at + 4 + size)))
    at += 4 + size
  }
  return Buffer.concat(blocks)
}

function decodeBlock(block: Buffer): Buffer {
  let at = 0
  const byte = (): number => {
    if (at >= block.length) throw new RangeError('a block ends within a tag')
    return block[at++]
  }
  let size = 0
  for (let shift = 0; ; shift += 7) {
    const bits = byte()
    size += (bits & 0x7f) * 2 ** shift
    if (bits < 0x80) break
    if (shift >= 28) throw new RangeError('a block with a size of more than five bytes')
  }
  // A tag of three bytes yields at most 64.
  if (size > block.length * 32) throw new RangeError(`a block of ${block.length} bytes cannot hold ${size}`)
  const out = Buffer.allocUnsafe(size)
  let end = 0
  while (at < block.length) {
    const tag = byte()
    const kind = tag & 3
    let length = (tag >>> 2) + 1
    if (kind === 0) {
      if (length > 60) {
        const width = length - 60
        length = 1
        for (let index = 0; index < width; index++) length += byte() * 2 ** (8 * index)
      }
      if (length > block.length - at || length > size - end) throw new RangeError(`a literal of ${length} bytes that is not there`)
      block.copy(out, end, at, at + length)
      at += length
    } else {
      let distance: number
      if (kind === 1) {
        length = ((tag >>> 2) & 7) + 4
        distance = ((tag >>> 5) << 8) | byte()
      } else {
        distance = byte() | (byte() << 8)
        if (kind === 3) distance += byte() * 0x1_0000 + byte() * 0x100_0000
      }
      if (distance === 0 || distance > end || length > size - end) throw new RangeError(`a copy of ${length} bytes from ${distance} before byte ${end}`)
      // Overlapping copies repeat what they have just written.
      for (let index = 0; index < length; index++) out[end + index] = out[end - distance + index]
    }
    end += length
  }
  if (end !== size) throw new RangeError(`a block gave ${end} bytes instead of ${size}`)
  return out
}

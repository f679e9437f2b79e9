/** The five compression codecs of record batches, by the number in a batch's attributes. */
import * as zlib from 'node:zlib'
import { CompressionError, corrupt, tooLarge } from './compression-error.ts'
import { compressLz4, decompressLz4, type Scratch } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'
import { compressZstd, decompressZstd } from './zstd.ts'

export type CodecName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
export const codecNames: readonly CodecName[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
export const codecId = (name: CodecName): number => codecNames.indexOf(name)

/** No batch may become larger than this when decompressed: the size of the largest request. */
export const decompressedSizeMax = 104_857_600

export interface CompressionLevels {
  gzip?: number
  zstd?: number
}

/** Decompresses a batch's records, into `scratch` where the codec can. `magic` 0 has wrong lz4 checksums. Throws `CompressionError`. */
export function decompress(codec: number, input: Uint8Array, { sizeMax = decompressedSizeMax, magic = 2, scratch }: { sizeMax?: number; magic?: number; scratch?: Scratch } = {}): Buffer {
  switch (codec) {
    case 0:
      return Buffer.from(input.buffer, input.byteOffset, input.byteLength)
    case 1:
      return gunzip(input, sizeMax)
    case 2:
      return decompressSnappy(input, sizeMax)
    case 3:
      return decompressLz4(input, sizeMax, { anyHeaderChecksum: magic === 0, scratch })
    case 4:
      return decompressZstd(input, sizeMax)
    default:
      throw new CompressionError('unsupported', `compression codec ${codec}; known are 1 gzip, 2 snappy, 3 lz4, 4 zstd`)
  }
}

export function compress(codec: number, input: Uint8Array, { levels = {}, magic = 2 }: { levels?: CompressionLevels; magic?: number } = {}): Buffer {
  switch (codec) {
    case 0:
      return Buffer.from(input.buffer, input.byteOffset, input.byteLength)
    case 1:
      return zlib.gzipSync(input, { level: levels.gzip ?? -1 })
    case 2:
      return compressSnappy(input)
    case 3:
      return compressLz4(input, { brokenHeaderChecksum: magic === 0 })
    case 4:
      return compressZstd(input, levels.zstd)
    default:
      throw new CompressionError('unsupported', `compression codec ${codec}; known are 1 gzip, 2 snappy, 3 lz4, 4 zstd`)
  }
}

function gunzip(input: Uint8Array, sizeMax: number): Buffer {
  try {
    return zlib.gunzipSync(input, { maxOutputLength: sizeMax })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge('gzip', sizeMax)
    throw corrupt('gzip', (cause as Error).message, cause)
  }
}

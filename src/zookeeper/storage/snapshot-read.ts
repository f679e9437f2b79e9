/** Reads one snapshot file from front to back, plain or compressed, and checks its seals. */
import { gunzipSync } from 'node:zlib'
import type { Disk, DiskFile } from '../../host/host.ts'
import { adler32 } from '../../wire/adler32.ts'
import { MalformedError, Reader } from '../../wire/reader.ts'
import { Acl, StatPersisted } from '../protocol/records.ts'
import { digestSize, sealSize, snapshotHeaderSize, snapshotMagic, snapshotVersion, statSize, type SnapshotDigest, type SnapshotVisitor } from './snapshot-format.ts'
import { StorageError } from './storage-error.ts'
import { decodeXerialSnappy } from './xerial-snappy.ts'

const windowSize = 256 * 1024
/** No znode is larger: jute.maxbuffer bounds what a client can send, and is 1 MiB unless somebody raised it. */
const dataSizeMax = 512 * 1024 * 1024
const pathSizeMax = 1024 * 1024

export interface SnapshotFacts {
  readonly digest?: SnapshotDigest
  /** Written by 3.9 with serializeLastProcessedZxid; only `restore` uses it. */
  readonly lastZxid?: bigint
  readonly nodeCount: number
}

/**
 * Whether it is worth while to open the file: Apache's own test (SnapStream.isValidSnapshot), which drops what a crash
 * cut short. Returns the reason if not.
 */
export async function snapshotRefusal(disk: Disk, path: string, suffix: string): Promise<string | undefined> {
  const file = await disk.open(path, 'read')
  try {
    const size = await file.size()
    if (size < 10) return `it has ${size} bytes`
    if (suffix === '') {
      const tail = Buffer.alloc(5)
      await file.read(tail, size - 5)
      return tail.equals(Buffer.from([0, 0, 0, 1, 0x2f])) ? undefined : 'it does not end with the seal "/": its writing was interrupted'
    }
    const head = Buffer.alloc(8)
    await file.read(head, 0)
    if (suffix === 'gz') return head.readUInt16BE(0) === 0x1f8b ? undefined : 'it does not begin as a gzip file'
    return head.equals(Buffer.from('82534e4150505900', 'hex')) ? undefined : 'it does not begin as a snappy stream'
  } finally {
    await file.close()
  }
}

/** Tells `visitor` all that the file holds. Throws a StorageError with the position where it is damaged; what was told before is worthless then. */
export async function readSnapshot(disk: Disk, path: string, suffix: string, visitor: SnapshotVisitor): Promise<SnapshotFacts> {
  if (suffix !== '') {
    const packed = await disk.readFile(path)
    let bytes: Buffer
    try {
      bytes = suffix === 'gz' ? gunzipSync(packed) : decodeXerialSnappy(packed)
    } catch (cause) {
      throw new StorageError(path, undefined, `cannot be unpacked: ${(cause as Error).message}`, { cause })
    }
    return new SnapshotReader(path, bytes, undefined, bytes.length).read(visitor)
  }
  const file = await disk.open(path, 'read')
  try {
    const size = await file.size()
    return await new SnapshotReader(path, Buffer.allocUnsafe(Math.min(size, windowSize)), file, size).read(visitor)
  } finally {
    await file.close()
  }
}

class SnapshotReader {
  readonly #path: string
  readonly #file: DiskFile | undefined
  readonly #size: number
  #window: Buffer
  /** The window holds [start, start + filled) of the (unpacked) bytes; `at` is relative to it. */
  #start = 0
  #filled = 0
  #at = 0
  /** Adler-32 of everything before `start + summed`. */
  #adler = 1
  #summed = 0

  constructor(path: string, window: Buffer, file: DiskFile | undefined, size: number) {
    this.#path = path
    this.#window = window
    this.#file = file
    this.#size = size
    if (!file) this.#filled = size
  }

  get #position(): number {
    return this.#start + this.#at
  }
  #damaged(reason: string, cause?: unknown): StorageError {
    return new StorageError(this.#path, this.#position, reason, cause === undefined ? undefined : { cause })
  }

  #sum(): void {
    if (this.#summed === this.#at) return
    this.#adler = adler32(this.#window.subarray(this.#summed, this.#at), this.#adler)
    this.#summed = this.#at
  }

  /** Makes `size` bytes from the current position available. */
  async #need(size: number, what: string): Promise<void> {
    if (this.#at + size <= this.#filled) return
    if (this.#position + size > this.#size) throw this.#damaged(`${what} would need ${size} bytes, and the file ends after ${this.#size - this.#position}`)
    this.#sum()
    const kept = this.#filled - this.#at
    if (size > this.#window.length) {
      const larger = Buffer.allocUnsafe(size)
      this.#window.copy(larger, 0, this.#at, this.#filled)
      this.#window = larger
    } else this.#window.copy(this.#window, 0, this.#at, this.#filled)
    this.#start += this.#at
    this.#filled = kept
    this.#at = 0
    this.#summed = 0
    this.#filled += await this.#file!.read(this.#window.subarray(kept), this.#start + kept)
    if (this.#filled < size) throw this.#damaged(`${what} needs ${size} bytes, and the file became shorter while it was read`)
  }
  #int32(): number {
    const value = this.#window.readInt32BE(this.#at)
    this.#at += 4
    return value
  }
  #int64(): bigint {
    const value = this.#window.readBigInt64BE(this.#at)
    this.#at += 8
    return value
  }

  async read(visitor: SnapshotVisitor): Promise<SnapshotFacts> {
    await this.#header()
    await this.#sessions(visitor)
    await this.#acls(visitor)
    const nodeCount = await this.#nodes(visitor)
    await this.#seal()
    let left = this.#size - this.#position
    let digest: SnapshotDigest | undefined
    if (left >= digestSize + sealSize || (left > 0 && left !== 8 + sealSize)) {
      digest = await this.#digest()
      await this.#seal()
      left = this.#size - this.#position
    }
    let lastZxid: bigint | undefined
    if (left === 8 + sealSize) {
      await this.#need(8, 'the last zxid')
      lastZxid = this.#int64()
      await this.#seal()
    } else if (left > 0) throw this.#damaged(`${left} bytes stand behind the end of the snapshot`)
    return { nodeCount, ...(digest && { digest }), ...(lastZxid !== undefined && { lastZxid }) }
  }

  async #header(): Promise<void> {
    await this.#need(snapshotHeaderSize, 'the header')
    const magic = this.#window.readUInt32BE(0)
    if (magic !== snapshotMagic) throw this.#damaged(`a snapshot begins with "ZKSN", and this file with 0x${magic.toString(16)}`)
    const version = this.#window.readInt32BE(4)
    if (version !== snapshotVersion) throw this.#damaged(`a snapshot of version ${version}, and only version ${snapshotVersion} is known`)
    this.#at += snapshotHeaderSize
  }
  async #count(what: string, sizeMin: number): Promise<number> {
    await this.#need(4, `the number of ${what}`)
    const count = this.#window.readInt32BE(this.#at)
    if (count < 0 || count * sizeMin > this.#size - this.#position - 4) throw this.#damaged(`${count} ${what} in ${this.#size - this.#position - 4} bytes`)
    this.#at += 4
    return count
  }
  async #sessions(visitor: SnapshotVisitor): Promise<void> {
    for (let left = await this.#count('sessions', 12); left > 0; left--) {
      await this.#need(12, 'a session')
      visitor.session(this.#int64(), this.#int32())
    }
  }
  async #acls(visitor: SnapshotVisitor): Promise<void> {
    for (let left = await this.#count('access control lists', 12); left > 0; left--) {
      await this.#need(12, 'an access control list')
      const id = this.#int64()
      const count = this.#int32()
      // −1 is a null list, which means the same as an empty one.
      if (count < -1 || count * 12 > this.#size - this.#position) throw this.#damaged(`an access control list of ${count} entries`)
      const acl: Acl[] = []
      for (let entry = 0; entry < count; entry++) acl.push(await this.#aclEntry())
      visitor.acl(id, acl)
    }
  }
  async #aclEntry(): Promise<Acl> {
    await this.#need(8, 'an entry of an access control list')
    const schemeSize = this.#sizeAt(4, pathSizeMax, 'a scheme')
    await this.#need(12 + schemeSize, 'a scheme')
    const idSize = this.#sizeAt(8 + schemeSize, pathSizeMax, 'an id')
    const size = 12 + schemeSize + idSize
    await this.#need(size, 'an id')
    return this.#record(size, (reader) => Acl.read(reader))
  }
  /** A length `offset` bytes ahead; null (−1) counts as 0. */
  #sizeAt(offset: number, max: number, what: string): number {
    const size = this.#window.readInt32BE(this.#at + offset)
    if (size < -1 || size > max) throw this.#damaged(`${what} of ${size} bytes`)
    return Math.max(0, size)
  }
  #record<T>(size: number, read: (reader: Reader) => T): T {
    try {
      const value = read(new Reader(this.#window, this.#at, this.#at + size))
      this.#at += size
      return value
    } catch (cause) {
      if (cause instanceof MalformedError || cause instanceof RangeError) throw this.#damaged(cause.message, cause)
      throw cause
    }
  }

  async #nodes(visitor: SnapshotVisitor): Promise<number> {
    for (let count = 0; ; count++) {
      await this.#need(5, 'a path')
      const pathSize = this.#sizeAt(0, pathSizeMax, 'a path')
      if (pathSize === 1 && this.#window[this.#at + 4] === 0x2f) {
        this.#at += 5
        return count
      }
      await this.#need(8 + pathSize, 'a znode')
      const dataSize = this.#sizeAt(4 + pathSize, dataSizeMax, 'data')
      await this.#need(16 + pathSize + dataSize + statSize, 'a znode')
      const at = this.#at
      const path = this.#window.toString('utf8', at + 4, at + 4 + pathSize)
      if (count === 0 ? path !== '' : path[0] !== '/') throw this.#damaged(`a znode called ${JSON.stringify(path)}${count === 0 ? ' where the root should stand' : ''}`)
      const dataAt = at + 8 + pathSize
      const data = this.#window.readInt32BE(dataAt - 4) < 0 ? null : Buffer.from(this.#window.subarray(dataAt, dataAt + dataSize))
      const aclId = this.#window.readBigInt64BE(dataAt + dataSize)
      this.#at = dataAt + dataSize + 8
      const stat = this.#record(statSize, (reader) => StatPersisted.read(reader))
      try {
        visitor.node(path, data, aclId, stat)
      } catch (cause) {
        throw this.#damaged((cause as Error).message, cause)
      }
    }
  }
  async #digest(): Promise<SnapshotDigest> {
    await this.#need(digestSize, 'the digest')
    const zxid = this.#int64()
    const version = this.#int32()
    if (version >= 2) return { zxid, version, digest: this.#int64() }
    // Version 1, of 3.6's first releases, is hexadecimal text.
    const size = this.#sizeAt(0, 64, 'a digest')
    await this.#need(4 + size, 'the digest')
    const text = this.#window.toString('latin1', this.#at + 4, this.#at + 4 + size)
    this.#at += 4 + size
    return { zxid, version, digest: /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : 0n }
  }
  async #seal(): Promise<void> {
    await this.#need(sealSize, 'a seal')
    this.#sum()
    const sum = this.#adler
    const written = this.#window.readBigInt64BE(this.#at)
    if (written !== BigInt(sum)) throw this.#damaged(`the seal says 0x${BigInt.asUintN(64, written).toString(16)}, the bytes before it give 0x${sum.toString(16)}`)
    if (this.#window.readInt32BE(this.#at + 8) !== 1 || this.#window[this.#at + 12] !== 0x2f) throw this.#damaged('a seal that does not end with "/"')
    this.#at += sealSize
  }
}

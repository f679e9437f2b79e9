/**
 * What opens a connection to an election port (reference §4.1):
 *
 *   initial := protocolVersion:int64 serverId:int64 length:int32 addresses      (-65536: one address, -65535: several, joined by |)
 *           |  serverId:int64                                                    (servers before 3.5; the id is not negative)
 *
 * After it, both ways: length:int32 (1..524288) notification.
 */
import { MalformedError, Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { hostPort } from '../../wire/host-port.ts'
import type { ServerId } from './vote.ts'

export interface HostAndPort {
  readonly host: string
  readonly port: number
}
export interface Initial {
  readonly serverId: ServerId
  /** Where the sender says that it listens; empty where it did not say. */
  readonly addresses: readonly HostAndPort[]
  /** Bytes that the message took. */
  readonly size: number
}
const oneAddress = -65_536n
const severalAddresses = -65_535n
const addressSizeMax = 2048
const frameSizeMax = 524_288
/** Stands for "an observer without an id" (Java's Long.MAX_VALUE). */
export const anonymousObserver = Number.MAX_SAFE_INTEGER

export function encodeInitial(serverId: ServerId, addresses: readonly HostAndPort[], multiAddress: boolean): Buffer {
  const out = new Writer(128)
  out.bigint64(multiAddress ? severalAddresses : oneAddress)
  out.bigint64(BigInt(serverId))
  const text = Buffer.from((multiAddress ? addresses : addresses.slice(0, 1)).map(({ host, port }) => hostPort(host, port)).join('|'))
  out.int32(text.length)
  out.raw(text)
  return out.toBuffer()
}

/** undefined: more bytes are needed. Throws MalformedError with what a stranger sent. */
export function readInitial(bytes: Buffer): Initial | undefined {
  if (bytes.length < 8) return undefined
  const reader = new Reader(bytes)
  const version = reader.bigint64()
  if (version >= 0n) return { serverId: idOf(version), addresses: [], size: 8 }
  if (version !== oneAddress && version !== severalAddresses) throw new MalformedError(`protocol version ${version} on an election port; ${oneAddress} and ${severalAddresses} are known`, 0)
  if (bytes.length < 20) return undefined
  const serverId = idOf(reader.bigint64())
  const size = reader.int32()
  if (size < 1 || size > addressSizeMax) throw new MalformedError(`an election address of ${size} bytes; 1 to ${addressSizeMax} are allowed`, 16)
  if (reader.remaining < size) return undefined
  return { serverId, addresses: reader.utf8(size).split('|').map(parseAddress), size: reader.offset }
}
function idOf(value: bigint): ServerId {
  if (value === 2n ** 63n - 1n) return anonymousObserver
  if (value < 0n || value >= BigInt(anonymousObserver)) throw new MalformedError(`${value} is no server id`, 8)
  return Number(value)
}
function parseAddress(text: string): HostAndPort {
  const [, host, port] = /^\[?(.+?)\]?:(\d{1,5})$/.exec(text) ?? []
  if (host === undefined || Number(port) > 65_535) throw new MalformedError(`${JSON.stringify(text)} is no election address`, 20)
  return { host, port: Number(port) }
}
/** An address to listen on, not to connect to. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host)
}

export function frameOf(message: Uint8Array): Uint8Array[] {
  const head = Buffer.allocUnsafe(4)
  head.writeInt32BE(message.length)
  return [head, message]
}
/** Cuts a stream into notifications; it never holds more than one and a chunk. */
export class NotificationFrames {
  #rest: Buffer = Buffer.alloc(0)

  /** Throws MalformedError on a length that cannot be; the connection is of no use then. */
  push(chunk: Buffer, take: (message: Buffer) => void): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (bytes.length >= 4) {
      const size = bytes.readInt32BE(0)
      if (size < 1 || size > frameSizeMax) throw new MalformedError(`a notification of ${size} bytes; 1 to ${frameSizeMax} are allowed`, 0)
      if (bytes.length < 4 + size) break
      take(bytes.subarray(4, 4 + size))
      bytes = bytes.subarray(4 + size)
    }
    this.#rest = bytes.length === 0 ? bytes : Buffer.from(bytes)
  }
}

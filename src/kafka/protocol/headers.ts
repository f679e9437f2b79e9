/**
 * Frames and headers: the special cases of the protocol, said once.
 *
 * frame           := size:int32 header body
 * request header  := key:int16 version:int16 correlation:int32 [client:string] [tags]   client is int16-sized in every version
 * response header := correlation:int32 [tags]
 *
 * Requests have header 2 (with tags) in flexible versions, else 1; ControlledShutdown v0 has 0 (no client). Responses have
 * header 1 (with tags) in flexible versions, else 0; ApiVersions answers with 0 always, so that any client can read it.
 */
import { Reader } from '../../wire/reader.ts'
import type { Decoded, Encodable, Fields } from '../../wire/schema.ts'
import { Writer } from '../../wire/writer.ts'
import type { Api } from './api.ts'

const apiVersionsKey = 18
const controlledShutdownKey = 7

export interface RequestHeader {
  apiKey: number
  apiVersion: number
  correlationId: number
  clientId: string | null
}
type Key = Pick<Api, 'key' | 'flexible'>

/** 0 without client id, 1 with it, 2 with tags as well. */
export function requestHeaderVersion(api: Key, version: number): 0 | 1 | 2 {
  if (version >= api.flexible) return 2
  return api.key === controlledShutdownKey && version === 0 ? 0 : 1
}
/** 0 the correlation id alone, 1 with tags. */
export function responseHeaderVersion(api: Key, version: number): 0 | 1 {
  return version >= api.flexible && api.key !== apiVersionsKey ? 1 : 0
}

/** The first eight bytes of every request, whatever it asks. */
export function readRequestStart(reader: Reader): Pick<RequestHeader, 'apiKey' | 'apiVersion' | 'correlationId'> {
  return { apiKey: reader.int16(), apiVersion: reader.int16(), correlationId: reader.int32() }
}
/** What follows them. `flexible` tells whether the version at hand is: with it, this can read the header of an unknown API. */
export function readRequestRest(reader: Reader, version: 0 | 1 | 2): string | null {
  if (version === 0) return null
  const size = reader.int16()
  const clientId = size < 0 ? null : reader.utf8(size)
  if (version === 2) reader.skipTags()
  return clientId
}

/** Reads header and body of a request from a frame without its size. The caller has looked up `api` by the key in it. */
export function decodeRequest<Q extends Fields>(api: Api<Q, Fields>, frame: Uint8Array): { header: RequestHeader; request: Decoded<Q> } {
  const reader = new Reader(frame)
  const start = readRequestStart(reader)
  if (start.apiKey !== api.key) throw reader.malformed(`a request with key ${start.apiKey} where ${api.name} (${api.key}) was expected`)
  checkVersion(api, start.apiVersion, reader)
  const clientId = readRequestRest(reader, requestHeaderVersion(api, start.apiVersion))
  const request = api.request.codec(start.apiVersion).read(reader)
  return { header: { ...start, clientId }, request }
}
/** The whole frame of a request, size included, in pieces. */
export function encodeRequest<Q extends Fields>(
  api: Api<Q, Fields>,
  { apiVersion, correlationId, clientId }: Omit<RequestHeader, 'apiKey'>,
  request: Encodable<Q>,
  writer = new Writer(),
): Uint8Array[] {
  writer.int32(0)
  writer.int16(api.key)
  writer.int16(apiVersion)
  writer.int32(correlationId)
  const header = requestHeaderVersion(api, apiVersion)
  if (header > 0) writeClientId(writer, clientId)
  if (header === 2) writer.uvarint(0)
  api.request.codec(apiVersion).write(writer, request)
  return writer.finishFrame()
}

/** Reads header and body of a response from a frame without its size; the version is that of the request. */
export function decodeResponse<S extends Fields>(api: Api<Fields, S>, version: number, frame: Uint8Array): { correlationId: number; response: Decoded<S> } {
  const reader = new Reader(frame)
  const correlationId = reader.int32()
  if (responseHeaderVersion(api, version) === 1) reader.skipTags()
  return { correlationId, response: api.response.codec(version).read(reader) }
}
/** The whole frame of a response, size included, in pieces. Large record sets are spliced in, not copied. */
export function encodeResponse<S extends Fields>(api: Api<Fields, S>, version: number, correlationId: number, response: Encodable<S>, writer = new Writer()): Uint8Array[] {
  writer.int32(0)
  writer.int32(correlationId)
  if (responseHeaderVersion(api, version) === 1) writer.uvarint(0)
  api.response.codec(version).write(writer, response)
  return writer.finishFrame()
}

function writeClientId(writer: Writer, clientId: string | null): void {
  if (clientId === null) return writer.int16(-1)
  const size = Buffer.byteLength(clientId)
  if (size > 0x7fff) throw new RangeError(`a client id of ${size} bytes is longer than 32767`)
  writer.int16(size)
  writer.utf8(clientId)
}
function checkVersion(api: Pick<Api, 'name' | 'versions'>, version: number, reader: Reader): void {
  const [first, last] = api.versions
  if (version < first || version > last) throw reader.malformed(`${api.name} version ${version}, known are ${first} to ${last}`)
}

/** Reads the JSON of znodes: unknown keys are ignored, wrong ones named with their path. */

/** Bytes of one request that ZooKeeper takes by default (jute.maxbuffer): it drops whoever sends more. */
export const requestSizeMax = 0xfffff

export class ZnodeError extends Error {
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`znode ${path} ${reason}`, options)
    this.name = 'ZnodeError'
    this.path = path
  }
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json | undefined }

export function parseZnode(path: string, data: Uint8Array | null): JsonObject {
  let json: Json
  try {
    json = JSON.parse(Buffer.from(data ?? []).toString('utf8')) as Json
  } catch (cause) {
    throw new ZnodeError(path, `holds no JSON: ${JSON.stringify(Buffer.from(data ?? []).toString('utf8').slice(0, 80))}`, { cause })
  }
  return asObject(path, 'the document', json)
}
export const encodeZnode = (json: object): Buffer => Buffer.from(JSON.stringify(json))

export function asObject(path: string, what: string, value: Json | undefined): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new ZnodeError(path, `has ${shown(value)} where ${what} should be an object`)
  return value
}
/** Of 32 bits, as on the wire: one that no request could carry would keep a controller from telling anybody anything. */
export function asInteger(path: string, what: string, value: Json | undefined): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || (value | 0) !== value) throw new ZnodeError(path, `has ${shown(value)} where '${what}' should be a whole number of 32 bits`)
  return value
}
export function asList(path: string, what: string, value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw new ZnodeError(path, `has ${shown(value)} where '${what}' should be a list`)
  return value
}
export function asIntegers(path: string, what: string, value: Json | undefined): number[] {
  return asList(path, what, value).map((each) => asInteger(path, what, each))
}
export function asText(path: string, what: string, value: Json | undefined): string {
  if (typeof value !== 'string') throw new ZnodeError(path, `has ${shown(value)} where '${what}' should be a string`)
  return value
}
export function asUuid(path: string, what: string, value: Json | undefined): string {
  const text = asText(path, what, value)
  if (!/^[A-Za-z0-9_-]{22}$/.test(text)) throw new ZnodeError(path, `has ${shown(text)} where '${what}' should be an id of 22 characters`)
  return text
}
const shown = (value: Json | undefined): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60))

/** Who may do what: permissions, and the schemes by which a connection is known (reference §1.15). */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { openAcl } from '../protocol/open-acl.ts'
import type { Acl, Id } from '../protocol/records.ts'

export interface Scheme {
  /** Whether an ACL may hold this id. */
  isValid(id: string): boolean
  /** Whether a connection known as `known` (same scheme) is the one that an ACL's `wanted` means. */
  matches(known: string, wanted: string): boolean
  /** Whether being known by it counts as having authenticated: what the scheme `auth` expands to. */
  readonly authenticated: boolean
}

/** Schemes by name; `world` and `auth` are handled by themselves, `super` is never in an ACL. */
export type Schemes = ReadonlyMap<string, Scheme>

export const builtInSchemes: Schemes = new Map<string, Scheme>([
  ['digest', { isValid: (id) => id.split(':').length === 2, matches: (known, wanted) => known === wanted, authenticated: true }],
  ['ip', { isValid: (id) => parseNetwork(id) !== undefined, matches: isInNetwork, authenticated: false }],
])

/** `user:base64(sha1(user:password))`, as it stands in ACLs. */
export function digestOf(userAndPassword: string): string {
  const [user] = userAndPassword.split(':', 1)
  return `${user}:${createHash('sha1').update(userAndPassword).digest('base64')}`
}
/** Equal, in a time that does not say how much of it was. */
export function isSameSecret(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Whether somebody known by `ids` may do what `wanted` (a permission's bits) says. */
export function isAllowed(acl: readonly Acl[], wanted: number, ids: readonly Id[], schemes: Schemes): boolean {
  if (acl === openAcl || acl.length === 0) return true
  for (const { perms, id } of acl) if (perms & wanted && id.scheme === 'world' && id.id === 'anyone') return true
  for (const { scheme } of ids) if (scheme === 'super') return true
  for (const { perms, id } of acl) {
    if (!(perms & wanted)) continue
    const scheme = schemes.get(id.scheme)
    if (!scheme) continue
    for (const known of ids) if (known.scheme === id.scheme && scheme.matches(known.id, id.id)) return true
  }
  return false
}

/** The list as it will be stored: duplicates dropped, `auth` expanded; undefined where it is no valid list. */
export function fixedAcl(acl: readonly Acl[] | null, ids: readonly Id[], schemes: Schemes): Acl[] | undefined {
  if (!acl || acl.length === 0) return undefined
  if (acl === openAcl) return openAcl as Acl[]
  const fixed: Acl[] = []
  const add = (entry: Acl): void => {
    if (!fixed.some(({ perms, id }) => perms === entry.perms && id.scheme === entry.id.scheme && id.id === entry.id.id)) fixed.push(entry)
  }
  for (const entry of acl) {
    const { scheme, id } = entry.id
    if (scheme === 'world') {
      if (id !== 'anyone') return undefined
      add(entry)
    } else if (scheme === 'auth') {
      let found = false
      for (const known of ids) {
        if (!schemes.get(known.scheme)?.authenticated) continue
        found = true
        add({ perms: entry.perms, id: known })
      }
      if (!found) return undefined
    } else {
      if (!schemes.get(scheme)?.isValid(id)) return undefined
      add(entry)
    }
  }
  return fixed
}
/** The list as somebody without ADMIN sees it: whose digests they are, not the digests. */
export function maskedAcl(acl: readonly Acl[]): Acl[] {
  return acl.map(({ perms, id }) => (id.scheme === 'digest' ? { perms, id: { scheme: id.scheme, id: `${id.id.slice(0, Math.max(0, id.id.indexOf(':')))}:x` } } : { perms, id }))
}

// network := address [ '/' bits ]
function parseNetwork(text: string): { bytes: number[]; bits: number } | undefined {
  const [address, suffix, ...rest] = text.split('/')
  const bytes = bytesOf(address)
  if (!bytes || rest.length > 0) return undefined
  const bits = suffix === undefined ? bytes.length * 8 : /^\d+$/.test(suffix) ? Number(suffix) : -1
  return bits < 0 || bits > bytes.length * 8 ? undefined : { bytes, bits }
}
function bytesOf(address: string): number[] | undefined {
  if (isIPv4(address)) return address.split('.').map(Number)
  const plain = address.split('%')[0]
  if (!isIPv6(plain)) return undefined
  const [head, tail] = plain.split('::')
  const groups = (part: string | undefined): number[] =>
    (part ? part.split(':') : []).flatMap((group) => {
      if (group.includes('.')) return group.split('.').map(Number)
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    })
  const first = groups(head)
  if (tail === undefined) return first
  const last = groups(tail)
  return [...first, ...Array.from({ length: 16 - first.length - last.length }, () => 0), ...last]
}
function isInNetwork(known: string, wanted: string): boolean {
  const network = parseNetwork(wanted)
  const address = bytesOf(known)
  if (!network || !address || address.length !== network.bytes.length) return false
  for (let at = 0, bits = network.bits; bits > 0; at++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff
    if ((address[at] ^ network.bytes[at]) & mask) return false
  }
  return true
}

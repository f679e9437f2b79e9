/** What the 64 bits of ephemeralOwner say about how long a znode lives (EphemeralType, reference §1.11). */

export const containerOwner = -(1n << 63n)
const ttlMark = 0xff00_0000_0000_0000n
const ttlMax = 0xff_ffff_ffffn

export type Lifetime = 'persistent' | 'ephemeral' | 'container' | 'ttl'

export interface ExtendedTypes {
  /** zookeeper.extendedTypesEnabled: without it, an owner that marks a TTL is that of a session. */
  readonly extendedTypes: boolean
  /** zookeeper.emulate353TTLNodes: every negative owner but the container's is a TTL. */
  readonly emulate353: boolean
}

export function lifetimeOf(owner: bigint, { extendedTypes, emulate353 }: ExtendedTypes): Lifetime {
  if (owner === 0n) return 'persistent'
  if (owner > 0n) return 'ephemeral'
  if (owner === containerOwner) return 'container'
  return extendedTypes && (emulate353 || owner >= -(1n << 56n)) ? 'ttl' : 'ephemeral'
}
/** From one millisecond to about 35 years. */
export function isTTL(ttl: bigint): boolean {
  return ttl > 0n && ttl <= ttlMax
}
export function ownerOfTTL(ttl: bigint, { emulate353 }: ExtendedTypes): bigint {
  return BigInt.asIntN(64, (emulate353 ? 1n << 63n : ttlMark) | ttl)
}
/** Milliseconds. */
export function ttlOf(owner: bigint): number {
  return Number(BigInt.asUintN(40, owner))
}

/** Which partition of `__consumer_offsets` (or `__transaction_state`) an id belongs to. */

/** Java's `String.hashCode`: UTF-16 units, int32 with wrap-around. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash
}

/** `Utils.abs(hash) % partitionCount`, where the absolute value of −2³¹ is 0; not the producers' `& 0x7fffffff`. */
export function offsetsPartitionOf(id: string, partitionCount: number): number {
  const hash = javaHashCode(id)
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount
}

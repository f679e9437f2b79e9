/** Which partition of `__consumer_offsets` (or `__transaction_state`) an id belongs to. */
import { javaHashCode } from '../../wire/java-hash.ts'

/** `Utils.abs(hash) % partitionCount`, where the absolute value of −2³¹ is 0; not the producers' `& 0x7fffffff`. */
export function offsetsPartitionOf(id: string, partitionCount: number): number {
  const hash = javaHashCode(id)
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount
}

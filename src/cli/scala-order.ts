/** The order in which Apache's tools tell what they keep in a mutable set or map of Scala 2.13. */

/** By slot, then by hash; a table has 16 slots, doubled before it is three quarters full. */
export function inScalasOrder<T>(elements: Iterable<T>, hashOf: (element: T) => number): T[] {
  const hashed = [...elements].map((element) => {
    const hash = hashOf(element)
    return { element, hash: hash ^ (hash >>> 16) }
  })
  let slots = 16
  while (hashed.length >= slots * 0.75) slots *= 2
  return hashed.sort((one, other) => (one.hash & (slots - 1)) - (other.hash & (slots - 1)) || one.hash - other.hash).map(({ element }) => element)
}

/**
 * Those who are to be told something: few at a time, who come and go with each request. A list and not a Set, because of the garbage
 * collector: a Set that shrinks and grows leaves its old tables behind, each of which refers to the next and to who was in it, and once
 * one of them has become old, all that was ever behind it is kept until the whole heap is looked at.
 */
export class Waiters<T> {
  #list: T[] = []

  get size(): number {
    return this.#list.length
  }
  /** Each may be there once. */
  add(waiter: T): void {
    this.#list.push(waiter)
  }
  /** False when it was not there. */
  delete(waiter: T): boolean {
    const list = this.#list
    const at = list.indexOf(waiter)
    if (at < 0) return false
    if (at === 0) list.shift()
    else list.splice(at, 1)
    return true
  }
  clear(): void {
    this.#list = []
  }
  /** Those who are there now, whoever leaves or comes meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#list.slice().values()
  }
}

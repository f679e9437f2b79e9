/** What waits, oldest first. Taking from the front costs the same however much waits: `shift` and `slice` of an array move all the rest. */
export class Backlog<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }
  /** The oldest; undefined where nothing waits. */
  get first(): T | undefined {
    return this.#items[this.#head]
  }
  /** The `index`th oldest, which must be there. */
  at(index: number): T {
    return this.#items[this.#head + index] as T
  }
  push(item: T): void {
    this.#items.push(item)
  }
  /** Takes the oldest; undefined where nothing waits. */
  shift(): T | undefined {
    const item = this.#items[this.#head]
    if (this.length > 0) this.drop(1)
    return item
  }
  /** Forgets the `count` oldest, which must be there. */
  drop(count: number): void {
    const end = this.#head + count
    for (let index = this.#head; index < end; index++) this.#items[index] = undefined
    this.#head = end
    if (end === this.#items.length) this.clear()
    else if (end > 4096 && end * 2 > this.#items.length) {
      this.#items = this.#items.slice(end)
      this.#head = 0
    }
  }
  clear(): void {
    this.#items = []
    this.#head = 0
  }
  *[Symbol.iterator](): Iterator<T> {
    for (let index = this.#head; index < this.#items.length; index++) yield this.#items[index] as T
  }
}

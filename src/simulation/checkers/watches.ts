/** Data watches of one client: each is told once, of a real change, and before any answer that shows the change. */
import { Violation } from './violation.ts'

interface Watch {
  readonly path: string
  /** The write that was shown when the watch was set. */
  readonly zxid: bigint
  state: 'set' | 'fired' | 'dropped'
}

export class Watches {
  readonly #client: string
  #set: Watch[] = []
  /** By path: after an event, reads that begin later must show something newer than this. */
  readonly #changed = new Map<string, bigint>()
  fired = 0

  constructor(client: string) {
    this.#client = client
  }
  set(path: string, zxid: bigint): Watch {
    const watch: Watch = { path, zxid, state: 'set' }
    this.#set.push(watch)
    return watch
  }
  fires(watch: Watch): void {
    if (watch.state === 'fired') throw new Violation('a watch is told once', `${this.#client} was told of ${watch.path} twice`)
    watch.state = 'fired'
    this.fired++
    this.#set = this.#set.filter((other) => other !== watch)
    const known = this.#changed.get(watch.path) ?? 0n
    if (watch.zxid > known) this.#changed.set(watch.path, watch.zxid)
  }
  /** What a read that begins now must be newer than. */
  begins(path: string): bigint {
    return this.#changed.get(path) ?? -1n
  }
  read(path: string, changedFrom: bigint, zxid: bigint): void {
    const late = this.#set.find((watch) => watch.path === path && watch.zxid < zxid)
    if (late) throw new Violation('a watch is told before the read that shows the change', `${this.#client} reads write ${zxid} of ${path}, and was not told that ${late.zxid} has passed`)
    if (changedFrom >= zxid) throw new Violation('a watch tells of a change', `${this.#client} was told that ${path} has changed from write ${changedFrom}, and reads ${zxid}`)
  }
  /** The session has ended, and with it all its watches. */
  dropAll(): void {
    for (const watch of this.#set) watch.state = 'dropped'
    this.#set = []
  }
  /** After all is quiet: whoever waits for a change that has long been is waiting in vain. */
  mustHaveFired(latestOf: (path: string) => bigint): void {
    for (const { path, zxid } of this.#set) {
      const latest = latestOf(path)
      if (latest > zxid) throw new Violation('no watch is forgotten', `${this.#client} watches ${path} since write ${zxid}, and was never told of ${latest}`)
    }
  }
}

/** ACL lists by number: a thousand znodes share one list, and snapshots write each list once. Counted, so that unused ones go. */
import type { Acl } from '../protocol/records.ts'
import { openAcl } from '../protocol/open-acl.ts'
import { permission } from '../protocol/op-codes.ts'

/** The number of /, /zookeeper and /zookeeper/quota: open to all, and never in the table of a snapshot. */
export const openAclId = -1
export { openAcl }

interface Entry {
  readonly id: number
  readonly acl: readonly Acl[]
  readonly key: string
  uses: number
}

export class AclCache {
  readonly #byId = new Map<number, Entry>()
  readonly #byKey = new Map<string, Entry>()
  /** The list nearly every znode has, found without a key. */
  #open: Entry | undefined
  #last = 0

  /** The number of the list, one use more. */
  use(acl: readonly Acl[]): number {
    let entry = isOpen(acl) ? this.#open : undefined
    if (!entry) {
      const key = keyOf(acl)
      entry = this.#byKey.get(key) ?? this.#add(this.#last + 1, acl, key)
    }
    entry.uses++
    return entry.id
  }
  release(id: number): void {
    const entry = this.#byId.get(id)
    if (entry && --entry.uses === 0) this.#remove(entry)
  }
  /** The list with this number; undefined where there is none. */
  get(id: number): readonly Acl[] | undefined {
    return id === openAclId ? openAcl : this.#byId.get(id)?.acl
  }
  get size(): number {
    return this.#byId.size
  }
  /** All lists of this moment. */
  entries(): readonly { readonly id: number; readonly acl: readonly Acl[] }[] {
    return [...this.#byId.values()]
  }

  /** From a snapshot's table: not used by anybody yet. */
  restore(id: number, acl: readonly Acl[]): void {
    this.#add(id, acl, keyOf(acl))
  }
  /** One use more of a number read from a snapshot; false where the table did not have it. */
  restoreUse(id: number): boolean {
    if (id === openAclId) return true
    const entry = this.#byId.get(id)
    if (!entry) return false
    entry.uses++
    return true
  }
  purgeUnused(): void {
    for (const entry of this.#byId.values()) if (entry.uses === 0) this.#remove(entry)
  }
  clear(): void {
    this.#byId.clear()
    this.#byKey.clear()
    this.#open = undefined
    this.#last = 0
  }

  #add(id: number, acl: readonly Acl[], key: string): Entry {
    const entry: Entry = { id, acl, key, uses: 0 }
    this.#byId.set(id, entry)
    this.#byKey.set(key, entry)
    if (isOpen(acl)) this.#open = entry
    if (id > this.#last) this.#last = id
    return entry
  }
  #remove(entry: Entry): void {
    this.#byId.delete(entry.id)
    if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key)
    if (this.#open === entry) this.#open = undefined
  }
}

function isOpen(acl: readonly Acl[]): boolean {
  if (acl === openAcl) return true
  if (acl.length !== 1) return false
  const { perms, id } = acl[0]
  return perms === permission.all && id.scheme === 'world' && id.id === 'anyone'
}
function keyOf(acl: readonly Acl[]): string {
  return JSON.stringify(acl.map(({ perms, id }) => [perms, id.scheme, id.id]))
}

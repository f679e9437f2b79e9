/** Lists of servers as people type them: `host:port[,host:port…]`, `[::1]:9092`, `PLAINTEXT://host:port`. */

export interface ServerAddress {
  host: string
  port: number
}
/** What is not such a list; the message names the part. */
export class AddressError extends Error {
  override readonly name = 'AddressError'
}

/** `what` names the option in the message. */
export function parseAddresses(list: string, what = 'bootstrap.servers'): ServerAddress[] {
  const parts = list.split(',').map((part) => part.trim()).filter((part) => part !== '')
  if (parts.length === 0) throw new AddressError(`No resolvable bootstrap urls given in ${what}`)
  return parts.map((part) => {
    const found = /^(?:([a-zA-Z][a-zA-Z0-9+._-]*):\/\/)?(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:/\s[\]]+)):(\d{1,5})$/.exec(part)
    const port = Number(found?.[4])
    if (!found || port > 65535) throw new AddressError(`Invalid url in ${what}: ${part} (wanted is host:port)`)
    return { host: found[2] ?? found[3], port }
  })
}

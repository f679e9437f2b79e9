/** Ports of this machine that nobody listens on. */
import { createServer } from 'node:net'

/**
 * Systems give the connections that programs make ports from 32768 (Linux) or 49152 on: one that was found free there may be some connection's before
 * the server listens. The registered services of daily life lie below 10000.
 */
const lowest = 10_000
const count = 22_000
const triesMax = 1_000

/** Whether a server could listen there now. An empty or undefined address is every one of this machine. */
export function isFree(address: string | undefined, port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen({ port, ...(address && { host: address }) }, () => server.close(() => done(true)))
  })
}
/** A port, 10000 to 31999, nobody listens on, other than those already chosen. */
export async function freePort(address: string | undefined, chosen: ReadonlySet<number>): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const port = lowest + Math.floor(Math.random() * count)
    if (!chosen.has(port) && (await isFree(address, port))) return port
  }
  throw new Error(`no free port found on ${address || 'this machine'} among ${triesMax} between ${lowest} and ${lowest + count - 1}: is the address one of this machine's?`)
}

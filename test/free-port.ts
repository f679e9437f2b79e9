/** Loopback ports for servers of tests, which listen on them later and again. */
import { isFree } from '../src/host/ports.ts'

/** Asked for and not listened on yet, or not at this moment: a follower's quorum port, a server that is restarted. */
const given = new Set<number>()
const first = 10_000
const last = 32_000
/** Test files run beside each other: each worker draws from a part of its own. */
const parts = 4
const share = (last - first) / parts
const start = first + ((Number(process.env.VITEST_POOL_ID ?? 1) - 1) % parts) * share

/**
 * A port nobody listens on, never the same twice. Systems give connections that clients make ports from 32768 on: what is found there
 * may be taken again before the server listens.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = start + Math.floor(Math.random() * share)
    if (given.has(port)) continue
    given.add(port)
    if (await isFree('127.0.0.1', port)) return port
  }
  throw new Error(`no free port between ${start} and ${start + share}`)
}

/** Of a server with several addresses, the one that answers first: an address whose network is gone must not be waited for. */
import type { Connection, Host } from '../../host/host.ts'
import type { HostAndPort } from './election-handshake.ts'
import { hostPort } from '../../wire/host-port.ts'

/** Rejects when none answers, with what each said. */
export async function connectToFirst(network: Host['network'], addresses: readonly HostAndPort[], timeoutMs: number): Promise<Connection> {
  if (addresses.length === 1) return network.connect({ ...addresses[0], timeoutMs })
  let winner: Connection | undefined
  const attempts = addresses.map(async (address) => {
    const connection = await network.connect({ ...address, timeoutMs })
    if (winner) {
      connection.onClose(() => {})
      connection.destroy()
      throw new Error('another address was faster')
    }
    return (winner = connection)
  })
  try {
    return await Promise.any(attempts)
  } catch (error) {
    const causes = (error as AggregateError).errors as Error[]
    throw new Error(causes.map((cause, at) => `${hostPort(addresses[at].host, addresses[at].port)}: ${cause.message}`).join('; '), { cause: causes[0] })
  }
}

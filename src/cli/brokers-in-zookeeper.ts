/** Finds a cluster's brokers where they register: for the `--zookeeper` of old tutorials. */
import type { Host } from '../host/host.ts'
import { ZooKeeperClient } from '../zookeeper/client/client.ts'
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import type { ServerAddress } from '../kafka/client/addresses.ts'

const sessionTimeoutMs = 18_000
const noNode = -101

/** `connect` is `host:port[,…][/chroot]`. */
export function connectZooKeeper(host: Host, connect: string): Promise<ZooKeeperClient> {
  return ZooKeeperClient.connect(host, { connect, sessionTimeoutMs })
}

/** Plain-text addresses of the brokers that are registered now. Rejects, saying so, when there are none. */
export async function brokersIn(zookeeper: ZooKeeperClient, connect: string): Promise<ServerAddress[]> {
  let ids: string[]
  try {
    ids = (await zookeeper.getChildren('/brokers/ids')).children
  } catch (error) {
    if (!isZooKeeperError(error) || error.code !== noNode) throw error
    throw new Error(`ZooKeeper at ${connect} has no /brokers/ids: no Kafka broker has ever run on it. Is the chroot (the part behind the last port) right?`, { cause: error })
  }
  const addresses: ServerAddress[] = []
  for (const id of ids) {
    const { data } = await zookeeper.getData(`/brokers/ids/${id}`)
    const address = plainAddressIn(data)
    if (address) addresses.push(address)
  }
  if (addresses.length > 0) return addresses
  throw new Error(
    ids.length === 0
      ? `ZooKeeper at ${connect} has no registered Kafka broker at the moment (/brokers/ids is empty). Start one, or try again`
      : `none of the brokers registered in ZooKeeper at ${connect} (${ids.join(', ')}) has a PLAINTEXT listener; use --bootstrap-server`,
  )
}

/** Of `/brokers/ids/<id>`: the first PLAINTEXT endpoint, or host and port as brokers before 0.9 have them. */
function plainAddressIn(data: Buffer | null): ServerAddress | undefined {
  const broker = JSON.parse(data?.toString() ?? '{}') as {
    host?: string | null
    port?: number
    endpoints?: string[]
    listener_security_protocol_map?: Record<string, string>
  }
  for (const endpoint of broker.endpoints ?? []) {
    const found = /^([^:]+):\/\/(?:\[(.+)\]|(.*)):(\d+)$/.exec(endpoint)
    if (!found) continue
    const [, listener, ipv6, name, port] = found
    if ((broker.listener_security_protocol_map?.[listener] ?? listener) === 'PLAINTEXT') return { host: ipv6 ?? name, port: Number(port) }
  }
  return broker.host && broker.port !== undefined && broker.port > 0 ? { host: broker.host, port: broker.port } : undefined
}

/** `/brokers/ids/<id>`: how a broker is registered (reference §1.3). Versions 1 to 5 are read, 5 is written. */
import { paths } from './znode-paths.ts'
import { asInteger, asObject, asText, encodeZnode, parseZnode, ZnodeError } from './znode-json.ts'

/** Ids of security protocols, as UpdateMetadata carries them. */
export const securityProtocols = { PLAINTEXT: 0, SSL: 1, SASL_PLAINTEXT: 2, SASL_SSL: 3 } as const
export type SecurityProtocol = keyof typeof securityProtocols

export interface Endpoint {
  readonly listener: string
  readonly host: string
  readonly port: number
  readonly securityProtocol: SecurityProtocol
}
export interface BrokerRegistration {
  readonly id: number
  readonly endpoints: readonly Endpoint[]
  readonly rack: string | undefined
  readonly jmxPort: number
  /** ms since 1970; −1 when the node does not say. */
  readonly timestampMs: number
}

export function encodeBroker({ endpoints, rack, jmxPort, timestampMs }: BrokerRegistration): Buffer {
  const plain = endpoints.find(({ securityProtocol }) => securityProtocol === 'PLAINTEXT')
  return encodeZnode({
    features: {},
    listener_security_protocol_map: Object.fromEntries(endpoints.map(({ listener, securityProtocol }) => [listener, securityProtocol])),
    endpoints: endpoints.map(({ listener, host, port }) => `${listener}://${host.includes(':') ? `[${host}]` : host}:${port}`),
    jmx_port: jmxPort,
    port: plain?.port ?? -1,
    host: plain?.host ?? null,
    version: 5,
    timestamp: String(timestampMs),
    ...(rack === undefined ? {} : { rack }),
  })
}

export function decodeBroker(id: number, data: Uint8Array | null): BrokerRegistration {
  const path = paths.broker(id)
  const json = parseZnode(path, data)
  const version = asInteger(path, 'version', json.version)
  if (version < 1) throw new ZnodeError(path, `has version ${version}; registrations have 1 or more`)
  const protocols = json.listener_security_protocol_map === undefined ? {} : asObject(path, "'listener_security_protocol_map'", json.listener_security_protocol_map)
  const endpoints =
    version === 1 || json.endpoints === undefined
      ? [{ listener: 'PLAINTEXT', host: asText(path, 'host', json.host), port: asInteger(path, 'port', json.port), securityProtocol: 'PLAINTEXT' as const }]
      : (Array.isArray(json.endpoints) ? json.endpoints : []).map((each): Endpoint => {
          const match = /^([^:]+):\/\/(?:\[([^\]]+)\]|([^:]*)):(-?\d+)$/.exec(asText(path, 'endpoints', each))
          if (!match) throw new ZnodeError(path, `has an endpoint ${JSON.stringify(each)} that is not LISTENER://host:port`)
          const listener = match[1].toUpperCase()
          // Before version 4 a listener was named by its protocol.
          const protocol = protocols[match[1]] ?? protocols[listener] ?? listener
          if (typeof protocol !== 'string' || !(protocol in securityProtocols)) throw new ZnodeError(path, `gives listener ${listener} the unknown security protocol ${JSON.stringify(protocol)}`)
          return { listener: match[1], host: match[2] ?? match[3], port: Number(match[4]), securityProtocol: protocol as SecurityProtocol }
        })
  return {
    id,
    endpoints,
    rack: typeof json.rack === 'string' ? json.rack : undefined,
    jmxPort: typeof json.jmx_port === 'number' ? json.jmx_port : -1,
    timestampMs: Number(json.timestamp ?? -1),
  }
}

/** Whether clients and controller would notice a difference: what a change of the node's data is about. */
export function sameEndpoints(one: BrokerRegistration, other: BrokerRegistration): boolean {
  const text = ({ endpoints, rack }: BrokerRegistration): string =>
    [...endpoints.map(({ listener, host, port, securityProtocol }) => `${listener}|${securityProtocol}|${host}|${port}`).sort(), rack ?? ''].join('\n')
  return text(one) === text(other)
}

/** Reads listeners: `NAME://HOST:PORT`, comma separated. */

export interface Endpoint {
  /** Upper case. */
  listener: string
  /** '' when none was given: every interface for a listener, this machine's name for an advertised one. */
  host: string
  port: number
}

/** The endpoints of a list, or what is wrong with it. */
export function parseEndpoints(value: string): Endpoint[] | { reason: string } {
  const endpoints: Endpoint[] = []
  for (const item of value.split(',').map((part) => part.trim())) {
    const match = /^([^:/]+):\/\/(?:\[([0-9a-zA-Z\-%._:]*)\]|([0-9a-zA-Z\-%._]*)):([0-9]+)$/.exec(item)
    if (!match) return { reason: `'${item}' is not of the form NAME://HOST:PORT` }
    const port = Number(match[4])
    if (port > 65535) return { reason: `'${item}' has a port above 65535` }
    endpoints.push({ listener: match[1].toUpperCase(), host: match[2] ?? match[3], port })
  }
  return endpoints
}

/** Security protocol of each listener name, or what is wrong with the map. */
export function parseProtocolMap(value: string): Map<string, string> | { reason: string } {
  const map = new Map<string, string>()
  for (const item of value.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const [listener, protocol, ...more] = item.split(':').map((part) => part.trim())
    if (!listener || !protocol || more.length > 0) return { reason: `'${item}' is not of the form NAME:PROTOCOL` }
    if (!['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'].includes(protocol.toUpperCase())) return { reason: `'${protocol}' is not a security protocol (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)` }
    if (map.has(listener.toUpperCase())) return { reason: `listener ${listener} is there twice` }
    map.set(listener.toUpperCase(), protocol.toUpperCase())
  }
  return map
}

/** What `listeners`, `advertised.listeners` and their companions say together. Only for a configuration that was accepted. */
export interface Endpoints {
  listeners: readonly Endpoint[]
  /** Undefined when `advertised.listeners` is not set: a client is then told the local address of its own connection. */
  advertised: readonly Endpoint[] | undefined
  /** Name of the listener that brokers and controller use. */
  interBroker: string
}

export function endpointsOf(config: {
  readonly 'listeners': string
  readonly 'advertised.listeners': string | null
  readonly 'inter.broker.listener.name': string | null
  readonly 'security.inter.broker.protocol': string
}): Endpoints {
  const read = (value: string): Endpoint[] => {
    const endpoints = parseEndpoints(value)
    if ('reason' in endpoints) throw new Error(endpoints.reason)
    return endpoints
  }
  const advertised = config['advertised.listeners']
  return {
    listeners: read(config.listeners),
    advertised: advertised === null || advertised === '' ? undefined : read(advertised),
    interBroker: (config['inter.broker.listener.name'] ?? config['security.inter.broker.protocol']).toUpperCase(),
  }
}

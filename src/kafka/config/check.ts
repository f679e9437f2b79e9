/** Rules between the keys of a broker (kafka-zk-mode §7.3). */
import type { BrokerConfig, BrokerKey } from './broker-configs.ts'
import { parseEndpoints, parseProtocolMap } from './endpoints.ts'

/** A rule that is broken: the key to change, and why. `unsupported` as in a refusal. */
export interface Broken {
  key: BrokerKey
  reason: string
  unsupported?: true
}

export function checkBroker(config: BrokerConfig): Broken[] {
  return [...identity(config), ...listeners(config), ...log(config), ...limits(config)]
}

function* identity(config: BrokerConfig): Iterable<Broken> {
  const connect = config['zookeeper.connect']
  if (connect === null || connect === '') yield { key: 'zookeeper.connect', reason: 'it is required: HOST:PORT of ZooKeeper, comma separated, and perhaps /chroot at the end' }
  const id = config['broker.id']
  if (config['broker.id.generation.enable']) {
    if (id < -1 || id > config['reserved.broker.max.id']) {
      yield { key: 'broker.id', reason: `it must lie between −1 and reserved.broker.max.id (${config['reserved.broker.max.id']})` }
    }
  } else if (id < 0) yield { key: 'broker.id', reason: 'it must be 0 or more when broker.id.generation.enable is false' }
  if (config['group.coordinator.rebalance.protocols'].some((protocol) => protocol !== 'classic')) {
    yield { key: 'group.coordinator.rebalance.protocols', reason: 'only the classic protocol exists with ZooKeeper' }
  }
}

function* listeners(config: BrokerConfig): Iterable<Broken> {
  const endpoints = parseEndpoints(config.listeners)
  if ('reason' in endpoints) return yield { key: 'listeners', reason: endpoints.reason }
  const names = new Set<string>()
  const ports = new Map<number, string>()
  for (const { listener, host, port } of endpoints) {
    if (names.has(listener)) yield { key: 'listeners', reason: `listener ${listener} is there twice` }
    names.add(listener)
    const other = ports.get(port)
    if (port !== 0 && other !== undefined && host.includes(':') === other.includes(':')) yield { key: 'listeners', reason: `port ${port} is there twice` }
    ports.set(port, host)
  }
  const protocols = parseProtocolMap(config['listener.security.protocol.map'])
  if ('reason' in protocols) return yield { key: 'listener.security.protocol.map', reason: protocols.reason }
  for (const name of names) {
    const protocol = protocols.get(name)
    if (protocol === undefined) yield { key: 'listener.security.protocol.map', reason: `listener ${name} has no security protocol in it` }
    else if (protocol !== 'PLAINTEXT') yield { key: 'listeners', reason: `listener ${name} has security protocol ${protocol}; TLS and SASL do not work yet, and clear text instead would protect nothing`, unsupported: true }
  }
  const advertised = config['advertised.listeners']
  const told = new Set(names)
  if (advertised !== null && advertised !== '') {
    const addresses = parseEndpoints(advertised)
    if ('reason' in addresses) return yield { key: 'advertised.listeners', reason: addresses.reason }
    told.clear()
    for (const { listener, host } of addresses) {
      if (host === '0.0.0.0') yield { key: 'advertised.listeners', reason: 'no client can connect to 0.0.0.0: name an address that clients reach' }
      if (!names.has(listener)) yield { key: 'advertised.listeners', reason: `there is no listener ${listener} in listeners` }
      if (told.has(listener)) yield { key: 'advertised.listeners', reason: `listener ${listener} is there twice` }
      told.add(listener)
    }
  }
  const between = (config['inter.broker.listener.name'] ?? config['security.inter.broker.protocol']).toUpperCase()
  if (!told.has(between)) {
    const key = config['inter.broker.listener.name'] === null ? 'listeners' : 'inter.broker.listener.name'
    yield { key, reason: `the brokers' listener ${between} is not among ${config['advertised.listeners'] ? 'advertised.listeners' : 'listeners'}: name one with inter.broker.listener.name` }
  }
}

function* log(config: BrokerConfig): Iterable<Broken> {
  const dirs = config['log.dirs'] ?? config['log.dir']
  if (dirs.split(',').every((dir) => dir.trim() === '')) yield { key: 'log.dirs', reason: 'at least one folder is needed' }
  if (config['log.roll.ms'] !== null && config['log.roll.ms'] < 1) yield { key: 'log.roll.ms', reason: 'it must be 1 or more' }
  if (config['log.roll.jitter.ms'] !== null && config['log.roll.jitter.ms'] < 0) yield { key: 'log.roll.jitter.ms', reason: 'it must be 0 or more' }
  for (const key of ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'] as const) {
    const value = config[key]
    if (value !== null && value !== -1 && value < 1) yield { key, reason: 'it must be −1 (for ever) or 1 and more' }
  }
  if (config['log.cleaner.enable'] && config['log.cleaner.threads'] > 0 && config['log.cleaner.dedupe.buffer.size'] / config['log.cleaner.threads'] <= 1024 * 1024) {
    yield { key: 'log.cleaner.dedupe.buffer.size', reason: 'it must be more than 1 MiB for each of log.cleaner.threads' }
  }
  if (config['log.cleaner.min.compaction.lag.ms'] > config['log.cleaner.max.compaction.lag.ms']) {
    yield { key: 'log.cleaner.min.compaction.lag.ms', reason: 'it must not be more than log.cleaner.max.compaction.lag.ms' }
  }
}

function* limits(config: BrokerConfig): Iterable<Broken> {
  if (config['replica.fetch.wait.max.ms'] > config['replica.socket.timeout.ms']) yield { key: 'replica.fetch.wait.max.ms', reason: 'it must not be more than replica.socket.timeout.ms' }
  if (config['replica.fetch.wait.max.ms'] > config['replica.lag.time.max.ms']) yield { key: 'replica.fetch.wait.max.ms', reason: 'it must not be more than replica.lag.time.max.ms' }
  if (config['queued.max.request.bytes'] > 0 && config['queued.max.request.bytes'] < config['socket.request.max.bytes']) {
    yield { key: 'queued.max.request.bytes', reason: 'it must be −1, or socket.request.max.bytes and more' }
  }
  const idle = config['connections.max.idle.ms']
  if (idle >= 0 && config['connection.failed.authentication.delay.ms'] >= idle) {
    yield { key: 'connection.failed.authentication.delay.ms', reason: 'it must be less than connections.max.idle.ms' }
  }
  if (config['group.min.session.timeout.ms'] > config['group.max.session.timeout.ms']) {
    yield { key: 'group.min.session.timeout.ms', reason: 'it must not be more than group.max.session.timeout.ms' }
  }
  if (config['offsets.topic.compression.codec'] < 0 || config['offsets.topic.compression.codec'] > 4) {
    yield { key: 'offsets.topic.compression.codec', reason: 'it is the number of a codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd' }
  }
}

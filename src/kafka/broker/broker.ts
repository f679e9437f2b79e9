/** One broker: starts the rooms in Apache's order (reference §0.1), wires them, and stops them in the order of §0.2. */
import type { Host, Logger } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import { endpointsOf, type Endpoint } from '../config/endpoints.ts'
import { Controller } from '../controller/controller.ts'
import { interBrokerProtocol } from '../config/protocol-version.ts'
import { GroupCoordinator } from '../groups/group-coordinator.ts'
import { groupConfigOf } from '../groups/group-config.ts'
import { LogManager } from '../log/log-manager.ts'
import { BrokerRegistrar } from '../metadata/broker-registrar.ts'
import { ConfigChanges } from '../metadata/config-changes.ts'
import { ZnodeError } from '../metadata/znode-json.ts'
import { KafkaZooKeeper } from '../metadata/kafka-zookeeper.ts'
import { MetadataCache } from '../metadata/metadata-cache.ts'
import { ReplicaManager } from '../replication/replica-manager.ts'
import { ReplicationQuota } from '../replication/replication-quota.ts'
import { ControllerLink } from './controller-link.ts'
import { ControllerRequests } from './controller-requests.ts'
import { Dispatcher } from './dispatch.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { handlers } from './handlers/table.ts'
import { Listeners, type ListenerWish } from './listeners.ts'
import { LocalChannel } from './local-channel.ts'
import { logConfigOf } from './log-config-of.ts'
import { offsetsTopic, OffsetsStorage } from './offsets-storage.ts'
import { handOver } from './hand-over.ts'
import { ProducerIds } from './producer-ids.ts'
import { RemoteChannel } from './remote-channel.ts'
import type { BrokerServices } from './services.ts'
import { TopicAdmin } from './topic-admin.ts'
import { TopicOverrides } from './topic-overrides.ts'
import { TransactionRooms } from './transaction-rooms.ts'

/** Requests in progress may take this long when the broker stops. */
const stopGraceMs = 2_000
/** How long the start waits for the controller to have told of all topics; then it goes on without. */
const knowsTopicsMsMax = 30_000
/** Large requests held at once: two of the largest, but never less than this. */
const requestMemoryMin = 256 * 1024 * 1024

export interface BrokerOptions {
  /** Called when the broker cannot go on, because every log directory has failed: it wants to be stopped. */
  readonly onFailure?: (failure: Error) => void
}

export class Broker {
  readonly brokerId: number
  readonly clusterId: string
  /** Where it listens, with the ports really bound. */
  readonly listeners: readonly ListenerWish[]
  readonly #services: BrokerServices
  readonly #stopSteps: readonly (() => Promise<void> | void)[]
  readonly #log: Logger
  #stopped: Promise<void> | undefined

  private constructor(facts: { listeners: readonly ListenerWish[]; services: BrokerServices; stopSteps: readonly (() => Promise<void> | void)[] }) {
    this.brokerId = facts.services.brokerId
    this.clusterId = facts.services.clusterId
    this.listeners = facts.listeners
    this.#services = facts.services
    this.#stopSteps = facts.stopSteps
    this.#log = facts.services.host.logger.named('kafka.broker')
  }

  get services(): BrokerServices {
    return this.#services
  }

  /** Rejects with what stands in the way, after undoing what had been started. */
  static async start(host: Host, settings: BrokerSettings, options: BrokerOptions = {}): Promise<Broker> {
    const undo: (() => Promise<void> | void)[] = []
    try {
      return await startRooms(host, settings, options, undo, (facts) => new Broker(facts))
    } catch (error) {
      for (const step of undo.reverse()) await Promise.resolve(step()).catch(() => undefined)
      throw error
    }
  }

  /** A controlled, clean stop: afterwards the log directories are marked as cleanly closed and the session with ZooKeeper has ended. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }
  async #stop(): Promise<void> {
    this.#log.info('stopping', { broker: this.brokerId })
    let failure: unknown
    for (const step of this.#stopSteps) {
      try {
        await step()
      } catch (error) {
        // One room that fails to stop must not keep the logs from being closed.
        failure ??= error
        this.#log.error('a step of the stop failed', { error })
      }
    }
    if (failure) throw failure
    this.#log.info('stopped', { broker: this.brokerId })
  }
}

async function startRooms(
  host: Host,
  settings: BrokerSettings,
  options: BrokerOptions,
  undo: (() => Promise<void> | void)[],
  make: (facts: { listeners: readonly ListenerWish[]; services: BrokerServices; stopSteps: readonly (() => Promise<void> | void)[] }) => Broker,
): Promise<Broker> {
  const { values } = settings
  const log = host.logger.named('kafka.broker')
  const endpoints = endpointsOf(values)
  const connection = {
    connect: values['zookeeper.connect']!,
    sessionTimeoutMs: values['zookeeper.session.timeout.ms'],
    connectionTimeoutMs: values['zookeeper.connection.timeout.ms'] ?? undefined,
    inFlightMax: values['zookeeper.max.in.flight.requests'],
  }
  const zookeeper = await KafkaZooKeeper.connect(host, connection)
  undo.push(() => zookeeper.close())
  await zookeeper.makePersistentPaths()
  const clusterId = await zookeeper.clusterId()

  let registrar: BrokerRegistrar | undefined
  const overrides = new TopicOverrides(host, zookeeper, settings)
  await overrides.loadAll()
  const logs = await LogManager.open(host, {
    logDirs: logDirsOf(values),
    brokerId: values['broker.id'] >= 0 ? values['broker.id'] : undefined,
    generateBrokerId: () => zookeeper.generateBrokerId(values['reserved.broker.max.id']),
    clusterId,
    defaults: logConfigOf(settings.topic(), { isInternal: false }),
    configOf: (topic) => overrides.logConfig(topic),
    settings: values,
    settingsNow: () => settings.values,
  })
  undo.push(() => logs.close({ brokerEpoch: registrar?.epoch ?? -1n }))
  const { brokerId } = logs
  for (const level of ['clusterDefault', 'broker'] as const) {
    const stored = await zookeeper.readableConfig('brokers', level === 'broker' ? String(brokerId) : '<default>')
    if (stored instanceof ZnodeError) {
      log.error('a stored dynamic configuration cannot be read and is left out. Write it anew with kafka-configs.sh', { error: stored })
      continue
    }
    for (const { message } of settings.setDynamic(level, Object.entries(stored))) log.error('a stored dynamic configuration is left out', { because: message })
  }
  overrides.onChange((topic, config) => logs.updateConfig(topic, config))

  const listeners = new Listeners({
    host,
    frameSizeMax: values['socket.request.max.bytes'],
    idleMsMax: values['connections.max.idle.ms'],
    backlog: values['socket.listen.backlog.size'],
    memoryMax: Math.max(2 * values['socket.request.max.bytes'], requestMemoryMin),
  })
  const bound = await listeners.bind(endpoints.listeners)
  undo.push(() => listeners.stop(0))

  const metadata = new MetadataCache()
  const quotaOf = (rate: 'leader.replication.throttled.rate' | 'follower.replication.throttled.rate', list: 'leader.replication.throttled.replicas' | 'follower.replication.throttled.replicas') =>
    new ReplicationQuota({
      brokerId,
      rate: () => settings.values[rate],
      listOf: (topic) => overrides.config(topic)[list],
      windowCount: values['replication.quota.window.num'],
      windowMs: values['replication.quota.window.size.seconds'] * 1_000,
    })
  const replicas = new ReplicaManager({
    host,
    brokerId,
    logs,
    brokerEpoch: () => registrar?.epoch ?? -1n,
    minInsyncReplicas: (topic) => overrides.config(topic)['min.insync.replicas'],
    prepareTopic: (topic) => overrides.load(topic),
    settings: values,
    fetcherCount: () => settings.values['num.replica.fetchers'],
    endpointOf: (id) => metadata.brokers.get(id)?.endpoints.get(endpoints.interBroker),
    isAlive: (id) => metadata.brokers.has(id),
    moveQuota: new ReplicationQuota({
      brokerId,
      rate: () => settings.values['replica.alter.log.dirs.io.max.bytes.per.second'],
      listOf: () => [],
      windowCount: values['alter.log.dirs.replication.quota.window.num'],
      windowMs: values['alter.log.dirs.replication.quota.window.size.seconds'] * 1_000,
    }),
    followerQuota: quotaOf('follower.replication.throttled.rate', 'follower.replication.throttled.replicas'),
    alterPartition: (request, how) => controllerLink.alterPartition(request, how),
  })
  const controllerRequests = new ControllerRequests({ metadata, replicas })
  const groups = new GroupCoordinator(host, {
    config: groupConfigOf(values),
    storage: new OffsetsStorage(replicas),
    partitionCount: () => metadata.topic(offsetsTopic)?.partitions.length ?? values['offsets.topic.num.partitions'],
  })
  replicas.onLeadership((change) => {
    if (change.kind === 'elected' && change.topic === offsetsTopic) void groups.elected(change.partition.index, change.leaderEpoch)
    if (change.kind === 'resigned' && change.topic === offsetsTopic) groups.resigned(change.index, change.leaderEpoch)
  })
  metadata.onChange(({ removed }) => {
    if (removed.length === 0) return
    groups.topicPartitionsDeleted(removed)
    for (const { topic } of removed) if (!metadata.topic(topic)) overrides.forget(topic)
  })
  logs.onDirectoryFailure((directory, failure) => {
    log.error('a log directory has failed', { directory, error: failure })
    if (logs.hasFailed) options.onFailure?.(new Error(`no log directory is left: ${failure.message}`, { cause: failure }))
    zookeeper.notifyLogDirFailure(brokerId).catch((error: unknown) => log.error('the controller could not be told of the failed log directory', { error }))
  })

  registrar = new BrokerRegistrar(host, {
    zookeeper,
    connection,
    directory: logs.livePaths[0],
    registration: () => ({
      id: brokerId,
      endpoints: registered(endpoints.advertised ?? bound, host).map((endpoint) => ({ ...endpoint, securityProtocol: 'PLAINTEXT' as const })),
      rack: values['broker.rack'] ?? undefined,
      jmxPort: -1,
    }),
  })
  const protocol = interBrokerProtocol(values['inter.broker.protocol.version'])
  const amongBrokers = { brokerId, interBrokerListener: endpoints.interBroker, timeoutMs: values['controller.socket.timeout.ms'] }
  const otherBrokers = new RemoteChannel(host, { ...amongBrokers, zookeeper, protocol })
  const controller = new Controller(host, {
    brokerId,
    zookeeper,
    channels: new LocalChannel({ brokerId, requests: controllerRequests, others: otherBrokers }),
    settings,
    interBrokerListener: endpoints.interBroker,
    epochObeyed: () => replicas.controllerEpoch,
    toldBefore: (topic, topicId, index) => (metadata.topic(topic)?.topicId === topicId ? metadata.partition(topic, index) : undefined),
  })
  const controllerLink = new ControllerLink(host, { ...amongBrokers, controller, metadata })
  undo.push(() => {
    controllerLink.close()
    otherBrokers.close()
  })
  const transactions = new TransactionRooms(host, {
    brokerId,
    settings,
    metadata,
    replicas,
    groups,
    interBrokerListener: endpoints.interBroker,
    topicExists: async (topic) => (await zookeeper.topic(topic)) !== undefined,
    producerIds: new ProducerIds(() => (protocol.producerIdsFromController ? controllerLink.allocateProducerIds(registrar!.epoch) : zookeeper.takeProducerIds(brokerId))),
  })
  await registrar.start()
  undo.push(() => registrar.stop())
  await controller.start()
  undo.push(() => controller.stop())
  await knowsTopics(host, { zookeeper, controller, metadata })
  groups.start()
  undo.push(() => groups.stop())
  transactions.start()
  undo.push(() => transactions.stop())

  const changes = new ConfigChanges(host, zookeeper, ({ type, entity }, stored) => {
    if (type === 'topics') {
      overrides.set(entity, stored)
      // Whichever broker took the change: the one that is controller hears of it here.
      if (stored['unclean.leader.election.enable'] === 'true') controller.uncleanElectionEnabled(entity)
    }
    if (type === 'brokers' && (entity === '<default>' || entity === String(brokerId))) {
      const before = settings.values['unclean.leader.election.enable']
      for (const { message } of settings.setDynamic(entity === '<default>' ? 'clusterDefault' : 'broker', Object.entries(stored)))
        log.error('a stored dynamic configuration is left out', { because: message })
      if (!before && settings.values['unclean.leader.election.enable']) controller.uncleanElectionEnabled(undefined)
    }
  })
  await changes.start()
  undo.push(() => changes.stop())

  const services: BrokerServices = {
    host,
    brokerId,
    clusterId,
    settings,
    advertised: endpoints.advertised !== undefined,
    apis: handlers.map(({ api }) => api),
    zookeeper,
    metadata,
    configChanges: changes,
    logs,
    replicas,
    leaderQuota: quotaOf('leader.replication.throttled.rate', 'leader.replication.throttled.replicas'),
    groups,
    controller,
    controllerRequests,
    topics: new TopicAdmin(host, { zookeeper, metadata, settings, controller, brokerId }),
    fetchSessions: new FetchSessions({ slots: values['max.incremental.fetch.session.cache.slots'], freshId: () => 1 + host.random.below(0x7fff_fffe) }),
    transactions: transactions.coordinator,
    transactionMarkers: transactions.markers,
    transactionVerifier: transactions.verifier,
    get fetchMaxBytes() {
      return settings.values['fetch.max.bytes']
    },
    featureEpoch: () => controller.featureEpoch,
  }
  listeners.serve(new Dispatcher(services, handlers))
  const hasOthers = (): boolean => [...metadata.brokers.keys()].some((id) => id !== brokerId)
  log.info('started', { broker: brokerId, cluster: clusterId, epoch: registrar.epoch })
  return make({
    listeners: bound,
    services,
    stopSteps: [
      () => replicas.leave(),
      () => handOver(host, { link: controllerLink, settings, brokerId, brokerEpoch: () => registrar.epoch, hasOthers, whileOthers: (timeoutMs) => metadata.until(() => !hasOthers(), timeoutMs, host.timers) }),
      () => listeners.stop(stopGraceMs),
      () => changes.stop(),
      () => transactions.stop(),
      () => groups.stop(),
      () => replicas.stop(),
      () => logs.close({ brokerEpoch: registrar.epoch }),
      () => controllerLink.close(),
      () => controller.stop(),
      () => otherBrokers.close(),
      () => registrar.stop(),
      () => zookeeper.close(),
    ],
  })
}

/** A client that comes right after a restart must not be told that its topics do not exist. */
async function knowsTopics(host: Host, { zookeeper, controller, metadata }: Pick<BrokerServices, 'zookeeper' | 'controller' | 'metadata'>): Promise<void> {
  if (!controller.isActive) return
  const topics = await zookeeper.topicNames()
  await metadata.until(() => topics.every((topic) => metadata.topic(topic) || controller.isDeleting(topic)), knowsTopicsMsMax, host.timers)
}

/** `log.dirs` wins over `log.dir`. */
function logDirsOf(values: BrokerSettings['values']): string[] {
  return (values['log.dirs'] || values['log.dir']).split(',').map((directory) => directory.trim()).filter((directory) => directory !== '')
}
/** A listener on all interfaces is registered under this machine's name. */
function registered(endpoints: readonly Endpoint[], host: Host): Endpoint[] {
  return endpoints.map((endpoint) => (endpoint.host === '' || endpoint.host === '0.0.0.0' || endpoint.host === '::' ? { ...endpoint, host: host.network.hostName() } : endpoint))
}

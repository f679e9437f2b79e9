/** A client of a whole cluster: finds its brokers, follows metadata, sends each request to whom it concerns, asks again when that may help. */
import type { Host } from '../../host/host.ts'
import type { Fields } from '../../wire/schema.ts'
import type { Api, RequestTo, ResponseOf } from '../protocol/api.ts'
import { errorByCode, RefusedError } from '../protocol/errors.ts'
import { FindCoordinator } from '../protocol/find-coordinator.ts'
import { Metadata, type MetadataResponse } from '../protocol/metadata.ts'
import { parseAddresses, type ServerAddress } from './addresses.ts'
import { ConnectionError, KafkaConnection } from './connection.ts'

export interface ClientOptions {
  host: Host
  /** `host:port[,…]`, or addresses. */
  bootstrapServers: string | readonly ServerAddress[]
  clientId?: string | null
  /** One request, ms. */
  requestTimeoutMs?: number
  connectTimeoutMs?: number
  /** A whole call with all its attempts, ms. */
  callTimeoutMs?: number
  retryBackoffMs?: number
  /** Told of every failed attempt that is followed by another. */
  onRetry?: (error: Error) => void
}
export interface BrokerAddress extends ServerAddress {
  id: number
  rack: string | null
}
/** A topic as Metadata last told it. */
export type TopicMetadata = MetadataResponse['topics'][number]
/** Whose answer is wanted: any broker's, one broker's, the controller's, a partition leader's, a coordinator's. */
export type Target =
  | { kind: 'any' }
  | { kind: 'broker'; id: number }
  | { kind: 'controller' }
  | { kind: 'leader'; topic: string; partition: number }
  | { kind: 'coordinator'; of: 'group' | 'transaction'; key: string }

export interface CallOptions<S extends Fields> {
  /** Error codes in the answer that make the call fail or ask again; by default its `errorCode`, where it has one. */
  errorsIn?: (response: ResponseOf<Api<Fields, S>>) => Iterable<{ errorCode: number; errorMessage?: string | null }>
  /** Highest version to use. */
  versionMax?: number
  /** One attempt, ms. */
  timeoutMs?: number
  /** All attempts, ms. */
  callTimeoutMs?: number
}

/** A coordinator gets a connection of its own: brokers answer in order, and a JoinGroup may wait for minutes. */
type Purpose = 'coordinator'

export class KafkaClient {
  readonly #options: ClientOptions
  readonly #bootstrap: readonly ServerAddress[]
  #brokers: ReadonlyMap<number, BrokerAddress> = new Map()
  #controllerId = -1
  #clusterId: string | null = null
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #coordinators = new Map<string, number>()
  /** By `host:port` and purpose: a broker that moved gets a new connection. */
  readonly #connections = new Map<string, Promise<KafkaConnection>>()
  #next = 0
  #closed = false

  constructor(options: ClientOptions) {
    this.#options = options
    this.#bootstrap = typeof options.bootstrapServers === 'string' ? parseAddresses(options.bootstrapServers) : options.bootstrapServers
  }

  /** Brokers as Metadata last named them. */
  get brokers(): ReadonlyMap<number, BrokerAddress> {
    return this.#brokers
  }
  get controllerId(): number {
    return this.#controllerId
  }
  get clusterId(): string | null {
    return this.#clusterId
  }

  /**
   * Sends a request to its target and resolves with the answer, after as many attempts as the time allows when connections
   * fail or the answer holds a retriable error. Rejects with a RefusedError for an error code that retrying does not cure,
   * with a ConnectionError when nobody could be reached.
   */
  async call<Q extends Fields, S extends Fields>(
    target: Target,
    api: Api<Q, S>,
    request: RequestTo<Api<Q, S>> | ((version: number) => RequestTo<Api<Q, S>>),
    options: CallOptions<S> = {},
  ): Promise<ResponseOf<Api<Q, S>>> {
    return this.retrying(`${api.name} to ${targetText(target)}`, async () => {
      const connection = await this.connectionTo(target)
      const version = connection.versionOf(api as never, options.versionMax)
      const body = typeof request === 'function' ? request(version) : request
      let response: ResponseOf<Api<Q, S>>
      try {
        response = await connection.send(api, body, { version, timeoutMs: options.timeoutMs })
      } catch (error) {
        this.forget(target)
        throw error
      }
      for (const { errorCode, errorMessage } of (options.errorsIn ?? errorsAtTop)(response as never)) {
        if (errorCode === 0) continue
        const error = errorByCode(errorCode)
        if (error.retriable) this.forget(target)
        throw new RefusedError(error, errorMessage)
      }
      return response
    }, options.callTimeoutMs)
  }

  /** Tries until it works, the error is not retriable, or time is up; then throws the last error. */
  async retrying<T>(what: string, attempt: () => Promise<T>, callTimeoutMs = this.#options.callTimeoutMs ?? 60_000): Promise<T> {
    const { host, retryBackoffMs = 100 } = this.#options
    const deadline = host.clock.monotonic() + callTimeoutMs
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt()
      } catch (error) {
        const again = error instanceof ConnectionError || (error instanceof RefusedError && error.error.retriable)
        if (!again || this.#closed) throw error
        const backoffMs = Math.min(retryBackoffMs * 2 ** Math.min(attempts - 1, 4), 1000)
        if (host.clock.monotonic() + backoffMs >= deadline) {
          if (error instanceof RefusedError) throw error
          throw new ConnectionError(`${what} did not succeed within ${callTimeoutMs} ms (${attempts} attempts): ${error.message}`, { cause: error })
        }
        this.#options.onRetry?.(error)
        await host.timers.sleep(backoffMs)
      }
    }
  }

  /** An open connection to the target: for many requests in a row, or for waiting long. One attempt. */
  async connectionTo(target: Target): Promise<KafkaConnection> {
    switch (target.kind) {
      case 'any': return this.#anyConnection()
      case 'broker': return this.#brokerConnection(target.id)
      case 'controller': {
        if (this.#controllerId < 0) await this.metadata([])
        if (this.#controllerId < 0) throw new RefusedError(errorByCode(41), 'the cluster has no controller at the moment')
        return this.#brokerConnection(this.#controllerId)
      }
      case 'leader': return this.#brokerConnection(await this.leaderOf(target.topic, target.partition))
      case 'coordinator': return this.#brokerConnection(await this.#coordinatorOf(target), 'coordinator')
      default: return target satisfies never
    }
  }
  /** What is believed of the target is asked anew before the next request to it. */
  forget(target: Target): void {
    switch (target.kind) {
      case 'controller': this.#controllerId = -1; break
      case 'leader': this.#topics.delete(target.topic); break
      case 'coordinator': this.#coordinators.delete(`${target.of} ${target.key}`); break
    }
  }

  /** Asks for metadata: of these topics, or of all (null). Partition and topic errors are in the answer. One attempt. */
  async metadata(topics: readonly string[] | null, { allowAutoTopicCreation = false }: { allowAutoTopicCreation?: boolean } = {}): Promise<MetadataResponse> {
    const connection = await this.#anyConnection()
    const version = connection.versionOf(Metadata)
    // v0 has no way to ask for none: an empty list means all.
    const names = topics === null && version === 0 ? [] : topics
    const response = await connection.send(Metadata, { topics: names && names.map((name) => ({ name })), allowAutoTopicCreation }, { version })
    this.#brokers = new Map(response.brokers.map(({ nodeId, host, port, rack }) => [nodeId, { id: nodeId, host, port, rack }]))
    this.#controllerId = response.controllerId
    this.#clusterId = response.clusterId
    for (const topic of response.topics) if (topic.name !== null && topic.errorCode === 0) this.#topics.set(topic.name, topic)
    return response
  }
  /** The topic, from memory or asked for until it is there or the time is up. */
  async topic(name: string, options: { allowAutoTopicCreation?: boolean; refresh?: boolean; callTimeoutMs?: number } = {}): Promise<TopicMetadata> {
    if (options.refresh) this.#topics.delete(name)
    return this.#topics.get(name) ?? this.retrying(`metadata of topic ${name}`, () => this.#askForTopic(name, options), options.callTimeoutMs)
  }
  async #askForTopic(name: string, options: { allowAutoTopicCreation?: boolean }): Promise<TopicMetadata> {
    const answer = await this.metadata([name], options)
    const topic = answer.topics.find((one) => one.name === name)
    if (!topic || topic.errorCode !== 0) {
      const error = errorByCode(topic?.errorCode ?? 3)
      throw new RefusedError(error, `topic ${name}: ${error.message} (${error.name})`)
    }
    return topic
  }
  /** Id of the broker that leads the partition. One attempt: a missing leader is a retriable refusal. */
  async leaderOf(name: string, partition: number): Promise<number> {
    const topic = this.#topics.get(name) ?? (await this.#askForTopic(name, {}))
    const found = topic.partitions.find(({ partitionIndex }) => partitionIndex === partition)
    if (!found) throw new RefusedError(3, `topic ${name} has no partition ${partition}; it has ${topic.partitions.length}`)
    if (found.leaderId < 0) {
      this.#topics.delete(name)
      throw new RefusedError(5, `partition ${name}-${partition} has no leader at the moment`)
    }
    return found.leaderId
  }

  /** Who coordinates a group or transactional id. One attempt. */
  async coordinator(of: 'group' | 'transaction', key: string): Promise<BrokerAddress> {
    const id = await this.#coordinatorOf({ kind: 'coordinator', of, key })
    return this.#brokers.get(id)!
  }
  async #coordinatorOf({ of, key }: Target & { kind: 'coordinator' }): Promise<number> {
    const name = `${of} ${key}`
    const known = this.#coordinators.get(name)
    if (known !== undefined && this.#brokers.has(known)) return known
    const connection = await this.#anyConnection()
    const version = connection.versionOf(FindCoordinator)
    const keyType = of === 'group' ? 0 : 1
    const answer = await connection.send(FindCoordinator, version >= 4 ? { keyType, coordinatorKeys: [key] } : { keyType, key }, { version })
    const found = version >= 4 ? answer.coordinators[0] : answer
    if (!found) throw new ConnectionError(`${connection.address} answered FindCoordinator for '${key}' with nothing`)
    if (found.errorCode !== 0) throw new RefusedError(found.errorCode, found.errorMessage)
    this.#brokers = new Map([...this.#brokers, [found.nodeId, { id: found.nodeId, host: found.host, port: found.port, rack: null }]])
    this.#coordinators.set(name, found.nodeId)
    return found.nodeId
  }

  async #brokerConnection(id: number, purpose?: Purpose): Promise<KafkaConnection> {
    if (!this.#brokers.has(id)) await this.metadata([])
    const address = this.#brokers.get(id)
    if (!address) throw new ConnectionError(`the cluster has no broker ${id} at the moment; it has ${[...this.#brokers.keys()].join(', ') || 'none'}`)
    try {
      return await this.#connect(address, purpose)
    } catch (error) {
      // It may have moved, or another one leads by now.
      this.#brokers = new Map([...this.#brokers].filter(([other]) => other !== id))
      this.#topics.clear()
      this.#coordinators.clear()
      throw error
    }
  }
  /** One that is open already, else the brokers known, else the bootstrap list, each tried once. */
  async #anyConnection(): Promise<KafkaConnection> {
    const known: ServerAddress[] = [...this.#brokers.values()]
    const candidates = [...known.filter((address) => this.#connections.has(keyOf(address))), ...rotated(known, this.#next), ...rotated(this.#bootstrap, this.#next)]
    this.#next++
    let last: unknown
    const tried = new Set<string>()
    for (const address of candidates) {
      if (tried.has(keyOf(address))) continue
      tried.add(keyOf(address))
      try {
        return await this.#connect(address)
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error
        last = error
      }
    }
    throw tried.size > 1 ? new ConnectionError(`none of ${[...tried].join(', ')} could be reached; the last one: ${(last as Error).message}`, { cause: last }) : last
  }
  #connect(address: ServerAddress, purpose?: Purpose): Promise<KafkaConnection> {
    if (this.#closed) return Promise.reject(new ConnectionError('the client is closed'))
    const key = keyOf(address, purpose)
    const known = this.#connections.get(key)
    if (known) return known
    const { host, clientId, requestTimeoutMs, connectTimeoutMs } = this.#options
    const opening = KafkaConnection.open({ host, to: { host: address.host, port: address.port }, clientId, requestTimeoutMs, connectTimeoutMs })
    this.#connections.set(key, opening)
    const gone = (): void => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
    }
    opening.then((connection) => {
      connection.onClose(gone)
      if (this.#closed) connection.close()
    }, gone)
    return opening
  }

  /** Closes all connections; what has no answer is rejected. Closing twice is harmless. */
  async close(): Promise<void> {
    this.#closed = true
    const all = [...this.#connections.values()]
    this.#connections.clear()
    for (const opening of all) {
      try {
        ;(await opening).close()
      } catch {
        // It never opened.
      }
    }
  }
}

function keyOf({ host, port }: ServerAddress, purpose?: Purpose): string {
  return `${host}:${port}${purpose ? ` ${purpose}` : ''}`
}
function rotated<T>(list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
function errorsAtTop(response: Record<string, unknown>): { errorCode: number; errorMessage?: string | null }[] {
  return typeof response['errorCode'] === 'number' ? [{ errorCode: response['errorCode'], errorMessage: response['errorMessage'] as string | null | undefined }] : []
}
function targetText(target: Target): string {
  switch (target.kind) {
    case 'any': return 'any broker'
    case 'broker': return `broker ${target.id}`
    case 'controller': return 'the controller'
    case 'leader': return `the leader of ${target.topic}-${target.partition}`
    case 'coordinator': return `the coordinator of ${target.of} ${target.key}`
    default: return target satisfies never
  }
}

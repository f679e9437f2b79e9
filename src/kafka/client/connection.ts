/** One TCP connection to a broker that can send any API: pipelined, answers in order, versions negotiated, everything bounded. */
import type { Connection, Host, Timer } from '../../host/host.ts'
import { hostPort } from '../../wire/host-port.ts'
import { MalformedError } from '../../wire/reader.ts'
import type { Fields } from '../../wire/schema.ts'
import type { Api, RequestTo, ResponseOf } from '../protocol/api.ts'
import { ApiVersions } from '../protocol/api-versions.ts'
import { errors, errorByCode } from '../protocol/errors.ts'
import { decodeResponse, encodeRequest } from '../protocol/headers.ts'
import { FrameReceiver } from './frame-receiver.ts'

/** The connection could not be made, ended, or the peer does not speak Kafka. Asking another broker, or later, may help. */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError'
}
/** No answer within the request's time; the connection is closed with it, as nobody knows what became of the request. */
export class RequestTimeoutError extends ConnectionError {
  override readonly name = 'RequestTimeoutError'
}
/** The broker has no version of the API that this client knows. */
export class UnsupportedVersionError extends Error {
  override readonly name = 'UnsupportedVersionError'
}

export interface ConnectionOptions {
  host: Host
  to: { host: string; port: number }
  clientId?: string | null
  /** Time from sending to the answer, ms. */
  requestTimeoutMs?: number
  connectTimeoutMs?: number
  /** Answers larger than this end the connection. */
  responseSizeMax?: number
  /** Requests without an answer yet; more are refused. */
  inFlightMax?: number
  /**
   * `negotiate` asks with ApiVersions first. `fixed` asks nothing, as brokers and controllers do among each other: the caller
   * names the version of every request.
   */
  versions?: 'negotiate' | 'fixed'
  /** Large answers are received into one buffer again and again: the bytes of one are valid until the next large one comes. */
  reusesRoom?: boolean
}

interface Waiting {
  api: Api
  version: number
  correlationId: number
  timer: Timer | undefined
  resolve: (response: never) => void
  reject: (error: Error) => void
}
export type VersionRange = readonly [first: number, last: number]

/** What brokers count their clients by (KIP-511). */
export const software = { name: 'ottla', version: '0.1.0' } as const
const responseSizeMaxDefault = 256 * 1024 * 1024

export class KafkaConnection {
  readonly #options: ConnectionOptions
  readonly #socket: Connection
  readonly #waiting: Waiting[] = []
  readonly #closeHandlers: ((error: Error | undefined) => void)[] = []
  #ranges: ReadonlyMap<number, VersionRange> = new Map()
  readonly #frames: FrameReceiver
  #correlationId = 0
  #ended: ConnectionError | undefined
  #closing = false

  private constructor(socket: Connection, options: ConnectionOptions, frames: FrameReceiver) {
    this.#socket = socket
    this.#options = options
    this.#frames = frames
    socket.onData((chunk) => this.#received(chunk))
    socket.onClose((error) =>
      this.#end(new ConnectionError(`${this.address} ${error ? `broke the connection: ${error.message}` : 'closed the connection'}${this.#pendingText()}`, { cause: error })),
    )
  }

  /** Connects, and negotiates versions unless they are fixed. Rejects with a ConnectionError that names the address. */
  static async open(options: ConnectionOptions): Promise<KafkaConnection> {
    const { host, to, connectTimeoutMs = 10_000 } = options
    let socket: Connection
    const frames = new FrameReceiver({ sizeMax: options.responseSizeMax ?? responseSizeMaxDefault, reusesRoom: options.reusesRoom === true })
    try {
      socket = await host.network.connect({ ...to, timeoutMs: connectTimeoutMs, room: () => frames.room() })
    } catch (cause) {
      throw new ConnectionError(`no connection to ${hostPort(to.host, to.port)}: ${(cause as Error).message || (cause as { code?: string }).code}`, { cause })
    }
    const connection = new KafkaConnection(socket, options, frames)
    if (options.versions !== 'fixed') {
      try {
        await connection.#negotiate()
      } catch (error) {
        connection.close()
        throw error
      }
    }
    return connection
  }

  get address(): string {
    return hostPort(this.#options.to.host, this.#options.to.port)
  }
  /** Our side's address, as the broker sees it without translation. */
  get localAddress(): string {
    return this.#socket.localAddress
  }
  get closed(): boolean {
    return this.#ended !== undefined
  }
  get inFlight(): number {
    return this.#waiting.length
  }
  /** What the broker serves, by API key. Empty when versions are fixed. */
  get ranges(): ReadonlyMap<number, VersionRange> {
    return this.#ranges
  }

  /** The version to use with this broker: the highest that both know, at most `max`. */
  versionOf(api: Api, max = api.versions[1]): number {
    const range = this.#ranges.get(api.key)
    if (!range) throw new UnsupportedVersionError(`the broker at ${this.address} does not serve ${api.name}`)
    const version = Math.min(range[1], max, api.versions[1])
    if (version < range[0] || version < api.versions[0])
      throw new UnsupportedVersionError(`the broker at ${this.address} serves ${api.name} in versions ${range[0]} to ${range[1]}; wanted was one of ${api.versions[0]} to ${Math.min(max, api.versions[1])}`)
    return version
  }
  supports(api: Api, version = api.versions[0]): boolean {
    const range = this.#ranges.get(api.key)
    return range !== undefined && range[1] >= version
  }

  /** Sends a request and resolves with its answer. Error codes inside the answer are the caller's business. */
  send<Q extends Fields, S extends Fields>(
    api: Api<Q, S>,
    request: RequestTo<Api<Q, S>>,
    { version, timeoutMs = this.#options.requestTimeoutMs ?? 30_000 }: { version?: number; timeoutMs?: number } = {},
  ): Promise<ResponseOf<Api<Q, S>>> {
    return new Promise((resolve, reject) => {
      const chosen = version ?? this.versionOf(api as never)
      const correlationId = this.#write(api, chosen, request)
      const waiting: Waiting = { api: api as never, version: chosen, correlationId, timer: undefined, resolve: resolve as never, reject }
      waiting.timer = this.#options.host.timers.set(timeoutMs, () => {
        this.#end(new RequestTimeoutError(`${this.address} did not answer ${api.name} (version ${chosen}) within ${timeoutMs} ms`))
        this.#socket.destroy()
      })
      this.#waiting.push(waiting)
    })
  }
  /** Sends a request that is never answered: Produce with acks=0. */
  sendOnly<Q extends Fields, S extends Fields>(api: Api<Q, S>, request: RequestTo<Api<Q, S>>, version = this.versionOf(api as never)): void {
    this.#write(api, version, request)
  }

  /** Called once when the connection has ended, with the reason unless `close` was it. */
  onClose(handler: (error: Error | undefined) => void): void {
    if (this.#ended) handler(this.#closing ? undefined : this.#ended)
    else this.#closeHandlers.push(handler)
  }
  /** Closes at once; requests without an answer are rejected. */
  close(): void {
    this.#closing = true
    this.#end(new ConnectionError(`the connection to ${this.address} was closed`))
    // Half-close first: what was written (a last LeaveGroup, an acks=0 batch) still leaves.
    this.#socket.end()
  }

  #write<Q extends Fields>(api: Api<Q, Fields>, version: number, request: RequestTo<Api<Q, Fields>>): number {
    if (this.#ended) throw this.#ended
    const { inFlightMax = 1000, clientId = null } = this.#options
    if (this.#waiting.length >= inFlightMax) throw new ConnectionError(`${inFlightMax} requests to ${this.address} have no answer yet; no more are sent`)
    const correlationId = (this.#correlationId = (this.#correlationId + 1) & 0x7fff_ffff)
    this.#socket.write(encodeRequest(api, { apiVersion: version, correlationId, clientId }, request as never))
    return correlationId
  }

  /** v3 first; a broker that does not know it answers in v0 with its own range (KIP-511). */
  async #negotiate(): Promise<void> {
    const request = { clientSoftwareName: software.name, clientSoftwareVersion: software.version }
    let answer: ResponseOf<typeof ApiVersions>
    try {
      answer = await this.send(ApiVersions, request, { version: 3, timeoutMs: this.#options.connectTimeoutMs ?? 10_000 })
      if (answer.errorCode === errors.unsupportedVersion.code) {
        const last = answer.apiKeys.find((range) => range.apiKey === ApiVersions.key)?.maxVersion ?? 0
        answer = await this.send(ApiVersions, request, { version: Math.max(0, Math.min(last, 3)) })
      }
    } catch (cause) {
      throw new ConnectionError(`${this.address} did not answer the first request of a Kafka client (ApiVersions): ${(cause as Error).message}. Is it a Kafka broker's plain-text listener?`, { cause })
    }
    if (answer.errorCode !== 0) throw new ConnectionError(`${this.address} refused ApiVersions: ${errorByCode(answer.errorCode).message}`)
    this.#ranges = new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]))
  }

  #received(chunk: Buffer): void {
    if (this.#ended) return
    try {
      this.#frames.received(chunk, (frame) => {
        if (!this.#ended) this.#answer(frame)
      })
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#end(new ConnectionError(`${this.address} sent what is not an answer of a Kafka broker: ${error.message}${this.#pendingText()}`, { cause: error }))
      this.#socket.destroy()
    }
  }
  #answer(frame: Buffer): void {
    const waiting = this.#waiting[0]
    const correlationId = frame.readInt32BE(0)
    if (!waiting) throw new MalformedError(`an answer (correlation id ${correlationId}) that nobody asked for`, 0)
    if (correlationId !== waiting.correlationId) throw new MalformedError(`an answer with correlation id ${correlationId} where ${waiting.correlationId} was due`, 0)
    // An unknown version of ApiVersions is answered in v0: error 35 stands where every version has its error code.
    const old = waiting.api.key === ApiVersions.key && frame.length >= 6 && frame.readInt16BE(4) === errors.unsupportedVersion.code
    const { response } = decodeResponse(waiting.api, old ? 0 : waiting.version, frame)
    this.#waiting.shift()
    waiting.timer?.cancel()
    waiting.resolve(response as never)
  }

  #pendingText(): string {
    const first = this.#waiting[0]
    if (!first) return ''
    return `; waiting for ${first.api.name} (version ${first.version})${this.#waiting.length > 1 ? ` and ${this.#waiting.length - 1} more` : ''}`
  }
  #end(error: ConnectionError): void {
    if (this.#ended) return
    this.#ended = error
    for (const waiting of this.#waiting.splice(0)) {
      waiting.timer?.cancel()
      waiting.reject(error)
    }
    for (const handler of this.#closeHandlers.splice(0)) handler(this.#closing ? undefined : error)
  }
}

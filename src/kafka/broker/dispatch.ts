/** From a frame to its handler and back to bytes. What is not in the table is not answered. */
import { MalformedError, Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import type { Decoded, Encodable, Fields } from '../../wire/schema.ts'
import { errors } from '../protocol/errors.ts'
import { readRequestRest, requestHeaderVersion } from '../protocol/headers.ts'
import type { ConnectionFacts } from './connection.ts'
import { closeConnection, noAnswer, type Answer, type Handler, type RequestContext } from './handler.ts'
import type { BrokerServices } from './services.ts'

export type Outcome = Uint8Array[] | typeof noAnswer | typeof closeConnection
export interface Begun {
  readonly answer: Outcome | Promise<Outcome>
  readonly inPlace: boolean
  /** To be called when the answer is there: `release` runs as soon as nobody looks at the request's bytes any more. */
  answered(release: () => void): void
  /** To run when the answer has left the socket. */
  readonly sent: readonly (() => void)[]
}
const apiVersionsKey = 18

const nothingToDo: (() => void)[] = []
/** What its handler is told, and what its connection asks. One object for each request, without closures: most requests are small. */
class BegunRequest implements RequestContext, Begun {
  readonly handler: Handler
  readonly broker: BrokerServices
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  answer: Outcome | Promise<Outcome> = noAnswer
  readonly #connection: ConnectionFacts
  /** Who keeps the frame; the handler itself until it has answered. */
  #keepers = 1
  #release: (() => void) | undefined
  #sent: (() => void)[] = nothingToDo

  constructor(handler: Handler, connection: ConnectionFacts, { broker, version, correlationId, clientId }: Pick<RequestContext, 'broker' | 'version' | 'correlationId' | 'clientId'>) {
    this.handler = handler
    this.broker = broker
    this.version = version
    this.correlationId = correlationId
    this.clientId = clientId
    this.#connection = connection
    if (handler.releasesFrame !== true) this.#keepers++
  }
  get inPlace(): boolean {
    return this.handler.inPlace === true
  }
  get sent(): readonly (() => void)[] {
    return this.#sent
  }
  answered(release: () => void): void {
    this.#release = release
    this.#letGo()
  }
  keepFrame(): () => void {
    this.#keepers++
    let kept = true
    return () => {
      if (kept) this.#letGo()
      kept = false
    }
  }
  #letGo(): void {
    if (--this.#keepers === 0) this.#release?.()
  }
  onSent(then: () => void): void {
    if (this.#sent === nothingToDo) this.#sent = []
    this.#sent.push(then)
  }
  get listener(): string {
    return this.#connection.listener
  }
  get remoteAddress(): string {
    return this.#connection.remoteAddress
  }
  get localAddress(): string {
    return this.#connection.localAddress
  }
  get localPort(): number {
    return this.#connection.localPort
  }
  get connectionId(): string {
    return this.#connection.connectionId
  }
  onClosed(then: () => void): () => void {
    return this.#connection.onClosed(then)
  }
}

export class Dispatcher {
  readonly #broker: BrokerServices
  readonly #handlers: (Handler | undefined)[] = []

  constructor(broker: BrokerServices, handlers: readonly Handler[]) {
    this.#broker = broker
    for (const handler of handlers) this.#handlers[handler.api.key] = handler
  }

  /**
   * Begins a request. Its effect has taken place when this returns if `inPlace`; otherwise when the answer resolves.
   * Throws MalformedError for what Apache closes a connection for: an unknown API or version, a request that does not parse.
   */
  begin(frame: Buffer, connection: ConnectionFacts): Begun {
    const reader = new Reader(frame)
    const key = reader.int16()
    const version = reader.int16()
    const handler = this.#handlers[key]
    if (!handler) throw new MalformedError(`API ${key} version ${version} is not served by this broker`, 0)
    const { api } = handler
    const supported = version >= api.versions[0] && version <= api.versions[1]
    if (!supported && key !== apiVersionsKey)
      throw new MalformedError(`${api.name} version ${version} is not served by this broker, which has ${api.versions[0]} to ${api.versions[1]}`, 2)
    const correlationId = reader.int32()
    const headerVersion = requestHeaderVersion(api, version)
    // Tags are read further down: an unknown version of ApiVersions is answered whatever follows.
    const clientId = readRequestRest(reader, headerVersion === 2 ? 1 : headerVersion)
    const begun = new BegunRequest(handler, connection, { broker: this.#broker, version: supported ? version : 0, correlationId, clientId })
    if (supported) {
      if (version >= api.flexible) reader.skipTags()
      begun.answer = this.#answer(begun, api.request.codec(version).read(reader))
    } else {
      // KIP-511: a client that is newer than the broker learns the versions from an answer in version 0.
      begun.keepFrame()
      begun.answer = this.#encode(handler, begun, handler.refuse(errors.unsupportedVersion.code, {} as never, begun))
    }
    return begun
  }

  #answer(begun: BegunRequest, request: Decoded<Fields>): Outcome | Promise<Outcome> {
    const { handler } = begun
    let answer: Answer<Fields> | Promise<Answer<Fields>>
    try {
      answer = handler.answer(request, begun)
    } catch (error) {
      return this.#threw(begun, request, error)
    }
    if (!(answer instanceof Promise)) return this.#outcome(handler, request, begun, answer)
    return answer.then(
      (done) => this.#outcome(handler, request, begun, done),
      (error: unknown) => this.#threw(begun, request, error),
    )
  }
  #threw(begun: BegunRequest, request: Decoded<Fields>, error: unknown): Outcome {
    // Nobody knows who still looks at the request.
    begun.keepFrame()
    return this.#failed(begun.handler, request, begun, error)
  }
  #outcome(handler: Handler, request: Decoded<Fields>, context: RequestContext, answer: Answer<Fields>): Outcome {
    if (answer === noAnswer || answer === closeConnection) return answer
    try {
      return this.#encode(handler, context, answer)
    } catch (error) {
      return this.#failed(handler, request, context, error)
    }
  }
  #failed(handler: Handler, request: Decoded<Fields>, context: RequestContext, error: unknown): Outcome {
    this.#broker.host.logger.named('kafka.broker').error('request failed', {
      api: handler.api.name,
      version: context.version,
      client: context.clientId ?? undefined,
      from: context.remoteAddress,
      error: error instanceof Error ? (error.stack ?? error.message) : error,
    })
    try {
      return this.#encode(handler, context, handler.refuse(errors.unknownServerError.code, request, context))
    } catch {
      return closeConnection
    }
  }
  #encode(handler: Handler, context: RequestContext, response: Encodable<Fields>): Uint8Array[] {
    const writer = new Writer()
    writer.int32(0)
    writer.int32(context.correlationId)
    if (context.version >= handler.api.flexible && handler.api.key !== apiVersionsKey) writer.uvarint(0)
    handler.api.response.codec(context.version).write(writer, response)
    return writer.finishFrame()
  }
}

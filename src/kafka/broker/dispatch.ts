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
  /** Asked when the answer is there. After a failure nobody knows who still looks at the request. */
  readonly releasesFrame: () => boolean
}
const apiVersionsKey = 18

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
    const progress = { failed: false, kept: false }
    const keepFrame = (): void => void (progress.kept = true)
    const context: RequestContext = { ...connection, broker: this.#broker, version: supported ? version : 0, correlationId, clientId, keepFrame }
    // KIP-511: a client that is newer than the broker learns the versions from an answer in version 0.
    if (!supported) return { answer: this.#encode(handler, context, handler.refuse(errors.unsupportedVersion.code, {} as never, context)), inPlace: true, releasesFrame: () => false }
    if (version >= api.flexible) reader.skipTags()
    const request = api.request.codec(version).read(reader)
    return { answer: this.#answer(handler, request, context, progress), inPlace: handler.inPlace === true, releasesFrame: () => handler.releasesFrame === true && !progress.failed && !progress.kept }
  }

  #answer(handler: Handler, request: Decoded<Fields>, context: RequestContext, progress: { failed: boolean }): Outcome | Promise<Outcome> {
    let answer: Answer<Fields> | Promise<Answer<Fields>>
    try {
      answer = handler.answer(request, context)
    } catch (error) {
      progress.failed = true
      return this.#failed(handler, request, context, error)
    }
    if (!(answer instanceof Promise)) return this.#outcome(handler, request, context, answer)
    return answer.then(
      (done) => this.#outcome(handler, request, context, done),
      (error: unknown) => {
        progress.failed = true
        return this.#failed(handler, request, context, error)
      },
    )
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

/** What a handler is, and what it is told about the request. */
import type { Decoded, Encodable, Fields } from '../../wire/schema.ts'
import type { Api } from '../protocol/api.ts'
import type { BrokerServices } from './services.ts'

export interface RequestContext {
  readonly broker: BrokerServices
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Name of the listener the request came in on, as configured (`PLAINTEXT`). */
  readonly listener: string
  readonly remoteAddress: string
  /** The address and port of this side of the connection. */
  readonly localAddress: string
  readonly localPort: number
  /** Unique among the connections of this broker. */
  readonly connectionId: string
  /** Runs when the connection is gone, also at once when it is already; for waiting requests. Returns what takes that back. */
  onClosed(then: () => void): () => void
  /** The request's bytes go on being used, also when it is answered, until what this returns has run; if that never runs, they are left to the garbage collector. */
  keepFrame(): () => void
  /** Runs when the answer has left the socket: until then, what it shows must not change. Not at all when it was never given to the socket. */
  onSent(then: () => void): void
}

/** The request gets no answer at all (Produce with acks=0). */
export const noAnswer = Symbol('no answer')
/** The connection is closed in place of an answer (Produce with acks=0 that failed). */
export const closeConnection = Symbol('close the connection')
export type Answer<S extends Fields> = Encodable<S> | typeof noAnswer | typeof closeConnection

export interface Handler<Q extends Fields = Fields, S extends Fields = Fields> {
  readonly api: Api<Q, S>
  /** The effect is decided before `answer` returns; a promise does not hold back the connection's next request. */
  readonly inPlace?: boolean
  /** When it has answered nobody looks at the request's bytes any more: their memory may take the next request. */
  readonly releasesFrame?: boolean
  /** The whole answer for an error code, when `answer` threw. */
  refuse(errorCode: number, request: Decoded<Q>, context: RequestContext): Encodable<S>
  answer(request: Decoded<Q>, context: RequestContext): Answer<S> | Promise<Answer<S>>
}

/** Declares a handler; the compiler checks request and response against the API's schema. */
export function handler<Q extends Fields, S extends Fields>(declared: Handler<Q, S>): Handler<Q, S> {
  return declared
}

/** One client's connection: frames in, answers out, both in order; many requests may be in progress. */
import { MalformedError } from '../../wire/reader.ts'
import type { Connection, Host } from '../../host/host.ts'
import { Waiters } from '../replication/waiters.ts'
import { closeConnection, noAnswer, type RequestContext } from './handler.ts'
import type { Begun, Dispatcher } from './dispatch.ts'
import { FrameCutter, FrameRefusedError, type FrameMemory } from './frames.ts'

/** Requests of one connection that may be in progress or waiting; more stay in the socket. */
const requestsMax = 256

/** A request's place in the order of answers. */
interface Slot {
  frame: Buffer | undefined
  readonly frameSize: number
  answer: Uint8Array[] | undefined
  /** To run when the answer has left the socket. */
  sent: readonly (() => void)[]
}

export interface ConnectionOptions {
  host: Host
  dispatcher: Dispatcher
  listener: string
  frameSizeMax: number
  memory: FrameMemory
  id: string
  closed: (connection: ClientConnection) => void
}

export class ClientConnection {
  readonly #socket: Connection
  readonly #options: ConnectionOptions
  readonly #cutter: FrameCutter
  readonly #slots: Slot[] = []
  readonly #closeHandlers = new Waiters<() => void>()
  readonly #facts: ConnectionFacts
  #outgoing: Uint8Array[] = []
  /** To run when that has left. */
  #sent: (() => void)[] = []
  #flushing = false
  /** A handler without `inPlace` is at work: the next request waits. */
  #held = false
  #draining = false
  #paused = false
  #closed = false
  /** Answers what is in progress, then closes. */
  #ending = false
  /** Monotonic ms of the last byte received or sent. */
  activeAt: number

  constructor(socket: Connection, options: ConnectionOptions) {
    this.#socket = socket
    this.#options = options
    this.activeAt = options.host.clock.monotonic()
    this.#cutter = new FrameCutter({ sizeMax: options.frameSizeMax, memory: options.memory, resume: () => this.#work() })
    this.#facts = {
      listener: options.listener,
      connectionId: options.id,
      remoteAddress: socket.remoteAddress,
      localAddress: socket.localAddress,
      localPort: socket.localPort,
      onClosed: (then) => {
        if (this.#closed) then()
        else this.#closeHandlers.add(then)
        return () => void this.#closeHandlers.delete(then)
      },
    }
    const received = (chunk: Buffer): void => {
      if (this.#ending) return
      this.activeAt = options.host.clock.monotonic()
      this.#cutter.push(chunk)
      this.#work()
      this.#cutter.keep()
    }
    socket.onData(received, () => this.#cutter.room())
    socket.onDrain(() => {
      this.#draining = false
      this.#work()
    })
    socket.onClose(() => this.#gone())
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress
  }
  /** Nothing in progress, nothing half received. */
  get idle(): boolean {
    return this.#slots.length === 0
  }
  /** Holds memory for a frame whose rest does not come. */
  get stalled(): boolean {
    return this.#cutter.partial && !this.#cutter.starved
  }

  /**
   * Takes no request any more; what is in progress is answered before the connection closes. What comes is read and thrown away: a socket
   * that is not read from never learns that the client has closed its side, and the stop would wait for all of its time.
   */
  end(): void {
    this.#ending = true
    this.#socket.resume()
    if (this.#slots.length === 0) this.#socket.end()
  }
  destroy(): void {
    this.#socket.destroy()
  }

  #work(): void {
    try {
      while (!this.#closed && !this.#ending && !this.#held && !this.#draining && this.#slots.length < requestsMax) {
        const frame = this.#cutter.next()
        if (!frame) break
        this.#begin(frame)
      }
    } catch (error) {
      if (!(error instanceof FrameRefusedError) && !(error instanceof MalformedError)) throw error
      this.#refuse(error)
      return
    }
    const full = this.#held || this.#draining || this.#cutter.starved || this.#slots.length >= requestsMax
    if (full === this.#paused || this.#closed || this.#ending) return
    this.#paused = full
    if (full) this.#socket.pause()
    else this.#socket.resume()
  }

  #refuse(error: Error): void {
    const { host, listener } = this.#options
    host.logger.named('kafka.broker').warn('connection closed', { from: `${this.#socket.remoteAddress}:${this.#socket.remotePort}`, listener, because: error.message })
    this.#socket.destroy()
    this.#gone()
  }

  #begin(frame: Buffer): void {
    const slot: Slot = { frame, frameSize: frame.length, answer: undefined, sent: [] }
    this.#slots.push(slot)
    const begun = this.#options.dispatcher.begin(frame, this.#facts)
    if (begun.answer instanceof Promise) {
      if (!begun.inPlace) this.#held = true
      begun.answer.then((answer) => {
        if (!begun.inPlace) this.#held = false
        this.#release(slot, begun)
        this.#settle(slot, answer)
        this.#work()
      })
    } else {
      this.#release(slot, begun)
      this.#settle(slot, begun.answer)
    }
  }

  #release(slot: Slot, begun: Begun): void {
    const { frame } = slot
    if (frame) begun.answered(() => this.#options.memory.reuse(frame))
    slot.frame = undefined
    slot.sent = begun.sent
  }

  #settle(slot: Slot, answer: Uint8Array[] | typeof noAnswer | typeof closeConnection): void {
    if (this.#closed) return
    if (answer === closeConnection) {
      this.#socket.destroy()
      this.#gone()
      return
    }
    slot.answer = answer === noAnswer ? [] : answer
    while (this.#slots.length > 0 && this.#slots[0].answer) {
      const done = this.#slots.shift()!
      this.#options.memory.release(done.frameSize)
      for (const piece of done.answer!) this.#outgoing.push(piece)
      for (const then of done.sent) this.#sent.push(then)
    }
    if (this.#outgoing.length > 0 && !this.#flushing) {
      this.#flushing = true
      this.#options.host.timers.afterPromises(() => this.#flush())
    }
    if (this.#ending && this.#slots.length === 0 && !this.#flushing) this.#socket.end()
  }

  /** All answers that one write of the logs, or one piece of what came in, has completed leave in one write, before what follows from them is begun. */
  #flush(): void {
    this.#flushing = false
    if (this.#closed) return
    const pieces = this.#outgoing
    const sent = this.#sent
    this.#outgoing = []
    if (sent.length > 0) this.#sent = []
    this.activeAt = this.#options.host.clock.monotonic()
    const room = this.#socket.write(pieces, sent.length === 0 ? undefined : () => {
      for (const then of sent) then()
    })
    if (!room) this.#draining = true
    if (this.#ending && this.#slots.length === 0) this.#socket.end()
    else this.#work()
  }

  #gone(): void {
    if (this.#closed) return
    this.#closed = true
    for (const slot of this.#slots) this.#options.memory.release(slot.frameSize)
    this.#slots.length = 0
    this.#outgoing = []
    this.#cutter.close()
    for (const then of this.#closeHandlers) then()
    this.#closeHandlers.clear()
    this.#options.closed(this)
  }
}

/** What a request context takes from its connection. `onClosed` returns a function that forgets the handler again. */
export type ConnectionFacts = Pick<RequestContext, 'listener' | 'remoteAddress' | 'localAddress' | 'localPort' | 'connectionId' | 'onClosed'>

/** One connection on a quorum port, on either side: packets in, packets out in one write a turn, and raw snapshots in between. */
import type { Connection, Timers } from '../../host/host.ts'
import type { QuorumPacket } from '../protocol/quorum.ts'
import { PacketBuffer } from './packet-buffer.ts'
import { packetSizeMaxDefault, QuorumStream } from './quorum-stream.ts'

/** A learner that does not read what it is sent is cut off here; it comes back and is synchronized. */
const unsentMax = 256 * 1024 * 1024

export interface QuorumConnectionEvents {
  /** Bytes have come: take what `input` holds. */
  received(): void
  closed(error: Error | undefined): void
}

export class QuorumConnection {
  readonly input: QuorumStream
  readonly #socket: Connection
  readonly #timers: Timers
  readonly #out = new PacketBuffer()
  #isScheduled = false
  /** What is sent while a snapshot goes out stands behind it. */
  #isSendingSnapshot = false
  #drained: (() => void) | undefined
  #isClosed = false

  constructor(socket: Connection, timers: Timers, events: QuorumConnectionEvents, packetSizeMax = packetSizeMaxDefault) {
    this.#socket = socket
    this.#timers = timers
    this.input = new QuorumStream(packetSizeMax)
    socket.onData((chunk) => {
      if (this.#isClosed) return
      this.input.push(chunk)
      events.received()
    })
    socket.onDrain(() => {
      const drained = this.#drained
      this.#drained = undefined
      drained?.()
    })
    socket.onClose((error) => {
      this.#isClosed = true
      this.#drained?.()
      events.closed(error)
    })
  }

  get address(): string {
    return `${this.#socket.remoteAddress}:${this.#socket.remotePort}`
  }
  get unsent(): number {
    return this.#out.size + this.#socket.bufferedSize
  }
  get isClosed(): boolean {
    return this.#isClosed
  }
  /** Leaves at the end of the turn, together with the others. */
  send(packet: QuorumPacket): void {
    if (this.#isClosed) return
    this.#out.packet(packet)
    if (this.#out.size > unsentMax) this.destroy()
    else if (!this.#isScheduled && !this.#isSendingSnapshot) this.#schedule()
  }
  /** Announces a snapshot and sends its pieces at the pace of the reader. Resolves when all are handed over or the connection is closed. */
  async sendSnapshot(announcement: QuorumPacket, pieces: Iterable<Uint8Array>): Promise<void> {
    this.#out.packet(announcement)
    this.flush()
    this.#isSendingSnapshot = true
    for (const piece of pieces) {
      if (this.#isClosed) return
      // An empty one only gives others their turn.
      if (piece.length > 0 && !this.#socket.write([piece])) await new Promise<void>((done) => (this.#drained = done))
      else await new Promise<void>((done) => this.#timers.endOfTurn(done))
    }
    this.#isSendingSnapshot = false
    this.flush()
  }
  #schedule(): void {
    this.#isScheduled = true
    this.#timers.endOfTurn(() => {
      this.#isScheduled = false
      this.flush()
    })
  }
  flush(): void {
    if (this.#isClosed || this.#isSendingSnapshot || this.#out.size === 0) return
    this.#socket.write(this.#out.take())
    if (this.#socket.bufferedSize > unsentMax) this.destroy()
  }
  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }
  destroy(): void {
    if (this.#isClosed) return
    this.#socket.destroy()
  }
}

/** One connection on a quorum port, on either side: packets in, packets out in one write a turn, and raw snapshots in between. */
import type { Connection, Timers } from '../../host/host.ts'
import { Writer } from '../../wire/writer.ts'
import { QuorumPacket } from '../protocol/quorum.ts'
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
  #out: Uint8Array[] = []
  #outSize = 0
  #isScheduled = false
  /** What is sent while a snapshot goes out stands behind it. */
  #behindSnapshot: Uint8Array[] | undefined
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
  get isClosed(): boolean {
    return this.#isClosed
  }
  send(bytes: Uint8Array): void {
    if (this.#isClosed) return
    this.#outSize += bytes.length
    if (this.#behindSnapshot) this.#behindSnapshot.push(bytes)
    else {
      this.#out.push(bytes)
      this.#schedule()
    }
    if (this.#outSize + this.#socket.bufferedSize > unsentMax) this.destroy()
  }
  /** Sends pieces at the pace of the reader. Resolves when all are handed over or the connection is closed. */
  async sendSnapshot(pieces: Iterable<Uint8Array>): Promise<void> {
    this.flush()
    this.#behindSnapshot = []
    for (const piece of pieces) {
      if (this.#isClosed) return
      if (!this.#socket.write([piece])) await new Promise<void>((done) => (this.#drained = done))
      else await new Promise<void>((done) => this.#timers.endOfTurn(done))
    }
    this.#out = this.#behindSnapshot
    this.#behindSnapshot = undefined
    this.flush()
  }
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#timers.endOfTurn(() => {
      this.#isScheduled = false
      this.flush()
    })
  }
  flush(): void {
    if (this.#isClosed || this.#behindSnapshot || this.#out.length === 0) return
    const out = this.#out
    this.#out = []
    this.#outSize = 0
    this.#socket.write(out.length === 1 ? out : joined(out))
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

/** Small packets leave as one piece: a list of hundreds costs more than the copy. */
function joined(pieces: readonly Uint8Array[]): Uint8Array[] {
  const size = pieces.reduce((sum, { length }) => sum + length, 0)
  return size <= 256 * 1024 ? [Buffer.concat(pieces, size)] : [...pieces]
}

export function encodePacket(packet: QuorumPacket): Buffer {
  const writer = new Writer(64 + (packet.data?.length ?? 0))
  QuorumPacket.write(writer, packet)
  return writer.toBuffer()
}

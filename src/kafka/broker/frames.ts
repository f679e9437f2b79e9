/** Cuts a connection's bytes into frames: int32 size, then that many bytes. Bounded, and it names callers who speak another protocol. */
import { BufferPool } from '../../wire/buffer-pool.ts'

/** Why a connection cannot go on; the sentence is for the log. */
export class FrameRefusedError extends Error {}

/** Frames below this are not worth accounting: sockets buffer as much anyway. */
const accountedMin = 64 * 1024

/** Kept for the next frames. */
const pooledBytesMax = 32 * 1024 * 1024

/** As much as a socket usually has at once; of a large frame, no more than this is copied. */
const scratchSize = 64 * 1024

/** Bytes of large frames that a broker holds at once, over all its connections. */
export class FrameMemory {
  readonly #bytesMax: number
  readonly #pool = new BufferPool(pooledBytesMax)
  /** Where connections receive what no frame has room for yet. Whoever reads into it looks at it before the next read, of any connection. */
  readonly scratch = Buffer.allocUnsafeSlow(scratchSize)
  #claimed = 0
  #waiting: { size: number; granted: () => void }[] = []
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  get waiting(): number {
    return this.#waiting.length
  }
  /** A buffer for a frame; give it back with `reuse` when nobody looks at the frame any more, or leave it to the garbage collector. */
  buffer(size: number): Buffer {
    return this.#pool.take(size)
  }
  /** The frame's bytes may be overwritten from now on. Frames that are not from `buffer` are left alone. */
  reuse(frame: Buffer): void {
    this.#pool.reuse(frame)
  }

  /** Claims memory for a frame; when there is none, `granted` runs later, in the order of asking. Returns whether it was granted at once. */
  claim(size: number, granted: () => void): boolean {
    if (size < accountedMin || (this.#waiting.length === 0 && this.#claimed + size <= this.#bytesMax)) {
      if (size >= accountedMin) this.#claimed += size
      return true
    }
    this.#waiting.push({ size, granted })
    return false
  }
  release(size: number): void {
    if (size < accountedMin) return
    this.#claimed -= size
    while (this.#waiting.length > 0 && this.#claimed + this.#waiting[0].size <= this.#bytesMax) {
      const next = this.#waiting.shift()!
      this.#claimed += next.size
      next.granted()
    }
  }
  /** Takes back a claim that was not granted yet. */
  forget(granted: () => void): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.granted !== granted)
  }
}

const nothing = Buffer.alloc(0)

/**
 * Large frames are received right where they stay: `room` says where the next bytes should go, and what was put there is not copied again.
 * All else arrives in one scratch buffer that all connections share; what is left of it when a turn's frames are cut is copied by `keep`.
 */
export class FrameCutter {
  readonly #sizeMax: number
  readonly #memory: FrameMemory
  /** Received and not looked at yet. */
  #input: Buffer = nothing
  /** The frame that is being collected, once it is clear that it does not lie in the input as a whole. */
  #frame: Buffer | undefined
  #filled = 0
  /** Size of the next frame, −1 while it is not known. */
  #size = -1
  #frames = 0
  #granted = true
  readonly #onGranted: () => void

  /** `resume` runs when memory for a frame that had to wait for it has become free. */
  constructor({ sizeMax, memory, resume }: { sizeMax: number; memory: FrameMemory; resume: () => void }) {
    this.#sizeMax = sizeMax
    this.#memory = memory
    this.#onGranted = () => {
      this.#granted = true
      resume()
    }
  }

  /** Whether a frame is partly here. */
  get partial(): boolean {
    return this.#input.length > 0 || this.#frame !== undefined
  }
  /** Whether it waits for memory: the socket should be paused. */
  get starved(): boolean {
    return !this.#granted
  }

  /** Where the next bytes should go; never empty. */
  room(): Buffer {
    const frame = this.#frame
    return frame && frame.length >= accountedMin && this.#filled < frame.length ? frame.subarray(this.#filled) : this.#memory.scratch
  }
  /** Takes bytes, from the room or from elsewhere. What lies in the room is looked at until `keep`. */
  push(chunk: Buffer): void {
    const frame = this.#frame
    if (frame && chunk.buffer === frame.buffer && chunk.byteOffset === frame.byteOffset + this.#filled) this.#filled += chunk.length
    else this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk])
  }
  /** To be called before anything else is read: what is not cut yet is copied out of the room. */
  keep(): void {
    if (this.#input.buffer === this.#memory.scratch.buffer) this.#input = this.#input.length === 0 ? nothing : Buffer.from(this.#input)
  }

  /** The next whole frame without its size, or undefined. Its memory is released by whoever has finished with it (`FrameMemory.release`). */
  next(): Buffer | undefined {
    if (this.#size < 0) {
      if (this.#input.length < 4) return undefined
      this.#size = this.#input.readInt32BE(0)
      if (this.#frames === 0) this.#recognise()
      if (this.#size < 0 || this.#size > this.#sizeMax)
        throw new FrameRefusedError(`a request of ${this.#size} bytes; socket.request.max.bytes allows 0 to ${this.#sizeMax}`)
      this.#input = this.#input.subarray(4)
      this.#granted = this.#memory.claim(this.#size, this.#onGranted)
    }
    if (!this.#granted) return undefined
    const frame = this.#collect()
    if (!frame) return undefined
    if (this.#frames++ === 0) recogniseZooKeeper(frame)
    this.#size = -1
    this.#frame = undefined
    return frame
  }
  /** The frame of the known size, if all of it is here. */
  #collect(): Buffer | undefined {
    const size = this.#size
    const input = this.#input
    if (!this.#frame) {
      const isShared = input.buffer === this.#memory.scratch.buffer
      if (input.length >= size && !isShared) {
        this.#input = input.subarray(size)
        return input.subarray(0, size)
      }
      this.#frame = size >= accountedMin ? this.#memory.buffer(size) : Buffer.allocUnsafe(size)
      this.#filled = 0
    }
    const frame = this.#frame
    if (this.#filled < size && input.length > 0) {
      const copied = input.copy(frame, this.#filled, 0, Math.min(input.length, size - this.#filled))
      this.#filled += copied
      this.#input = input.subarray(copied)
    }
    return this.#filled === size ? frame : undefined
  }

  /** Gives back what a connection held that ended in the middle of a frame. */
  close(): void {
    if (this.#size >= 0) {
      if (this.#granted) this.#memory.release(this.#size)
      else this.#memory.forget(this.#onGranted)
    }
    this.#size = -1
    this.#frame = undefined
    this.#input = nothing
  }

  #recognise(): void {
    const start = this.#input
    const word = start.toString('latin1', 0, 4)
    if (start[0] === 0x16 && start[1] === 3) throw new FrameRefusedError('a TLS hello on a PLAINTEXT listener; set security.protocol=PLAINTEXT in the client')
    if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN)/.test(word)) throw new FrameRefusedError(`an HTTP request (${word.trim()}…); this port speaks the Kafka protocol`)
    if (/^[a-z]{4}$/.test(word)) throw new FrameRefusedError(`the four-letter word '${word}'; that is for ZooKeeper's client port, this one speaks the Kafka protocol`)
  }
}

/** A ZooKeeper client begins with a frame of 44 or 45 bytes: protocol 0, zxid, time-out, session, and a password of 16 bytes. */
function recogniseZooKeeper(frame: Buffer): void {
  if ((frame.length === 44 || frame.length === 45) && frame.readInt32BE(0) === 0 && frame.readInt32BE(24) === 16)
    throw new FrameRefusedError("a ZooKeeper client's handshake; connect it to zookeeper.connect's port, this one speaks the Kafka protocol")
}

/** Cuts a connection's bytes into frames: int32 size, then that many bytes. Bounded, and it names callers who speak another protocol. */

/** Why a connection cannot go on; the sentence is for the log. */
export class FrameRefusedError extends Error {}

/** Frames below this are not worth accounting: sockets buffer as much anyway. */
const accountedMin = 64 * 1024

/** Buffers of these sizes are kept for the next frame: fresh memory costs more than what is done with it. */
const pooledSizeMax = 4 * 1024 * 1024
const pooledBytesMax = 32 * 1024 * 1024

/** Bytes of large frames that a broker holds at once, over all its connections. */
export class FrameMemory {
  readonly #bytesMax: number
  readonly #free = new Map<number, Buffer[]>()
  #freeBytes = 0
  /** Buffers in use that may come back. */
  readonly #lent = new WeakSet<ArrayBufferLike>()
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
    if (size > pooledSizeMax) return Buffer.allocUnsafeSlow(size)
    const sizeClass = sizeClassOf(size)
    let buffer = this.#free.get(sizeClass)?.pop()
    if (buffer) this.#freeBytes -= sizeClass
    else buffer = Buffer.allocUnsafeSlow(sizeClass)
    this.#lent.add(buffer.buffer)
    return buffer.subarray(0, size)
  }
  /** The frame's bytes may be overwritten from now on. Frames that are not from `buffer` are left alone. */
  reuse(frame: Buffer): void {
    if (!this.#lent.delete(frame.buffer)) return
    const sizeClass = frame.buffer.byteLength
    if (this.#freeBytes + sizeClass > pooledBytesMax) return
    const free = this.#free.get(sizeClass) ?? []
    this.#free.set(sizeClass, free)
    free.push(Buffer.from(frame.buffer))
    this.#freeBytes += sizeClass
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

/** Powers of two from 64 KiB on. */
const sizeClassOf = (size: number): number => Math.max(accountedMin, 2 ** Math.ceil(Math.log2(size)))

export class FrameCutter {
  readonly #sizeMax: number
  readonly #memory: FrameMemory
  #chunks: Buffer[] = []
  #buffered = 0
  /** Size of the frame that is being collected, −1 while its size is not known. */
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
    return this.#buffered > 0
  }
  /** Whether it waits for memory: the socket should be paused. */
  get starved(): boolean {
    return !this.#granted
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
  }

  /** The next whole frame without its size, or undefined. Its memory is released by whoever has finished with it (`FrameMemory.release`). */
  next(): Buffer | undefined {
    if (this.#size < 0) {
      if (this.#buffered < 4) return undefined
      this.#size = this.#peek(4).readInt32BE(0)
      if (this.#frames === 0) this.#recognise()
      if (this.#size < 0 || this.#size > this.#sizeMax)
        throw new FrameRefusedError(`a request of ${this.#size} bytes; socket.request.max.bytes allows 0 to ${this.#sizeMax}`)
      this.#granted = this.#memory.claim(this.#size, this.#onGranted)
    }
    if (this.#frames === 0) this.#recogniseZooKeeper()
    if (!this.#granted || this.#buffered < this.#size + 4) return undefined
    const size = this.#size
    this.#size = -1
    this.#frames++
    return this.#take(size + 4).subarray(4)
  }

  /** Gives back what a connection held that ended in the middle of a frame. */
  close(): void {
    if (this.#size >= 0) {
      if (this.#granted) this.#memory.release(this.#size)
      else this.#memory.forget(this.#onGranted)
    }
    this.#size = -1
    this.#chunks = []
    this.#buffered = 0
  }

  #peek(size: number): Buffer {
    if (this.#chunks[0].length < size) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]
  }
  #take(size: number): Buffer {
    const first = this.#chunks[0]
    this.#buffered -= size
    if (first.length >= size) {
      if (first.length === size) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(size)
      return first.subarray(0, size)
    }
    const frame = this.#memory.buffer(size)
    let filled = 0
    let used = 0
    while (filled < size) {
      const chunk = this.#chunks[used]
      const copied = chunk.copy(frame, filled, 0, size - filled)
      filled += copied
      if (copied < chunk.length) this.#chunks[used] = chunk.subarray(copied)
      else used++
    }
    this.#chunks.splice(0, used)
    return frame
  }

  #recognise(): void {
    const start = this.#peek(4)
    const word = start.toString('latin1', 0, 4)
    if (start[0] === 0x16 && start[1] === 3) throw new FrameRefusedError('a TLS hello on a PLAINTEXT listener; set security.protocol=PLAINTEXT in the client')
    if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN)/.test(word)) throw new FrameRefusedError(`an HTTP request (${word.trim()}…); this port speaks the Kafka protocol`)
    if (/^[a-z]{4}$/.test(word)) throw new FrameRefusedError(`the four-letter word '${word}'; that is for ZooKeeper's client port, this one speaks the Kafka protocol`)
  }
  /** A ZooKeeper client begins with a frame of 44 or 45 bytes: protocol 0, zxid, time-out, session, and a password of 16 bytes. */
  #recogniseZooKeeper(): void {
    if ((this.#size !== 44 && this.#size !== 45) || this.#buffered < 48) return
    const frame = this.#peek(48)
    if (frame.readInt32BE(4) === 0 && frame.readInt32BE(28) === 16)
      throw new FrameRefusedError("a ZooKeeper client's handshake; connect it to zookeeper.connect's port, this one speaks the Kafka protocol")
  }
}

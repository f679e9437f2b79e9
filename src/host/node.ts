/** The host interfaces on Node. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import * as fs from 'node:fs'
import { mkdir, mkdtemp, open, readdir, rename, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises'
import { createServer, type Server, Socket } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { performance } from 'node:perf_hooks'
import { consoleLogger } from './logger.ts'
import type { Clock, Connection, Disk, DiskFile, FileFacts, Host, ListenerSocket, Lock, Logger, Network, Random, Timers } from './host.ts'
import { InUseError } from './host.ts'

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

const timers: Timers = {
  set(ms, then) {
    // setTimeout takes 31 bits; a longer wait would fire at once.
    const timer = setTimeout(then, Math.min(ms, 0x7fff_ffff)).unref()
    return { cancel: () => clearTimeout(timer) }
  },
  every(ms, then) {
    const timer = setInterval(then, Math.min(ms, 0x7fff_ffff)).unref()
    return { cancel: () => clearInterval(timer) }
  },
  endOfTurn: (then) => void setImmediate(then),
  afterPromises: (then) => process.nextTick(then),
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
}

const random: Random = {
  bytes: (size) => randomBytes(size),
  below: (below) => (below <= 1 ? 0 : randomInt(below)),
}

class NodeFile implements DiskFile {
  readonly path: string
  #fd: number
  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }
  get #open(): number {
    if (this.#fd < 0) throw new Error(`${this.path} is closed`)
    return this.#fd
  }
  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((done, failed) => {
      let read = 0
      const more = (): void => {
        fs.read(this.#open, into, read, into.length - read, position + read, (error, size) => {
          if (error) return failed(error)
          read += size
          if (size === 0 || read === into.length) return done(read)
          more()
        })
      }
      if (into.length === 0) done(0)
      else more()
    })
  }
  readSync(into: Uint8Array, position: number): number {
    let read = 0
    while (read < into.length) {
      const size = fs.readSync(this.#open, into, read, into.length - read, position + read)
      if (size === 0) break
      read += size
    }
    return read
  }
  write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    return new Promise((done, failed) => {
      const step = (rest: readonly Uint8Array[], at: number): void => {
        if (rest.length === 0) return done()
        // writev takes at most 1,024 pieces and may take fewer bytes than asked.
        fs.writev(this.#open, rest.slice(0, 1024), at, (error, size) => {
          if (error) return failed(error)
          step(withoutFirst(rest, size), at + size)
        })
      }
      step(pieces.filter((piece) => piece.length > 0), position)
    })
  }
  writeSync(pieces: readonly Uint8Array[], position: number): void {
    let rest: readonly Uint8Array[] = pieces.length === 1 ? pieces : pieces.filter((piece) => piece.length > 0)
    let at = position
    while (rest.length > 0 && rest[0].length > 0) {
      const size = rest.length === 1 ? fs.writeSync(this.#open, rest[0], 0, rest[0].length, at) : fs.writevSync(this.#open, rest.slice(0, 1024), at)
      rest = withoutFirst(rest, size)
      at += size
    }
  }
  sync(): Promise<void> {
    return new Promise((done, failed) => fs.fdatasync(this.#open, (error) => (error ? failed(error) : done())))
  }
  truncate(size: number): Promise<void> {
    return new Promise((done, failed) => fs.ftruncate(this.#open, size, (error) => (error ? failed(error) : done())))
  }
  truncateSync(size: number): void {
    fs.ftruncateSync(this.#open, size)
  }
  size(): Promise<number> {
    return new Promise((done, failed) => fs.fstat(this.#open, (error, facts) => (error ? failed(error) : done(facts.size))))
  }
  sizeSync(): number {
    return fs.fstatSync(this.#open).size
  }
  close(): Promise<void> {
    if (this.#fd < 0) return Promise.resolve()
    const fd = this.#fd
    this.#fd = -1
    return new Promise((done, failed) => fs.close(fd, (error) => (error ? failed(error) : done())))
  }
  closeSync(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    fs.closeSync(fd)
  }
}

function withoutFirst(pieces: readonly Uint8Array[], size: number): readonly Uint8Array[] {
  let left = size
  let index = 0
  while (index < pieces.length && left >= pieces[index].length) left -= pieces[index++].length
  if (left === 0) return index === 0 ? pieces : pieces.slice(index)
  return [pieces[index].subarray(left), ...pieces.slice(index + 1)]
}

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_TRUNC } = fs.constants
/** Opening a pipe that nobody else has open would wait for ever otherwise; windows has neither the pipes nor the flag. */
const nonBlocking = (fs.constants.O_NONBLOCK as number | undefined) ?? 0
const flagsOf = { read: O_RDONLY | nonBlocking, write: O_RDWR | nonBlocking, create: O_RDWR | O_CREAT | nonBlocking } as const
/** A pipe or a device in place of a file: reading it could wait for ever, and what is written there is lost. */
function checkIsFile(path: string, stats: fs.Stats): void {
  if (stats.isFile()) return
  const code = stats.isDirectory() ? 'EISDIR' : 'ENOTFILE'
  throw Object.assign(new Error(`${code}: ${path} is ${stats.isDirectory() ? 'a directory' : 'a pipe, a socket or a device'} where a file belongs`), { code, path })
}

function factsOf(stats: fs.Stats): FileFacts {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other',
    size: stats.size,
    modifiedMs: stats.mtimeMs,
    id: `${stats.dev}:${stats.ino}`,
  }
}
const missing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR'

const disk: Disk = {
  open: (path, mode) =>
    new Promise((done, failed) => fs.open(path, flagsOf[mode], 0o644, (error, fd) => (error ? failed(error) : done(new NodeFile(path, fd))))),
  openSync: (path, mode) => new NodeFile(path, fs.openSync(path, flagsOf[mode], 0o644)),
  async readFile(path) {
    const file = await open(path, flagsOf.read)
    try {
      checkIsFile(path, await file.stat())
      return await file.readFile()
    } finally {
      await file.close()
    }
  },
  readFileSync(path) {
    const fd = fs.openSync(path, flagsOf.read)
    try {
      checkIsFile(path, fs.fstatSync(fd))
      return fs.readFileSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  },
  async replaceFile(path, content, { mode = 0o644, durable = true, temporarySuffix = '.tmp' } = {}) {
    const temporary = `${path}${temporarySuffix}`
    const file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | nonBlocking, mode)
    try {
      await writeFile(file, content)
      if (durable) await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    if (durable) await disk.syncDirectory(dirname(path))
  },
  async facts(path) {
    try {
      return factsOf(await stat(path))
    } catch (error) {
      if (missing(error)) return undefined
      throw error
    }
  },
  factsSync(path) {
    const stats = fs.statSync(path, { throwIfNoEntry: false })
    return stats && factsOf(stats)
  },
  list: async (directory) => (await readdir(directory)).sort(),
  async makeDirectory(path) {
    await mkdir(path, { recursive: true })
  },
  rename: (from, to) => rename(from, to),
  renameSync: (from, to) => fs.renameSync(from, to),
  remove: (path) => rm(path, { force: true }),
  removeTree: (path) => rm(path, { recursive: true, force: true }),
  async syncDirectory(path) {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  async setModified(path, ms) {
    await utimes(path, ms / 1000, ms / 1000)
  },
  async space(path) {
    const { blocks, bavail, bsize } = await statfs(path)
    return { total: blocks * bsize, usable: bavail * bsize }
  },
  lock: lockFile,
}

/**
 * Holds an abstract unix socket named after the file: the kernel drops it with the process, whatever ends it, which a
 * file with a process id in it cannot promise. A Java process that holds a lock on the same file is found in /proc/locks.
 */
async function lockFile(path: string): Promise<Lock> {
  const absolute = resolvePath(path)
  await mkdir(dirname(absolute), { recursive: true })
  // Looking at all locks of the system is slow; a file that is made this moment is nobody's.
  const isNew = !fs.existsSync(absolute)
  const file = await open(absolute, 'a+')
  const stats = await file.stat()
  try {
    checkIsFile(path, stats)
  } catch (error) {
    await file.close()
    throw error
  }
  const { ino } = stats
  const foreign = isNew ? undefined : holderOfPosixLock(ino)
  if (foreign !== undefined) {
    await file.close()
    throw new InUseError(`${path} is locked by process ${foreign}. Only one process may use this folder; stop that one or choose another folder`)
  }
  const real = fs.realpathSync(absolute)
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen(process.platform === 'linux' ? { path: `\0ottla-lock-${name}` } : { path: join(tmpdir(), `ottla-${name}.sock`) }, done)
    })
  } catch (cause) {
    const holder = (await file.readFile('utf8')).trim()
    await file.close()
    throw new InUseError(
      `${path} is locked by ${holder ? `process ${holder}` : 'another process'}. Only one process may use this folder; stop that one or choose another folder`,
      { cause },
    )
  }
  server.unref()
  await file.truncate(0)
  await file.write(`${process.pid}\n`)
  await file.close()
  let held = true
  return {
    async release() {
      if (!held) return
      held = false
      await new Promise<void>((done) => server.close(() => done()))
    },
  }
}
function holderOfPosixLock(inode: number): number | undefined {
  let table: string
  try {
    table = fs.readFileSync('/proc/locks', 'utf8')
  } catch {
    return undefined // Not Linux, or no /proc: the socket alone has to do.
  }
  for (const line of table.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (words[5]?.endsWith(`:${inode}`) && Number(words[4]) !== process.pid) return Number(words[4])
  }
  return undefined
}

/** Who is told of bytes that were read into room of the owner's. */
interface DirectReads {
  handler: ((chunk: Buffer) => void) | undefined
  room: () => Uint8Array
}
/** Node's option for that; the types know it only of `connect`. */
function readingInto(reads: DirectReads): object {
  const callback = (size: number, bytes: Uint8Array): boolean => {
    reads.handler?.(Buffer.from(bytes.buffer, bytes.byteOffset, size))
    return true
  }
  return { onread: { buffer: () => reads.room(), callback } }
}
/**
 * Servers make their sockets without that option: another socket takes over what the first has open. Undefined where this Node keeps that
 * elsewhere; chunks are then received as they come.
 */
function takenOver(socket: Socket, reads: DirectReads): Socket | undefined {
  const accepted = socket as unknown as { _handle: { useUserBuffer?: unknown } | null }
  const handle = accepted._handle
  if (typeof handle?.useUserBuffer !== 'function') return undefined
  accepted._handle = null
  socket.destroy()
  return new Socket({ handle, ...readingInto(reads) } as ConstructorParameters<typeof Socket>[0])
}
const firstRoomSize = 1024
/** Measured: up to this size, copying pieces together costs less than handing them over one by one. */
const joinedMax = 16 * 1024
class NodeConnection implements Connection {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  readonly #socket: Socket
  readonly #reads: DirectReads | undefined
  constructor(socket: Socket, reads?: DirectReads) {
    this.#socket = socket
    this.#reads = reads
    this.remoteAddress = plainAddress(socket.remoteAddress ?? '')
    this.remotePort = socket.remotePort ?? 0
    this.localAddress = plainAddress(socket.localAddress ?? '')
    this.localPort = socket.localPort ?? 0
    socket.setNoDelay(true)
  }
  get bufferedSize(): number {
    return this.#socket.writableLength
  }
  onData(handler: (chunk: Buffer) => void, room?: () => Uint8Array): void {
    if (!this.#reads) {
      this.#socket.on('data', handler)
      return
    }
    this.#reads.handler = handler
    if (room) this.#reads.room = room
  }
  onClose(handler: (error: Error | undefined) => void): void {
    let error: Error | undefined
    this.#socket.on('error', (cause) => (error = cause))
    this.#socket.once('close', () => handler(error))
  }
  onDrain(handler: () => void): void {
    this.#socket.on('drain', handler)
  }
  write(pieces: readonly Uint8Array[], sent?: () => void): boolean {
    const socket = this.#socket
    if (socket.destroyed) {
      sent?.()
      return true
    }
    if (pieces.length === 1) return socket.write(pieces[0], sent)
    let size = 0
    for (const piece of pieces) size += piece.length
    if (size <= joinedMax) return socket.write(Buffer.concat(pieces, size), sent)
    socket.cork()
    let room = true
    // The pieces leave in order, and what becomes of the last has become of all.
    for (let index = 0; index < pieces.length; index++) room = socket.write(pieces[index], index === pieces.length - 1 ? sent : undefined)
    socket.uncork()
    return room
  }
  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }
  end(): void {
    this.#socket.end()
  }
  destroy(): void {
    this.#socket.destroy()
  }
}
/** ::ffff:127.0.0.1 is 127.0.0.1 on a socket of both families. */
const plainAddress = (address: string): string => (address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address)

const network: Network = {
  async listen({ host, port, backlog = 511, givesRoom = false }, accept): Promise<ListenerSocket> {
    const server: Server = createServer({ allowHalfOpen: false, pauseOnConnect: givesRoom }, (accepted) => {
      const first = Buffer.allocUnsafeSlow(givesRoom ? firstRoomSize : 0)
      const reads: DirectReads = { handler: undefined, room: () => first }
      const direct = givesRoom ? takenOver(accepted, reads) : undefined
      const socket = direct ?? accepted
      // A handler for errors before the owner has set one: a reset must not end the process.
      socket.on('error', () => {})
      accept(new NodeConnection(socket, direct && reads))
    })
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen({ host: host || undefined, port, backlog }, () => {
        server.off('error', failed)
        done()
      })
    })
    const bound = server.address()
    return {
      host: host ?? '',
      port: typeof bound === 'object' && bound ? bound.port : port,
      close: () => new Promise((done) => void server.close(() => done())),
    }
  },
  connect({ host, port, timeoutMs = 10_000, room }) {
    return new Promise((done, failed) => {
      const reads: DirectReads | undefined = room && { handler: undefined, room }
      const socket = new Socket((reads ? readingInto(reads) : {}) as ConstructorParameters<typeof Socket>[0])
      const timer = setTimeout(() => {
        socket.destroy()
        failed(Object.assign(new Error(`${host}:${port} did not answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' }))
      }, timeoutMs)
      socket.once('error', (error) => {
        clearTimeout(timer)
        failed(error)
      })
      socket.connect({ host, port }, () => {
        clearTimeout(timer)
        done(new NodeConnection(socket, reads))
      })
    })
  },
  async resolve(host) {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  },
  hostName: () => hostname(),
}

/** The real world. One logger per process is usual; tests pass their own. */
export function nodeHost({ logger = consoleLogger({ clock }) }: { logger?: Logger } = {}): Host {
  return { clock, timers, random, disk, network, logger }
}

/** A new, empty folder among the system's temporary ones. */
export function temporaryDirectory(prefix: string): Promise<string> {
  return mkdtemp(join(tmpdir(), prefix))
}

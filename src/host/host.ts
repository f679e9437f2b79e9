/** The outside world as interfaces. Machines get values; drivers get a `Host`; only `ottla.ts` and the tools build one. */

export interface Clock {
  /** Wall clock, ms since 1970. */
  now(): number
  /** Monotonic ms, with fractions: for durations and deadlines. */
  monotonic(): number
}

export interface Timer {
  cancel(): void
}
export interface Timers {
  /** Runs `then` once after `ms`. An open timer does not keep the process alive. */
  set(ms: number, then: () => void): Timer
  /** Runs `then` every `ms`. */
  every(ms: number, then: () => void): Timer
  /** Runs `then` at the end of the loop's turn, after everything this turn has received. */
  endOfTurn(then: () => void): void
  /** Runs `then` when what runs now, and every promise settled by it, have come to their end: before anything else of this turn. */
  afterPromises(then: () => void): void
  sleep(ms: number): Promise<void>
}

export interface Random {
  bytes(size: number): Buffer
  /** An integer in [0, below). */
  below(below: number): number
}

/** What exists at a path. `id` names the file itself, whatever its name is now. */
export interface FileFacts {
  kind: 'file' | 'directory' | 'other'
  size: number
  modifiedMs: number
  id: string
}

/** An open file. Positions are explicit; nobody shares a cursor. */
export interface DiskFile {
  readonly path: string
  /** Reads up to `into.length` bytes; fewer only at the end of the file. Returns how many. */
  read(into: Uint8Array, position: number): Promise<number>
  readSync(into: Uint8Array, position: number): number
  /** Writes all pieces, one after the other, from `position`. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>
  writeSync(pieces: readonly Uint8Array[], position: number): void
  /** Data is on the device afterwards (fdatasync). */
  sync(): Promise<void>
  truncate(size: number): Promise<void>
  truncateSync(size: number): void
  size(): Promise<number>
  sizeSync(): number
  close(): Promise<void>
  closeSync(): void
}

export interface Lock {
  release(): Promise<void>
}

/** Paths are absolute or relative to the process. Errors are Node's, with `code` (ENOENT, EACCES, ENOSPC, …). */
export interface Disk {
  /** `append` and `create` make the file when it is missing; `read` is for reading alone. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>
  openSync(path: string, mode: 'read' | 'write' | 'create'): DiskFile
  readFile(path: string): Promise<Buffer>
  readFileSync(path: string): Buffer
  /** Writes a file whole: under a temporary name first, synced, then renamed over the old one, and the directory synced. */
  replaceFile(path: string, content: Uint8Array | string, options?: { mode?: number; durable?: boolean; temporarySuffix?: string }): Promise<void>
  facts(path: string): Promise<FileFacts | undefined>
  factsSync(path: string): FileFacts | undefined
  /** Names in a directory, sorted. */
  list(directory: string): Promise<string[]>
  /** With all parents; existing ones are fine. */
  makeDirectory(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** The same before anything else can happen: for a directory whose files are in use. */
  renameSync(from: string, to: string): void
  remove(path: string): Promise<void>
  removeTree(path: string): Promise<void>
  /** Renames and creations in the directory are on the device afterwards. */
  syncDirectory(path: string): Promise<void>
  setModified(path: string, ms: number): Promise<void>
  space(path: string): Promise<{ total: number; usable: number }>
  /** An exclusive lock that dies with the process. Rejects with an `InUseError` that names the holder. */
  lock(path: string): Promise<Lock>
}

export class InUseError extends Error {
  readonly code = 'EINUSE'
}

/** One TCP connection. Handlers are set once, before the first turn of the loop ends. */
export interface Connection {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** Bytes handed to `write` that the kernel has not taken yet. */
  readonly bufferedSize: number
  /** `room`, of a connection whose listener said `givesRoom`: asked before each read where the bytes are to go, as `connect` is told. */
  onData(handler: (chunk: Buffer) => void, room?: () => Uint8Array): void
  /** Called once, with the error that ended the connection, if one did. */
  onClose(handler: (error: Error | undefined) => void): void
  /** Called when a `write` that answered false has been taken by the kernel. */
  onDrain(handler: () => void): void
  /**
   * Sends the pieces in one go; false when the peer reads too slowly and the caller should wait for `drain`. `sent` runs once when the
   * pieces are not looked at any more: the kernel has taken them, or the connection has ended.
   */
  write(pieces: readonly Uint8Array[], sent?: () => void): boolean
  pause(): void
  resume(): void
  /** Sends what was written, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}
export interface ListenerSocket {
  readonly host: string
  /** The port really bound. */
  readonly port: number
  /** Stops accepting; open connections stay. */
  close(): Promise<void>
}
export interface Network {
  /** `givesRoom`: whoever is given the connections passes room to `onData`, and sets that handler or pauses before `accept` returns. */
  listen(at: { host: string | undefined; port: number; backlog?: number; givesRoom?: boolean }, accept: (connection: Connection) => void): Promise<ListenerSocket>
  /**
   * `room` is asked before each read where the bytes are to go. What `onData` is given then lies there and is overwritten by the next
   * read unless other room is offered; a host may also ignore it and give chunks of its own.
   */
  connect(to: { host: string; port: number; timeoutMs?: number; room?: () => Uint8Array }): Promise<Connection>
  /** All addresses of a name. */
  resolve(host: string): Promise<string[]>
  /** The name other machines know this one by; for a registration without a host. */
  hostName(): string
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFacts = Readonly<Record<string, unknown>>
export interface Logger {
  debug(event: string, facts?: LogFacts): void
  info(event: string, facts?: LogFacts): void
  warn(event: string, facts?: LogFacts): void
  error(event: string, facts?: LogFacts): void
  /** A logger whose lines name the component. */
  named(component: string): Logger
}

export interface Host {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
  readonly logger: Logger
}

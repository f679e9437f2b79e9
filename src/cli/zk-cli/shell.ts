/** One session of zkCli.sh: the connection, the commands, their numbers and history. */
import type { Host } from '../../host/host.ts'
import { ZooKeeperClient, type SessionEvent } from '../../zookeeper/client/client.ts'
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import { parseConnectString } from '../../zookeeper/client/paths.ts'
import type { Watcher } from '../../zookeeper/client/watches.ts'
import { commandNamed, usageLines, usageOf, versionLine, type CommandContext } from './commands.ts'
import { refusalText } from './texts.ts'
import { Arguments, CommandError, wordsOf } from './words.ts'

export interface ShellOptions {
  readonly connect: string
  readonly timeoutMs: number
  readonly readOnly: boolean
  /** Wait for a server that is not there yet, for as long as the session timeout. */
  readonly waitForConnection: boolean
  readonly out: (line: string) => void
  readonly err: (line: string) => void
}

/** Commands that `history` shows. */
const historyShown = 11
const stateNames: Partial<Record<SessionEvent, string>> = {
  connected: 'SyncConnected', readOnly: 'ConnectedReadOnly', disconnected: 'Disconnected', expired: 'Expired', authFailed: 'AuthFailed', closed: 'Closed',
}
const eventNames = {
  created: 'NodeCreated', deleted: 'NodeDeleted', dataChanged: 'NodeDataChanged', childrenChanged: 'NodeChildrenChanged',
  dataWatchRemoved: 'DataWatchRemoved', childWatchRemoved: 'ChildWatchRemoved', persistentWatchRemoved: 'PersistentWatchRemoved',
} as const

export class Shell {
  readonly #host: Host
  readonly #options: ShellOptions
  readonly #history: string[] = []
  #connectString: string
  #client: ZooKeeperClient | undefined
  /** The connection being made; resolves to nothing when it failed, which has been told by then. */
  #connecting: Promise<ZooKeeperClient | undefined> | undefined
  #connectFailure: unknown
  #watchesPrinted = true
  /** Exit code of the last command. */
  exitCode = 0
  /** `quit` was typed. */
  over = false

  constructor(host: Host, options: ShellOptions) {
    this.#host = host
    this.#options = options
    this.#connectString = options.connect
  }

  get commandCount(): number {
    return this.#history.length
  }
  /** As Apache's prompt names it. */
  get stateName(): string {
    if (this.#connecting) return 'CONNECTING'
    switch (this.#client?.state) {
      case 'connected': return 'CONNECTED'
      case 'readOnly': return 'CONNECTEDREADONLY'
      case 'connecting': return 'CONNECTING'
      case 'authFailed': return 'AUTH_FAILED'
      default: return 'CLOSED'
    }
  }
  get prompt(): string {
    return `[zk: ${this.#connectString}(${this.stateName}) ${this.commandCount}] `
  }
  readonly #watcher: Watcher = ({ type, path }) => this.#event(`WatchedEvent state:SyncConnected type:${eventNames[type]} path:${path}`)
  #event(text: string): void {
    if (this.#watchesPrinted) this.#options.out(`\nWATCHER::\n\n${text}`)
  }

  /**
   * Begins to connect. Unless told to wait, a service of which nothing listens anywhere is a failure at once: `connected()`
   * then throws what was found.
   */
  open(connectString = this.#connectString): void {
    this.#connectString = connectString
    this.#connectFailure = undefined
    const connecting = this.#connect(connectString).then(
      (client) => {
        if (this.#connecting !== connecting) {
          client.abandon()
          return undefined
        }
        this.#connecting = undefined
        this.#client = client
        client.onState((event) => this.#event(`WatchedEvent state:${stateNames[event]} type:None path:null`))
        this.#event(`WatchedEvent state:${client.state === 'readOnly' ? 'ConnectedReadOnly' : 'SyncConnected'} type:None path:null`)
        return client
      },
      (error: unknown) => {
        if (this.#connecting === connecting) {
          this.#connecting = undefined
          this.#connectFailure = error
        }
        return undefined
      },
    )
    this.#connecting = connecting
  }
  async #connect(connect: string): Promise<ZooKeeperClient> {
    const { timeoutMs, readOnly, waitForConnection } = this.#options
    if (!waitForConnection) await this.#anybodyThere(connect)
    return ZooKeeperClient.connect(this.#host, { connect, sessionTimeoutMs: timeoutMs, connectTimeoutMs: timeoutMs, readOnly })
  }
  async #anybodyThere(connect: string): Promise<void> {
    const { servers } = parseConnectString(connect)
    const causes: string[] = []
    for (const { host, port } of servers) {
      try {
        const connection = await this.#host.network.connect({ host, port, timeoutMs: Math.min(5_000, this.#options.timeoutMs) })
        connection.destroy()
        return
      } catch (error) {
        const { code, message } = ((error as AggregateError).errors?.[0] ?? error) as NodeJS.ErrnoException
        causes.push(code === 'ECONNREFUSED' ? `nothing listens on ${host}:${port}` : code === 'ENOTFOUND' ? `the name ${host} is unknown` : `${host}:${port}: ${message}`)
      }
    }
    throw new CommandError(`Cannot connect: ${causes.join('; ')}. Is the server running, and is -server ${connect} right? With -waitforconnection a server that is still starting is waited for`)
  }

  async #connected(): Promise<ZooKeeperClient | undefined> {
    const client = (await this.#connecting) ?? this.#client
    if (client) return client.state === 'closed' || client.state === 'expired' || client.state === 'authFailed' ? undefined : client
    if (this.#connectFailure !== undefined) throw this.#connectFailure
    return undefined
  }

  /** Runs one line and remembers it. Never throws: what went wrong is told, and stands in `exitCode`. */
  async line(line: string): Promise<void> {
    if (line.trim() === '') return
    this.#history.push(line)
    await this.#guarded(() => this.#run(wordsOf(line)))
  }
  /** Runs the command of the program's own arguments. */
  async once(words: readonly string[]): Promise<void> {
    await this.#guarded(() => this.#run(words))
  }
  async #guarded(run: () => Promise<void>): Promise<void> {
    const before = this.exitCode
    try {
      this.exitCode = 0
      await run()
      // `quit` ends the program with what the command before it came to.
      if (this.over) this.exitCode = before
    } catch (error) {
      this.exitCode = error instanceof CommandError ? error.exitCode : 1
      this.#options.err(isZooKeeperError(error) ? refusalText(error) : error instanceof Error ? error.message : String(error))
    }
  }

  async #run([name, ...words]: readonly string[]): Promise<void> {
    const { out, err } = this.#options
    const command = name === undefined ? undefined : commandNamed(name)
    if (!command) {
      usageLines().forEach((line) => err(line))
      throw new CommandError(`Command not found: Command not found ${name ?? ''}`, 127)
    }
    switch (command.name) {
      case 'quit':
        await this.close()
        this.over = true
        return
      case 'history': {
        const from = Math.max(0, this.#history.length - historyShown)
        this.#history.slice(from).forEach((line, index) => out(`${from + index} - ${line}`))
        return
      }
      case 'redo': return this.#redo(words)
      case 'printwatches':
        if (words.length === 0) out(`printwatches is ${this.#watchesPrinted ? 'on' : 'off'}`)
        else this.#watchesPrinted = words[0] === 'on'
        return
      case 'connect':
        await this.close()
        this.open(words[0])
        await this.#connected()
        return
      case 'version':
        if (words.length > 0) throw new CommandError(usageOf(command))
        out(versionLine)
        return
      default:
    }
    const client = await this.#connected()
    if (!client) {
      out('Not connected')
      this.exitCode = 1
      return
    }
    if (command.name === 'close') return this.close()
    const args = new Arguments(command.options ?? {}, words)
    if (args.rest.length < (command.required ?? 0)) throw new CommandError(usageOf(command))
    const context: CommandContext = { client, watcher: this.#watcher, out, err }
    await command.run?.(args, context)
  }
  async #redo(words: readonly string[]): Promise<void> {
    const command = commandNamed('redo')!
    if (words.length === 0) throw new CommandError(usageOf(command))
    const number = /^\d+$/.test(words[0]) ? Number(words[0]) : -1
    const current = this.#history.length - 1
    if (number < 0 || number >= current) throw new CommandError('Command index out of range')
    const line = this.#history[number]
    if (wordsOf(line)[0] === 'redo') throw new CommandError('No redoing redos')
    this.#history[current] = line
    await this.#run(wordsOf(line))
  }

  /** For completion: names of children, or none where there is no connection. */
  async childrenOf(path: string): Promise<string[]> {
    const client = this.#client
    return client?.state === 'connected' || client?.state === 'readOnly' ? client.listChildren(path).catch(() => []) : []
  }
  /** Ends the session at the end of the program, which is nobody's news. */
  async end(): Promise<void> {
    this.#watchesPrinted = false
    await this.close()
  }
  /** Ends the session: its ephemeral znodes go. */
  async close(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    this.#connecting = undefined
    await client?.close()
  }
}

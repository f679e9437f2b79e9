/** The AdminServer: the same facts over HTTP, as JSON (reference §2.5). HTTP/1.1 with one request a connection, nothing more. */
import type { Connection, Host, ListenerSocket } from '../../host/host.ts'
import { adminCommands, commandNames, type AdminCommand } from './admin-commands.ts'
import type { ZooKeeperConfig } from './config.ts'
import type { ServerFacts } from './facts.ts'

/** Request line and headers; a body is not read. */
const headSizeMax = 16 * 1024
const idleMs = 30_000

export class AdminServer {
  readonly #host: Host
  readonly #settings: ZooKeeperConfig['admin']
  readonly #server: ServerFacts
  readonly #open = new Set<Connection>()
  #listener: ListenerSocket | undefined

  static async start(host: Host, settings: ZooKeeperConfig['admin'], server: ServerFacts): Promise<AdminServer> {
    const admin = new AdminServer(host, settings, server)
    admin.#listener = await host.network.listen({ host: settings.address === '0.0.0.0' ? undefined : settings.address, port: settings.port }, (socket) => admin.#accept(socket))
    return admin
  }
  private constructor(host: Host, settings: ZooKeeperConfig['admin'], server: ServerFacts) {
    this.#host = host
    this.#settings = settings
    this.#server = server
  }
  get port(): number {
    return this.#listener?.port ?? 0
  }
  async close(): Promise<void> {
    for (const connection of this.#open) connection.destroy()
    await this.#listener?.close()
  }

  #accept(socket: Connection): void {
    this.#open.add(socket)
    let head = ''
    let isAnswered = false
    const timer = this.#host.timers.set(idleMs, () => socket.destroy())
    socket.onClose(() => {
      timer.cancel()
      this.#open.delete(socket)
    })
    socket.onData((chunk) => {
      if (isAnswered) return
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0 && head.length <= headSizeMax) return
      isAnswered = true
      if (end < 0) this.#send(socket, '431 Request Header Fields Too Large', 'text/plain', 'The request\'s headers are too large.\n')
      else void this.#answer(socket, head.slice(0, head.indexOf('\r\n')))
    })
  }
  async #answer(socket: Connection, requestLine: string): Promise<void> {
    const [method, target = '', protocol] = requestLine.split(' ')
    if (!protocol?.startsWith('HTTP/1.')) return this.#send(socket, '400 Bad Request', 'text/plain', 'This port speaks HTTP/1.1.\n')
    if (method !== 'GET' && method !== 'HEAD') return this.#send(socket, '405 Method Not Allowed', 'text/plain', 'Only GET is answered here.\n')
    const [path, query = ''] = target.split('?', 2)
    const { commandUrl } = this.#settings
    if (path === commandUrl || path === `${commandUrl}/`) {
      const links = [...commandNames()].map((name) => `<a href="${commandUrl}/${name}">${name}</a>\n<br/>\n`).join('')
      return this.#send(socket, '200 OK', 'text/html;charset=utf-8', links, method)
    }
    if (!path.startsWith(`${commandUrl}/`)) return this.#send(socket, '404 Not Found', 'text/plain', `Commands are under ${commandUrl}.\n`, method)
    const name = path.slice(commandUrl.length + 1)
    const command = adminCommands.get(name)
    let answer: Record<string, unknown>
    try {
      answer = command ? await this.#run(command, new URLSearchParams(query)) : { command: name, error: `Unknown command: ${name}` }
    } catch (error) {
      answer = { command: (command as AdminCommand).names[0], error: (error as Error).message }
    }
    this.#send(socket, '200 OK', 'application/json', `${prettyJson(answer)}\n`, method)
  }
  async #run(command: AdminCommand, query: URLSearchParams): Promise<Record<string, unknown>> {
    const { error = null, ...facts } = await command.run(this.#server, query)
    return { ...facts, command: command.names[0], error }
  }
  #send(socket: Connection, status: string, type: string, body: string, method = 'GET'): void {
    const head = `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
    socket.write([Buffer.from(method === 'HEAD' ? head : head + body)])
    socket.end()
  }
}

/** Two spaces and `"k" : v`, as Jackson prints; bigints as the numbers they are. */
export function prettyJson(value: unknown, indent = ''): string {
  if (typeof value === 'bigint') return String(value)
  if (value === undefined) return 'null'
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) return value.length === 0 ? '[ ]' : `[ ${value.map((element) => prettyJson(element, indent)).join(', ')} ]`
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  if (entries.length === 0) return '{ }'
  return `{\n${entries.map(([key, field]) => `${inner}${JSON.stringify(key)} : ${prettyJson(field, inner)}`).join(',\n')}\n${indent}}`
}

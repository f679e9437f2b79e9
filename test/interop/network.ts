/**
 * Servers on addresses of their own, in network namespaces behind one router, so that any of them can be cut off from any other, in one
 * direction or both, while clients (outside) reach them all. Packets that are cut vanish without a word. Linux, as root, with `ip`.
 */
import { spawnSync } from 'node:child_process'

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** Why there can be no such network here; undefined where there can. */
export function whyNoNetwork(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces want root'
  try {
    Network.make(1).dispose()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

export class Network {
  /** Where server 0, 1, … of the network listen. */
  readonly hosts: string[] = []
  readonly #name: string
  readonly #subnet: string
  readonly #spaces: string[] = []
  readonly #cuts: string[][] = []
  readonly #atExit = (): void => this.dispose()

  private constructor(name: string, subnet: number) {
    this.#name = name
    // 198.18.0.0/15 is for tests of networks (RFC 2544): nobody's real network.
    this.#subnet = `198.${18 + (subnet % 2)}.${(subnet >> 1) % 256}`
  }

  static make(size: number): Network {
    for (let attempt = 0; ; attempt++) {
      const network = new Network(`ot${process.pid}`, process.pid + attempt)
      process.on('exit', network.#atExit)
      try {
        network.#build(size)
        return network
      } catch (error) {
        network.dispose()
        // Another process has these addresses, or had them and was killed.
        if (attempt === 8 || !(error as Error).message.includes('File exists')) throw error
      }
    }
  }
  #build(size: number): void {
    const router = this.#space('r')
    const address = (at: number, end: number): string => `${this.#subnet}.${at * 4 + end}`
    ip('netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    // Link 0 leads out to the tests, the others to one server each.
    for (let at = 0; at <= size; at++) {
      const near = `${this.#name}n${at}`
      const far = `${this.#name}f${at}`
      ip('-n', router, 'link', 'add', near, 'type', 'veth', 'peer', 'name', far)
      ip('-n', router, 'addr', 'add', `${address(at, 1)}/30`, 'dev', near)
      ip('-n', router, 'link', 'set', near, 'up')
      const inner = at === 0 ? undefined : this.#space(`s${at}`)
      const into = inner === undefined ? [] : ['-n', inner]
      ip('-n', router, 'link', 'set', far, 'netns', inner ?? String(process.pid))
      ip(...into, 'addr', 'add', `${address(at, 2)}/30`, 'dev', far)
      ip(...into, 'link', 'set', far, 'up')
      if (inner !== undefined) {
        ip(...into, 'link', 'set', 'lo', 'up')
        this.hosts.push(address(at, 2))
      }
      ip(...into, 'route', 'add', inner === undefined ? `${this.#subnet}.0/24` : 'default', 'via', address(at, 1))
    }
  }
  #space(end: string): string {
    const name = `${this.#name}${end}`
    ip('netns', 'add', name)
    this.#spaces.push(name)
    return name
  }

  /** The command in front of a server's, so that it runs at its address. */
  within(at: number): string[] {
    return ['ip', 'netns', 'exec', this.#spaces[at + 1]]
  }
  /** Nothing that one server sends arrives at the other any more. */
  cut(from: number, to: number): void {
    const rule = ['from', this.hosts[from], 'to', this.hosts[to], 'blackhole']
    ip('-n', this.#spaces[0], 'rule', 'add', ...rule)
    this.#cuts.push(rule)
  }
  heal(): void {
    for (const rule of this.#cuts.splice(0)) ip('-n', this.#spaces[0], 'rule', 'del', ...rule)
  }
  dispose(): void {
    process.off('exit', this.#atExit)
    // A namespace goes some time after its name has: the way out, at once, so that the same addresses can be had again.
    spawnSync('ip', ['link', 'del', `${this.#name}f0`])
    for (const name of this.#spaces.splice(0)) spawnSync('ip', ['netns', 'del', name])
  }
}

/**
 * Elections alone, on virtual time and chance: peers are `Election` machines, the network loses, doubles, reorders and cuts, peers crash
 * and come back. What a leader does after its election is a stub: who has a quorum of followers gets a new epoch, who has none looks again.
 * The checkers run at every event; a violation names its seed.
 */
import { seededRandom, type SeededRandom } from '../../../src/simulation/random.ts'
import { Election, type ElectionOutput, type ElectionSettings, type ElectionTimer } from '../../../src/zookeeper/zab/election.ts'
import type { Notification } from '../../../src/zookeeper/zab/notification.ts'
import { hasQuorum, quorumConfig, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { isBetter, type ServerId, type Vote } from '../../../src/zookeeper/zab/vote.ts'

export class Violation extends Error {}

export function ensemble(voters: number, observers = 0): QuorumConfig {
  return quorumConfig({
    servers: Array.from({ length: voters + observers }, (_, index) => ({
      id: index + 1, addresses: [{ host: `s${index + 1}`, quorumPort: 2888, electionPort: 3888 }] as const, role: index < voters ? 'participant' as const : 'observer' as const, client: undefined,
    })),
  })
}

const threeGroups = [{ id: 1, members: [1, 2] }, { id: 2, members: [3, 4] }, { id: 3, members: [5] }]

interface Peer {
  readonly id: ServerId
  incarnation: number
  /** undefined while the process is down. */
  machine: Election | undefined
  zxid: bigint
  epoch: number
  timers: Map<ElectionTimer, number>
  settledAt: number
  established: boolean
  lookups: number
}
interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}
export interface WorldSettings {
  readonly seed: number
  readonly make?: (settings: ElectionSettings) => Election
}

const faultsEndMs = 6_000
const endMs = 120_000
const patienceMs = 1_500
const tickMs = 100

/** One run from its seed to the end; throws Violation. Answers how many events it had and what happened, in a line each. */
export function runElections({ seed, make = (settings) => new Election(settings) }: WorldSettings): { events: number; trace: string[] } {
  const random: SeededRandom = seededRandom(seed)
  const plain = ensemble(random.below(3) === 0 ? 5 : 3, random.below(2))
  const config = plain.voters.size === 5 && random.chance(0.3) ? { ...plain, groups: threeGroups, weights: new Map(random.chance(0.5) ? [[4, 0]] : []) } : plain
  const loss = random.chance(0.7) ? random.next() * 0.3 : 0
  const duplication = random.chance(0.5) ? 0.05 : 0
  const heap: Event[] = []
  const trace: string[] = []
  let now = 0
  let order = 0
  let events = 0
  const cut = new Set<string>()
  const peers = new Map<ServerId, Peer>()
  const checks = new Checks(seed, config, trace)

  const later = (ms: number, run: () => void): void => push(heap, { at: now + ms, order: order++, run })
  const connected = (a: ServerId, b: ServerId): boolean => !cut.has(`${a}-${b}`) && !cut.has(`${b}-${a}`)

  const step = (peer: Peer, input: Parameters<Election['step']>[0]): void => {
    if (peer.machine) for (const output of peer.machine.step(input)) perform(peer, output)
  }
  const perform = (peer: Peer, output: ElectionOutput): void => {
    switch (output.kind) {
      case 'send': checks.sent(peer, output.notification); transmit(peer.id, output.to, output.notification); break
      case 'arm': {
        const number = order++
        const { machine } = peer
        peer.timers.set(output.timer, number)
        later(output.ms, () => {
          if (peer.machine === machine && peer.timers.get(output.timer) === number) step(peer, { kind: 'fired', timer: output.timer })
        })
        break
      }
      case 'disarm': peer.timers.delete(output.timer); break
      case 'decided':
        trace.push(`${now} ${peer.id} ${output.state} ${output.vote.leader} round=${output.vote.electionEpoch}`)
        checks.decided(peer, output.vote)
        peer.settledAt = now
        peer.established = false
        break
      case 'configSeen': break
      default: output satisfies never
    }
  }
  /** What was sent last is sent again on a new connection, whatever has happened since. */
  const last = new Map<string, Notification>()
  const transmit = (from: ServerId, to: ServerId, notification: Notification): void => {
    const target = peers.get(to) as Peer
    last.set(`${from}-${to}`, notification)
    if (!target.machine) {
      const { machine } = peers.get(from) as Peer
      // A refused connection is noticed; a cut one is not.
      if (connected(from, to)) later(1, () => { if (peers.get(from)?.machine === machine && !target.machine) step(peers.get(from) as Peer, { kind: 'unreachable', peer: to }) })
      return
    }
    const copies = random.chance(now < faultsEndMs ? duplication : 0) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (cut.has(`${from}-${to}`) || (now < faultsEndMs && random.chance(loss))) continue
      const { machine } = target
      later(1 + random.below(20) + (random.chance(0.02) ? 300 : 0), () => { if (target.machine === machine) step(target, { kind: 'received', from, notification }) })
    }
  }
  const look = (peer: Peer): void => {
    peer.lookups++
    checks.looked(peer)
    step(peer, { kind: 'started', zxid: peer.zxid, epoch: peer.epoch })
  }
  const boot = (peer: Peer): void => {
    if (peer.machine) return
    peer.incarnation++
    peer.timers = new Map()
    peer.machine = make({ serverId: peer.id, config, minNotificationMs: 200, maxNotificationMs: 1_600 })
    trace.push(`${now} ${peer.id} starts`)
    for (const other of peers.values()) {
      const sent = last.get(`${other.id}-${peer.id}`)
      if (other.machine && sent && random.chance(0.7)) transmit(other.id, peer.id, sent)
    }
    look(peer)
  }
  const crash = (peer: Peer): void => {
    if (!peer.machine) return
    trace.push(`${now} ${peer.id} crashes`)
    checks.crashed = true
    peer.machine = undefined
  }
  /** Discovery and synchronisation in one moment: a leader with a quorum of followers has a new epoch, and they its history. */
  const tick = (peer: Peer): void => {
    const { machine } = peer
    if (!machine || machine.state === 'looking') return
    const leader = peers.get(machine.vote.leader) as Peer
    if (machine.state === 'leading') {
      const followers = [...peers.values()].filter((other) => other.machine && other !== peer && other.machine.state === 'following' && other.machine.vote.leader === peer.id && connected(peer.id, other.id))
      if (hasQuorum(config, new Set([peer.id, ...followers.map(({ id }) => id)]))) {
        if (!peer.established) {
          peer.epoch = Math.max(peer.epoch, ...followers.map(({ epoch }) => epoch)) + 1
          peer.established = true
          checks.established(peer, machine.vote.electionEpoch)
          step(peer, { kind: 'settled', state: 'leading', vote: { ...machine.vote, peerEpoch: peer.epoch } })
        }
        if (random.chance(0.3)) peer.zxid = BigInt(peer.epoch) << 32n | ((peer.zxid & 0xffffffffn) + 1n)
        for (const follower of followers) {
          follower.zxid = peer.zxid
          follower.epoch = peer.epoch
          follower.settledAt = now
          step(follower, { kind: 'settled', state: 'following', vote: { ...(follower.machine as Election).vote, peerEpoch: peer.epoch } })
        }
        peer.settledAt = now
      }
    } else if (machine.state === 'observing' && leader.established && leader.machine?.state === 'leading' && connected(peer.id, leader.id)) peer.settledAt = now
    if (now - peer.settledAt > patienceMs) look(peer)
  }

  for (const id of config.servers.keys()) {
    const epoch = random.below(3)
    const peer: Peer = { id, incarnation: 0, machine: undefined, epoch, zxid: BigInt(random.below(epoch + 1)) << 32n | BigInt(random.below(4)), timers: new Map(), settledAt: 0, established: false, lookups: 0 }
    peers.set(id, peer)
    later(random.chance(0.7) ? random.below(50) : random.below(faultsEndMs), () => boot(peer))
    const beat = (): void => {
      tick(peer)
      later(tickMs, beat)
    }
    later(random.below(tickMs), beat)
  }
  for (let fault = random.below(5); fault > 0; fault--) {
    const at = random.below(faultsEndMs - 1_500)
    const victim = peers.get(1 + random.below(peers.size)) as Peer
    const lasts = random.below(1_500)
    if (random.chance(0.5)) {
      later(at, () => crash(victim))
      later(at + lasts, () => boot(victim))
    } else {
      const oneWay = random.chance(0.3)
      const lines = [...peers.keys()].filter((id) => id !== victim.id).flatMap((id) => (oneWay ? [`${victim.id}-${id}`] : [`${victim.id}-${id}`, `${id}-${victim.id}`]))
      later(at, () => { for (const line of lines) cut.add(line) })
      later(at + lasts, () => { for (const line of lines) cut.delete(line) })
    }
  }
  later(faultsEndMs, () => cut.clear())

  while (heap.length > 0) {
    const event = pop(heap)
    now = event.at
    events++
    event.run()
    if (now > faultsEndMs + 3_000 && events % 16 === 0 && isSettled(peers)) return { events, trace }
    if (now > endMs) throw checks.violation(`no agreement ${endMs - faultsEndMs} ms after the last fault: ${[...peers.values()].map(({ id, machine }) => `${id} ${machine?.state} ${machine?.vote.leader}`).join(', ')}`)
  }
  throw new Error('no events left')
}

/** All follow or observe the one that leads, and it has its epoch. */
function isSettled(peers: ReadonlyMap<ServerId, Peer>): boolean {
  const leaders = [...peers.values()].filter(({ machine }) => machine?.state === 'leading')
  return leaders.length === 1 && leaders[0].established && [...peers.values()].every(({ machine }) => machine !== undefined && machine.state !== 'looking' && machine.vote.leader === leaders[0].id)
}

class Checks {
  readonly #seed: number
  readonly #config: QuorumConfig
  readonly #trace: string[]
  /** Who has said, in a round, that it wants this leader. */
  readonly #support = new Map<string, Set<ServerId>>()
  readonly #decisions = new Map<string, ServerId>()
  readonly #established = new Map<number, ServerId>()
  crashed = false
  /** Every history with which a peer has ever gone into an election. */
  readonly #histories = new Set<string>()

  constructor(seed: number, config: QuorumConfig, trace: string[]) {
    this.#seed = seed
    this.#config = config
    this.#trace = trace
  }
  violation(reason: string): Violation {
    return new Violation(`seed ${this.#seed}: ${reason}\n${this.#trace.slice(-30).join('\n')}`)
  }
  looked({ id, zxid, epoch }: Peer): void {
    this.#histories.add(`${id} ${epoch} ${zxid}`)
  }
  sent(peer: Peer, { state, vote }: Notification): void {
    if (vote.leader < 0) return
    const key = `${vote.electionEpoch} ${vote.leader}`
    const supporters = this.#support.get(key) ?? new Set()
    this.#support.set(key, supporters.add(peer.id))
    if (state !== 'looking' || !this.#config.voters.has(peer.id)) return
    // The best history wins: nobody proposes a worse one than its own, or one that nobody has.
    const own: Vote = { leader: peer.id, zxid: peer.zxid, electionEpoch: vote.electionEpoch, peerEpoch: peer.epoch }
    if (isBetter(own, vote)) throw this.violation(`${peer.id} with epoch ${own.peerEpoch} zxid ${own.zxid} proposes ${vote.leader} with epoch ${vote.peerEpoch} zxid ${vote.zxid}`)
    if (!this.#histories.has(`${vote.leader} ${vote.peerEpoch} ${vote.zxid}`)) throw this.violation(`${peer.id} proposes ${vote.leader} with epoch ${vote.peerEpoch} zxid ${vote.zxid}, which it never had`)
  }
  decided(peer: Peer, vote: Vote): void {
    // A leader is chosen by a quorum, each member of which has said so in this round.
    const supporters = new Set(this.#support.get(`${vote.electionEpoch} ${vote.leader}`))
    if (!hasQuorum(this.#config, supporters)) throw this.violation(`${peer.id} takes ${vote.leader} for the leader of round ${vote.electionEpoch}, supported by ${[...supporters].join(',') || 'nobody'} only`)
    // One peer, one election, one leader: what it decided is not decided again.
    const key = `${peer.id} ${peer.incarnation} ${peer.lookups}`
    const before = this.#decisions.get(key)
    if (before !== undefined) throw this.violation(`${peer.id} decides for ${vote.leader} after ${before} in one election`)
    this.#decisions.set(key, vote.leader)
  }
  /** A quorum follows this leader. Rounds begin at 1 again in a peer that has crashed, so that only runs without a crash are judged. */
  established({ id }: Peer, round: number): void {
    const before = this.#established.get(round)
    if (before !== undefined && before !== id && !this.crashed) throw this.violation(`${id} is established in round ${round} after ${before}`)
    this.#established.set(round, id)
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(heap[at], heap[parent])) return
    ;[heap[at], heap[parent]] = [heap[parent], heap[at]]
    at = parent
  }
}
function pop(heap: Event[]): Event {
  const first = heap[0]
  const last = heap.pop() as Event
  if (heap.length === 0) return first
  heap[0] = last
  for (let at = 0; ;) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && isBefore(heap[child], heap[least])) least = child
    if (least === at) return first
    ;[heap[at], heap[least]] = [heap[least], heap[at]]
    at = least
  }
}

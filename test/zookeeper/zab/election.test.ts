import { expect, test } from 'vitest'
import { Election, type ElectionOutput } from '../../../src/zookeeper/zab/election.ts'
import type { Notification } from '../../../src/zookeeper/zab/notification.ts'
import { hasQuorum, parseQuorumConfig, quorumConfig, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import type { PeerState, ServerId } from '../../../src/zookeeper/zab/vote.ts'
import { ensemble } from './election-world.ts'

/**
 * A play of peers on a perfect network. `peers 3 observers 1 zxids 1:4/5` gives peer 1 epoch 4 and a zxid of counter 5;
 * `start`, `stop`, `cut A-B`, `wait MS` act; the answer is what every peer that runs has come to.
 */
class Play {
  readonly #config: QuorumConfig
  readonly #peers = new Map<ServerId, Election>()
  readonly #timers: { at: number; peer: ServerId; machine: Election; timer: 'resend' | 'finalize' }[] = []
  readonly #histories = new Map<ServerId, { epoch: number; zxid: bigint }>()
  readonly #cut = new Set<string>()
  /** What is on its way, in the order of sending. */
  readonly #line: { from: ServerId; machine: Election; to: ServerId; notification: Notification }[] = []
  #delivering = false
  #now = 0

  constructor(first: string) {
    const [, voters, , observers] = /^peers (\d)( observers (\d))?/.exec(first) ?? []
    this.#config = ensemble(Number(voters), Number(observers ?? 0))
    for (const [, id, epoch, counter] of first.matchAll(/(\d):(\d+)\/(\d+)/g)) this.#histories.set(Number(id), { epoch: Number(epoch), zxid: BigInt(epoch) << 32n | BigInt(counter) })
  }
  act(line: string): void {
    const [verb, ...words] = line.split(/\s+/)
    const ids = words.map(Number)
    switch (verb) {
      case 'start':
        for (const id of ids) this.#peers.set(id, new Election({ serverId: id, config: this.#config }))
        return this.#look(ids)
      case 'look': return this.#look(ids)
      case 'established': return this.#establish(ids[0])
      case 'stop': for (const id of ids) this.#peers.delete(id); return
      case 'cut': for (const pair of words) this.#cut.add(pair).add(pair.split('-').toReversed().join('-')); return
      case 'heal': return this.#cut.clear()
      case 'wait': return this.#wait(ids[0])
      default: throw new Error(`no such act: ${line}`)
    }
  }
  #look(ids: readonly ServerId[]): void {
    for (const id of ids) {
      const machine = this.#peers.get(id) as Election
      this.#perform(id, machine, machine.step({ kind: 'started', ...(this.#histories.get(id) ?? { epoch: 0, zxid: 0n }) }))
    }
  }
  #establish(epoch: number): void {
    for (const machine of this.#peers.values()) if (machine.state !== 'looking') machine.step({ kind: 'settled', state: machine.state, vote: { ...machine.vote, peerEpoch: epoch } })
  }
  show(): string {
    const said = (id: ServerId, state: PeerState, leader: ServerId): string => `${id} ${state}${state === 'following' || state === 'observing' ? ` ${leader}` : ''}`
    return [...this.#peers].toSorted(([a], [b]) => a - b).map(([id, { state, vote, round }]) => `${said(id, state, vote.leader)} round=${round}`).join('    ')
  }
  #perform(id: ServerId, machine: Election, outputs: readonly ElectionOutput[]): void {
    for (const output of outputs) {
      if (output.kind === 'arm' || output.kind === 'disarm') {
        const old = this.#timers.findIndex(({ peer, timer }) => peer === id && timer === output.timer)
        if (old >= 0) this.#timers.splice(old, 1)
        if (output.kind === 'arm') this.#timers.push({ at: this.#now + output.ms, peer: id, machine, timer: output.timer })
      } else if (output.kind === 'send' && !this.#cut.has(`${id}-${output.to}`)) this.#line.push({ from: id, machine, to: output.to, notification: output.notification })
    }
    if (this.#delivering) return
    this.#delivering = true
    for (let next = this.#line.shift(); next; next = this.#line.shift()) {
      const to = this.#peers.get(next.to)
      if (to) this.#perform(next.to, to, to.step({ kind: 'received', from: next.from, notification: next.notification }))
      else this.#perform(next.from, next.machine, next.machine.step({ kind: 'unreachable', peer: next.to }))
    }
    this.#delivering = false
  }
  #wait(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0]
      if (!next || next.at > until) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#now = next.at
      if (this.#peers.get(next.peer) === next.machine) this.#perform(next.peer, next.machine, next.machine.step({ kind: 'fired', timer: next.timer }))
    }
    this.#now = until
  }
}
/** Acts line by line; `----` shows where everybody stands. */
function play(text: string): string[] {
  const [first, ...rest] = text.split('\n').map((line) => line.replace(/#.*/, '').trim()).filter(Boolean)
  const stage = new Play(first)
  return rest.flatMap((line) => (line === '----' ? [stage.show()] : (stage.act(line), [])))
}

test('all start at once with nothing: the highest id leads, after a short last look', () => {
  expect(play(`
    peers 3
    start 1 2 3
    wait 30
    ----`)).toEqual(['1 following 3 round=1    2 following 3 round=1    3 leading round=1'])
})
test('the best history wins, then the higher id', () => {
  expect(play(`
    peers 3 zxids 1:4/5 2:4/5 3:4/4
    start 1 2 3
    wait 30
    ----`)).toEqual(['1 following 2 round=1    2 leading round=1    3 following 2 round=1'])
})
test('a later epoch beats a longer log', () => {
  expect(play(`
    peers 3 zxids 1:5/1 2:4/900 3:4/900
    start 1 2 3
    wait 30
    ----`)).toEqual(['1 leading round=1    2 following 1 round=1    3 following 1 round=1'])
})
test('one of three decides nothing, however long it waits; the second completes the majority', () => {
  expect(play(`
    peers 3
    start 1
    wait 300000
    ----
    start 2
    wait 30
    ----`)).toEqual(['1 looking round=1', '1 following 2 round=1    2 leading round=1'])
})
test('a late starter follows the leader that is there, even if its own history is better', () => {
  expect(play(`
    peers 3 zxids 3:9/9
    start 1 2
    wait 30
    established 1
    start 3
    ----`)).toEqual(['1 following 2 round=1    2 leading round=1    3 following 2 round=1'])
})
test('a quorum waits 200 ms for one who can be reached but is silent, and 30 ms where all others refuse connections', () => {
  expect(play(`
    peers 3
    cut 1-3 2-3
    start 1 2 3
    wait 199
    ----
    wait 1
    ----
    stop 1 2 3
    heal
    start 1 2
    wait 29
    ----
    wait 1
    ----`)).toEqual([
    '1 looking round=1    2 looking round=1    3 looking round=1', '1 following 2 round=1    2 leading round=1    3 looking round=1',
    '1 looking round=1    2 looking round=1', '1 following 2 round=1    2 leading round=1',
  ])
})
test('a vote that comes during the last look and is better changes the outcome', () => {
  expect(play(`
    peers 3
    cut 1-3 2-3
    start 1 2
    wait 0
    heal
    start 3
    wait 30
    ----`)).toEqual(['1 following 3 round=1    2 following 3 round=1    3 leading round=1'])
})
test('what one settled server says is no quorum: who lost its leader and who comes late elect one of themselves, although a third says that it leads', () => {
  expect(play(`
    peers 3 zxids 1:5/7
    start 1 2
    wait 30
    ----
    look 2
    start 3
    wait 250
    ----`)).toEqual(['1 leading round=1    2 following 1 round=1', '1 leading round=1    2 following 3 round=2    3 leading round=2'])
})

test('when the leader dies the others elect in the next round, and it joins them when it is back', () => {
  expect(play(`
    peers 3
    start 1 2 3
    wait 30
    established 1
    stop 3
    look 1 2
    wait 30
    ----
    established 2
    start 3
    ----`)).toEqual(['1 following 2 round=2    2 leading round=2', '1 following 2 round=2    2 leading round=2    3 following 2 round=2'])
})
test('who notices the leader’s end a moment later is told the better vote again, without waiting for its repetition', () => {
  const config = ensemble(3)
  const following = (serverId: number): Election => {
    const machine = new Election({ serverId, config })
    machine.step({ kind: 'started', zxid: 0x1_0000_0005n, epoch: 1 })
    machine.step({ kind: 'settled', state: 'following', vote: { leader: 3, zxid: 0n, electionEpoch: 1, peerEpoch: 1 } })
    return machine
  }
  const [one, two] = [following(1), following(2)]
  const look = (machine: Election): ElectionOutput[] => machine.step({ kind: 'started', zxid: 0x1_0000_0005n, epoch: 1 })
  const tell = (from: number, outputs: readonly ElectionOutput[], to: number, machine: Election): ElectionOutput[] =>
    outputs.flatMap((output) => (output.kind === 'send' && output.to === to ? machine.step({ kind: 'received', from, notification: output.notification }) : []))
  // Two looks while one still follows, and is answered so; then one looks too, with a worse vote.
  tell(1, tell(2, look(two), 1, one), 2, two)
  const again = tell(1, look(one), 2, two)
  expect(again).toMatchObject([{ kind: 'send', to: 1, notification: { state: 'looking', vote: { leader: 2 } } }])
  const adopted = tell(2, again, 1, one)
  expect(one.vote.leader).toBe(2)
  expect(tell(1, adopted, 2, two)).toContainEqual(expect.objectContaining({ kind: 'arm', timer: 'finalize' }))
})
test('an observer has no vote: two of four with one voter missing are no majority less, and it observes whom they elect', () => {
  expect(play(`
    peers 3 observers 1
    start 4
    wait 1000
    start 1
    wait 1000
    ----
    start 2
    wait 3000
    ----`)).toEqual(['1 looking round=1    4 looking round=1', '1 following 2 round=1    2 leading round=1    4 observing 2 round=1'])
})
test('a single voter is a quorum by itself', () => {
  expect(play(`
    peers 1
    start 1
    ----`)).toEqual(['1 leading round=1'])
})
test('someone in a later round takes the others along', () => {
  expect(play(`
    peers 3
    start 3
    look 3
    look 3
    start 1 2
    wait 30
    ----`)).toEqual(['1 following 3 round=3    2 following 3 round=3    3 leading round=3'])
})

test('an old vote, sent again by servers that have settled since, elects nobody: what they say next counts', () => {
  const election = new Election({ serverId: 1, config: ensemble(3) })
  const at = (leader: ServerId, peerEpoch: number) => ({ leader, zxid: 0n, electionEpoch: 1, peerEpoch })
  election.step({ kind: 'started', zxid: 0n, epoch: 0 })
  election.step({ kind: 'received', from: 2, notification: { state: 'looking', vote: at(2, 0), config: undefined } })
  expect(election.step({ kind: 'received', from: 3, notification: { state: 'looking', vote: at(3, 0), config: undefined } })).toContainEqual({ kind: 'arm', timer: 'finalize', ms: 30 })
  expect(election.step({ kind: 'received', from: 2, notification: { state: 'leading', vote: at(2, 1), config: undefined } })).toEqual([])
  expect(election.step({ kind: 'received', from: 3, notification: { state: 'following', vote: at(2, 1), config: undefined } })).toContainEqual({ kind: 'decided', vote: at(2, 1), state: 'following' })
})

test('groups: a majority of groups, each by a majority of its weight; who has no weight does not lead', () => {
  const lines = Array.from({ length: 6 }, (_, index) => `server.${index + 1}=h${index + 1}:1:2:participant`).join('\n')
  const config = parseQuorumConfig(`${lines}\ngroup.1=1:2:3\ngroup.2=4:5\ngroup.3=6\nweight.3=0\nweight.6=0\nversion=0`)
  expect(hasQuorum(config, new Set([1, 2, 4, 5]))).toBe(true)
  expect(hasQuorum(config, new Set([1, 3, 4, 5]))).toBe(false) // half of group 1 is no majority
  expect(hasQuorum(config, new Set([1, 2, 3, 6]))).toBe(false) // group 3 has no weight and does not count
  const election = new Election({ serverId: 1, config })
  election.step({ kind: 'started', zxid: 0n, epoch: 0 })
  const better = (leader: ServerId) => election.step({ kind: 'received', from: leader, notification: { state: 'looking', vote: { leader, zxid: 9n, electionEpoch: 1, peerEpoch: 1 }, config: undefined } })
  better(6)
  expect(election.vote.leader).toBe(1)
  better(5)
  expect(election.vote.leader).toBe(5)
})
test('during a reconfiguration a leader needs a quorum of the old members and of the new ones', () => {
  const config = ensemble(3)
  const lastSeen = quorumConfig({ ...ensemble(5), version: 7n, servers: [...ensemble(5).servers.values()].filter(({ id }) => id > 2) })
  const election = new Election({ serverId: 3, config, lastSeen })
  const asked = election.step({ kind: 'started', zxid: 9n, epoch: 1 }).flatMap((output) => (output.kind === 'send' ? [output.to] : []))
  expect(asked).toEqual([1, 2, 4, 5])
  const support = (from: ServerId) => election.step({ kind: 'received', from, notification: { state: 'looking', vote: election.vote, config: undefined } }).map(({ kind }) => kind)
  expect(support(1)).toEqual([])
  expect(support(2)).toEqual([])
  expect(support(4)).toEqual(['arm'])
})
test('a newer configuration in a notification is taken over while looking, where reconfiguration is on', () => {
  const newer = { ...ensemble(5), version: 0x100000000n }
  const notification = { state: 'looking', vote: { leader: 2, zxid: 0n, electionEpoch: 1, peerEpoch: 0 }, config: newer } as const
  const refusing = new Election({ serverId: 1, config: ensemble(3) })
  refusing.step({ kind: 'started', zxid: 0n, epoch: 0 })
  expect(refusing.step({ kind: 'received', from: 2, notification }).some(({ kind }) => kind === 'configSeen')).toBe(false)
  const election = new Election({ serverId: 1, config: ensemble(3), reconfigEnabled: true })
  election.step({ kind: 'started', zxid: 0n, epoch: 0 })
  const outputs = election.step({ kind: 'received', from: 2, notification })
  expect(outputs[0]).toEqual({ kind: 'configSeen', config: newer })
  expect(outputs.flatMap((output) => (output.kind === 'send' ? [output.to] : []))).toEqual(expect.arrayContaining([2, 3, 4, 5]))
})

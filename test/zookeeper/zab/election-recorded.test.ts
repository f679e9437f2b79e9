import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Election, type ElectionOutput } from '../../../src/zookeeper/zab/election.ts'
import { encodeInitial, frameOf, NotificationFrames, readInitial, type Initial } from '../../../src/zookeeper/zab/election-handshake.ts'
import { decodeNotification, encodeNotification, type Notification } from '../../../src/zookeeper/zab/notification.ts'
import { quorumConfig, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'

interface Conversation {
  readonly name: string
  readonly bytes: Buffer
  readonly initial: Initial | undefined
  readonly notifications: readonly Notification[]
}
const lines = readFileSync(new URL('recorded/election-streams.txt', import.meta.url), 'utf8').split('\n').filter((line) => line && !line.startsWith('#'))
const conversations = lines.flatMap((name, at): Conversation[] => {
  if (!name.startsWith('connection')) return []
  const bytes = Buffer.from(lines[at + 1], 'hex')
  const initial = name.endsWith('dialler->listener') ? readInitial(bytes) : undefined
  const notifications: Notification[] = []
  new NotificationFrames().push(bytes.subarray(initial?.size ?? 0), (message) => notifications.push(decodeNotification(message).notification))
  return [{ name, bytes, initial, notifications }]
})
/** `said(49534, '<')`: what the listener told the dialler. */
const said = (connection: number, way: '>' | '<'): readonly Notification[] =>
  (conversations.find(({ name }) => name.startsWith(`connection ${connection} `) && name.endsWith(way === '>' ? 'dialler->listener' : 'listener->dialler')) as Conversation).notifications

test.each(conversations)('$name is written again to the same bytes', ({ bytes, initial, notifications }) => {
  const pieces = notifications.flatMap((notification) => frameOf(encodeNotification(notification)))
  expect(Buffer.concat([...(initial ? [encodeInitial(initial.serverId, initial.addresses, false)] : []), ...pieces])).toEqual(bytes)
})

const recordedConfig = said(56188, '>')[0].config as QuorumConfig
/** Runs a machine and keeps, for each peer, what it was sent, in bytes. */
class Server {
  readonly machine: Election
  readonly sent = new Map<number, string[]>()
  decision: ElectionOutput | undefined
  constructor(id: number) {
    this.machine = new Election({ serverId: id, config: quorumConfig({ servers: [...recordedConfig.servers.values()] }) })
  }
  step(...input: Parameters<Election['step']>): this {
    for (const output of this.machine.step(...input)) {
      if (output.kind === 'send') this.sent.set(output.to, [...(this.sent.get(output.to) ?? []), encodeNotification(output.notification).toString('hex')])
      if (output.kind === 'decided') this.decision = output
    }
    return this
  }
  hear(from: number, ...notifications: readonly Notification[]): this {
    for (const notification of notifications) this.step({ kind: 'received', from, notification })
    return this
  }
}
const hex = (notifications: readonly Notification[]): string[] => notifications.map((notification) => encodeNotification(notification).toString('hex'))

test("server 1 of the recording, first election: our machine says the same to 2, and to 3 who comes late", () => {
  const one = new Server(1).step({ kind: 'started', zxid: 0n, epoch: 0 }).hear(2, ...said(56188, '>')).step({ kind: 'fired', timer: 'finalize' })
  expect(one.sent.get(2)).toEqual(hex(said(56188, '<')))
  expect(one.decision).toMatchObject({ state: 'following', vote: { leader: 2, electionEpoch: 1 } })
  one.sent.clear()
  one.step({ kind: 'settled', state: 'following', vote: { leader: 2, zxid: 0n, electionEpoch: 1, peerEpoch: 1 } }).hear(3, ...said(56202, '>'))
  // Its first message in the recording is an old one, sent again on the new connection.
  expect(one.sent.get(3)).toEqual(hex(said(56202, '<').slice(1)))
})
test('server 1 comes back with a better history than those who lead had at their election: it joins them, old votes that come first notwithstanding', () => {
  const one = new Server(1).step({ kind: 'started', zxid: 0x10000000bn, epoch: 1 })
  const [two, three] = [said(49534, '>'), said(49542, '>')]
  one.hear(2, two[0]).hear(3, three[0]).hear(2, two[1]).hear(3, three[1])
  expect(one.sent.get(2)).toEqual(hex(said(49534, '<')))
  expect(one.sent.get(3)).toEqual(hex(said(49542, '<')))
  expect(one.decision).toMatchObject({ state: 'following', vote: { leader: 2, electionEpoch: 1, peerEpoch: 1 } })
})
test('the leader is killed: servers 1 and 3 go to round 2 and elect 3', () => {
  const [heard, told] = [said(49570, '>'), said(49570, '<')]
  const one = new Server(1).step({ kind: 'started', zxid: 0n, epoch: 0 }).hear(2, ...said(49554, '>')).hear(3, ...heard.slice(0, 2))
  expect(one.decision).toMatchObject({ state: 'following', vote: { leader: 2 } })
  one.step({ kind: 'started', zxid: 0x100000010n, epoch: 1 }).step({ kind: 'unreachable', peer: 2 }).hear(3, heard[2]).step({ kind: 'fired', timer: 'finalize' })
  expect(one.sent.get(3)).toEqual(hex(told))
  expect(one.decision).toMatchObject({ state: 'following', vote: { leader: 3, zxid: 0x100000010n, electionEpoch: 2, peerEpoch: 1 } })
  one.sent.clear()
  const [first] = said(49584, '>')
  one.step({ kind: 'settled', state: 'following', vote: { leader: 3, zxid: 0x100000010n, electionEpoch: 2, peerEpoch: 2 } }).hear(2, first)
  expect(one.sent.get(2)).toEqual(hex(said(49584, '<').slice(1, 2)))
})

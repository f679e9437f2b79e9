/** Conversations of Apache's leaders and followers (3.8.4), one side fed to our machine, the other side compared byte for byte. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LearnerInfo, packetType, QuorumPacket } from '../../../src/zookeeper/protocol/quorum.ts'
import type { CommittedTransaction } from '../../../src/zookeeper/zab/committed-log.ts'
import { Leader, type LeaderInput, type LeaderOutput } from '../../../src/zookeeper/zab/leader.ts'
import { Learner, type LearnerInput, type LearnerOutput } from '../../../src/zookeeper/zab/learner.ts'
import { parseQuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { QuorumStream } from '../../../src/zookeeper/zab/quorum-stream.ts'

interface Conversation {
  readonly id: string
  readonly fromLearner: QuorumPacket[]
  readonly fromLeader: QuorumPacket[]
  readonly snapshot: string[]
}

/** `size`: how many bytes arrive at once. */
function packetsOf(bytes: Buffer, snapshot: string[], size = bytes.length): QuorumPacket[] {
  const stream = new QuorumStream()
  const packets: QuorumPacket[] = []
  let inSnapshot = false
  const sink = { session() {}, acl() {}, node: (path: string) => void snapshot.push(path) }
  const take = (): void => {
    for (;;) {
      if (inSnapshot) {
        if (!stream.snapshot(sink)) return
        inSnapshot = false
      }
      const packet = stream.packet()
      if (!packet) return
      packets.push(packet)
      if (packet.type !== packetType.snap) continue
      stream.beginSnapshot()
      inSnapshot = true
    }
  }
  for (let at = 0; at < bytes.length; at += size) {
    stream.push(bytes.subarray(at, at + size))
    take()
  }
  return packets
}
function recorded(size?: number): Conversation[] {
  const lines = readFileSync(new URL('../protocol/recorded/quorum-streams.txt', import.meta.url), 'utf8').split('\n')
  const found = new Map<string, Conversation>()
  for (const [index, line] of lines.entries()) {
    const match = /^connection (\d+) quorum server=\d+ (\S+)$/.exec(line)
    if (!match) continue
    const [, id, direction] = match
    const conversation = found.get(id) ?? { id, fromLearner: [], fromLeader: [], snapshot: [] }
    found.set(id, conversation)
    const bytes = Buffer.from(lines[index + 1], 'hex')
    ;(direction === 'dialler->listener' ? conversation.fromLearner : conversation.fromLeader).push(...packetsOf(bytes, conversation.snapshot, size ?? bytes.length))
  }
  return [...found.values()]
}
const conversations = recorded()
const hex = (packets: readonly QuorumPacket[]): string[] => packets.map((packet) => QuorumPacket.encode(packet).toString('hex'))
const isProtocol = ({ type }: QuorumPacket): boolean => type === packetType.followerInfo || type === packetType.ackEpoch || type === packetType.ack

test('the streams are taken apart to the last byte, however they arrive', () => {
  expect(conversations.length).toBeGreaterThanOrEqual(6)
  for (const size of [1, 7, 64]) expect(recorded(size)).toEqual(conversations)
  expect(conversations.some(({ snapshot }) => snapshot.length > 0)).toBe(true)
})

describe.each(conversations)('conversation $id', ({ fromLearner, fromLeader }) => {
  const [info, acknowledgement] = fromLearner
  const leaderEpoch = Number(fromLeader[0].zxid >> 32n)
  const acceptedEpoch = Number(info.zxid >> 32n)
  const serverId = Number(LearnerInfo.decode(info.data as Buffer).serverid)

  test('our learner says what the recorded one said', () => {
    const currentEpoch = (acknowledgement.data as Buffer).readInt32BE(0)
    const learner = new Learner({ serverId, role: 'follower', acceptedEpoch, currentEpoch: currentEpoch === -1 ? acceptedEpoch : currentEpoch, lastZxid: acknowledgement.zxid, configVersion: 0n })
    const said: QuorumPacket[] = []
    const kinds: string[] = []
    const step = (input: LearnerInput): void => {
      for (const output of learner.step(input)) carryOut(output)
    }
    const carryOut = (output: LearnerOutput): void => {
      kinds.push(output.kind)
      if (output.kind === 'send') said.push(output.packet)
      else if (output.kind === 'persist') said.push(...output.afterwards)
      else if (output.kind === 'append') step({ kind: 'logged', zxid: output.zxid })
    }
    step({ kind: 'connected' })
    for (const packet of fromLeader) step({ kind: 'packet', packet })
    expect(kinds).not.toContain('abort')
    expect(kinds).toContain('serve')
    const expected = hex(fromLearner.filter(isProtocol))
    // The recording may end before its last acknowledgements.
    expect(hex(said).slice(0, expected.length)).toEqual(expected)
    expect(said.length - expected.length).toBeLessThanOrEqual(1)
  })

  test('our leader says what the recorded one said', () => {
    const history: CommittedTransaction[] = conversations
      .flatMap((conversation) => conversation.fromLeader).filter(({ type }) => type === packetType.proposal)
      .map(({ zxid, data }) => ({ zxid, bytes: data as Buffer }))
      .toSorted((a, b) => Number(a.zxid - b.zxid)).filter(({ zxid }, at, all) => at === 0 || all[at - 1].zxid !== zxid)
    const opening = fromLeader[1]
    const committed = opening.type === packetType.snap ? [] : history.filter(({ zxid }) => zxid <= opening.zxid)
    const sync = fromLeader.findIndex(({ type }) => type === packetType.newLeader)
    const newLeader = fromLeader[sync]
    const said: QuorumPacket[] = []
    // A learner that comes back within an epoch counts for no quorum: its leader serves already.
    const isLate = (acknowledgement.data as Buffer).readInt32BE(0) === -1 || opening.type === packetType.snap
    const leader = new Leader({
      serverId: 99, acceptedEpoch: leaderEpoch - 1, currentEpoch: leaderEpoch - 1, lastZxid: opening.zxid, 
      config: { ...parseQuorumConfig((newLeader.data as Buffer).toString()), voters: new Set(isLate ? [99] : [99, serverId]) },
      committed: () => committed, lastProcessed: () => opening.zxid, tickMs: 2000, initLimit: 10, syncLimit: 5, now: 0,
    })
    const step = (input: LeaderInput): void => {
      for (const output of leader.step(input)) carryOut(output)
    }
    const carryOut = (output: LeaderOutput): void => {
      if (output.kind === 'send' && output.to.includes(1)) said.push(output.packet)
      else if (output.kind === 'sendSnapshot') said.push({ type: packetType.snap, zxid: output.zxid, data: null, authinfo: null })
      else if (output.kind === 'persist') step({ kind: 'persisted', name: output.name })
    }
    const hear = (packet: QuorumPacket): void => step({ kind: 'packet', from: 1, packet, now: 0 })
    for (const output of leader.begin()) carryOut(output)
    hear(info)
    hear(acknowledgement)
    for (const packet of fromLearner.slice(2)) if (packet.type === packetType.ack && (packet.zxid & 0xffff_ffffn) === 0n) hear(packet)
    const upToDate = fromLeader.findIndex(({ type }) => type === packetType.upToDate)
    expect(upToDate).toBe(sync + 1)
    for (const { type, zxid, data } of fromLeader.slice(upToDate + 1)) {
      if (type === packetType.proposal) {
        // The recorded leader had gone on with others before this learner came.
        if (zxid !== leader.lastProposed + 1n) break
        step({ kind: 'propose', transaction: { zxid, bytes: data as Buffer }, now: 0 })
      } else if (type === packetType.commit) {
        step({ kind: 'logged', zxid })
        hear({ type: packetType.ack, zxid, data: null, authinfo: null })
      } else if (type === packetType.ping) {
        if (zxid !== leader.lastProposed) break
        step({ kind: 'ticked', now: 0 })
      } else break
    }
    expect(said.length).toBeGreaterThanOrEqual(4)
    expect(hex(said)).toEqual(hex(fromLeader.slice(0, said.length)))
  })
})

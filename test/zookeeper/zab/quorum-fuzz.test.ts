/** Damaged and random packets: the stream is read or malformed, the machines answer or part, and nobody throws anything else. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeTransaction } from '../../../src/zookeeper/protocol/transactions.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { formatQuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { MalformedError } from '../../../src/wire/reader.ts'
import { LearnerInfo } from '../../../src/zookeeper/protocol/quorum.ts'
import { Leader } from '../../../src/zookeeper/zab/leader.ts'
import { Learner } from '../../../src/zookeeper/zab/learner.ts'
import { QuorumStream } from '../../../src/zookeeper/zab/quorum-stream.ts'
import { ensembleOf } from './members.ts'

const streams = readFileSync(new URL('../protocol/recorded/quorum-streams.txt', import.meta.url), 'utf8').split('\n').filter((line) => /^[0-9a-f]{8,}$/.test(line)).map((line) => Buffer.from(line, 'hex'))
const members = Buffer.from(formatQuorumConfig(ensembleOf(1, 2, 3)))
/** A log entry that brings a configuration, and the same with a byte that is another. */
const reconfiguration = encodeTransaction({ header: { clientId: 1n, cxid: 1, zxid: 0x2_0000_0001n, time: 0, type: op.reconfig }, body: { type: op.reconfig, path: '/zookeeper/config', data: members, version: -1 } })
const damaged = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at % copy.length] = value
  return copy
}
const packets = fc.record({
  type: fc.integer({ min: 0, max: 20 }),
  zxid: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 4 })).map(([epoch, counter]) => (BigInt(epoch) << 32n) | BigInt(counter))),
  data: fc.oneof(
    fc.constant(null), fc.constantFrom(reconfiguration, members, Buffer.concat([Buffer.alloc(8), reconfiguration])),
    fc.tuple(fc.constantFrom(reconfiguration, members), fc.nat(), fc.nat(255)).map(([bytes, at, value]) => damaged(bytes, at, value)), fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)), fc.constant(Buffer.from([0, 1, 0, 0])),
    fc.integer({ min: 0, max: 5 }).map((id) => LearnerInfo.encode({ serverid: BigInt(id), protocolVersion: 0x10000, configVersion: 0n })),
  ),
  authinfo: fc.constant(null),
})

test('a damaged stream is read or is malformed, and never takes more than it was sent', () => {
  fc.assert(fc.property(fc.nat(streams.length - 1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.integer({ min: 1, max: 300 }), (which, damage, size) => {
    const bytes = Buffer.from(streams[which].subarray(0, 4000))
    for (const [at, value] of damage) bytes[at % bytes.length] = value
    const stream = new QuorumStream()
    let inSnapshot = false
    try {
      for (let at = 0; at < bytes.length; at += size) {
        stream.push(bytes.subarray(at, at + size))
        for (;;) {
          if (inSnapshot && !stream.snapshot({ session() {}, acl() {}, node() {} })) break
          inSnapshot = false
          const packet = stream.packet()
          if (!packet) break
          if (packet.type !== 15) continue
          stream.beginSnapshot()
          inSnapshot = true
        }
      }
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedError)
    }
  }), { numRuns: 2000, seed: 4 })
})
test('a leader outlives whatever learners say, and commits nothing that no voter has logged', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), packets), { maxLength: 40 }), (said) => {
    const leader = new Leader({
      serverId: 5, acceptedEpoch: 1, currentEpoch: 1, lastZxid: 1n, config: ensembleOf(1, 2, 5), committed: () => [], lastProcessed: () => 1n,
      tickMs: 100, initLimit: 5, syncLimit: 2, now: 0,
    })
    let proposed = 0
    for (const [from, packet] of said) {
      for (const output of leader.step({ kind: 'packet', from, packet, now: 0 })) {
        if (output.kind === 'persist') leader.step({ kind: 'persisted', name: output.name })
        // Own log is silent: one other voter alone is no quorum here.
        expect(output.kind === 'commit' && proposed === 0).toBe(false)
      }
      if (leader.isEstablished && proposed++ < 3) leader.step({ kind: 'propose', transaction: { zxid: leader.lastProposed + 1n, bytes: Buffer.from('t') }, now: 0 })
    }
  }), { numRuns: 3000, seed: 4 })
})
test('a learner outlives whatever its leader says, and applies nothing that it has not appended', () => {
  fc.assert(fc.property(fc.constantFrom('follower' as const, 'observer' as const), fc.boolean(), fc.array(packets, { maxLength: 40 }), (role, reconfigEnabled, said) => {
    const learner = new Learner({ serverId: 1, role, acceptedEpoch: 1, currentEpoch: 1, lastZxid: 0x1_0000_0001n, configVersion: 0n, reconfigEnabled })
    learner.step({ kind: 'connected' })
    const appended: bigint[] = []
    for (const packet of said) {
      for (const output of learner.step({ kind: 'packet', packet })) {
        if (output.kind === 'append') appended.push(output.zxid)
        if (output.kind === 'commit') expect(appended.shift()).toBe(output.zxid)
      }
    }
  }), { numRuns: 3000, seed: 4 })
})

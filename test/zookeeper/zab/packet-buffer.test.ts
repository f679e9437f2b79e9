/** Packets written by hand, for speed, against the codec that is printed from their schema. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packetType, QuorumPacket } from '../../../src/zookeeper/protocol/quorum.ts'
import { PacketBuffer } from '../../../src/zookeeper/zab/packet-buffer.ts'
import { QuorumStream } from '../../../src/zookeeper/zab/quorum-stream.ts'

const sizes = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 8_000, max: 8_400 }), fc.integer({ min: 32_000, max: 40_000 }))
const packets = fc.record({
  type: fc.integer({ min: 1, max: 19 }),
  zxid: fc.bigInt({ min: -1n, max: (1n << 63n) - 1n }),
  data: fc.option(sizes.map((size) => Buffer.alloc(size, size))),
  authinfo: fc.option(fc.array(fc.record({ scheme: fc.constantFrom('ip', 'digest', 'x509'), id: fc.string({ unit: 'grapheme', maxLength: 20 }) }), { maxLength: 3 })),
})

describe('PacketBuffer', () => {
  test('writes what the schema says, and the stream reads it back, in whatever pieces it comes', () => {
    fc.assert(fc.property(fc.array(fc.array(packets, { maxLength: 8 }), { maxLength: 4 }), fc.integer({ min: 500, max: 70_000 }), (turns, chunk) => {
      const out = new PacketBuffer()
      const stream = new QuorumStream()
      for (const turn of turns) {
        for (const packet of turn) out.packet(packet)
        const { size } = out
        const bytes = Buffer.concat(out.take())
        expect(bytes.length).toBe(size)
        expect(out.size).toBe(0)
        expect(bytes.equals(Buffer.concat(turn.map((packet) => QuorumPacket.encode(packet))))).toBe(true)
        const read: Buffer[] = []
        for (let at = 0; at < bytes.length; at += chunk) {
          stream.push(bytes.subarray(at, at + chunk))
          for (let packet = stream.packet(); packet; packet = stream.packet()) read.push(QuorumPacket.encode(packet))
        }
        expect(read.length).toBe(turn.length)
        expect(Buffer.concat(read).equals(bytes)).toBe(true)
      }
    }), { numRuns: 100 })
  })
  test('what was handed over does not change when the next packets are written', () => {
    const out = new PacketBuffer()
    const first = { type: packetType.commit, zxid: 5n, data: null, authinfo: null }
    out.packet(first)
    const taken = out.take()
    for (let at = 0; at < 5000; at++) out.packet({ type: packetType.proposal, zxid: BigInt(at), data: Buffer.alloc(100, 7), authinfo: [] })
    expect(Buffer.concat(taken).equals(QuorumPacket.encode(first))).toBe(true)
  })
})

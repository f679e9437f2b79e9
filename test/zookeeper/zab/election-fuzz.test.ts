import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MalformedError } from '../../../src/wire/reader.ts'
import { Election } from '../../../src/zookeeper/zab/election.ts'
import { encodeInitial, frameOf, NotificationFrames, readInitial } from '../../../src/zookeeper/zab/election-handshake.ts'
import { decodeNotification, encodeNotification, type Notification } from '../../../src/zookeeper/zab/notification.ts'
import { ensemble } from './election-world.ts'

const seed = 20_240_607
const orMalformed = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError)
    return undefined
  }
}
/** Valid bytes with a few of them changed, or cut. */
const damaged = (valid: Buffer) => fc.record({ flips: fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 }), size: fc.nat(valid.length) }).map(({ flips, size }) => {
  const bytes = Buffer.from(valid.subarray(0, size))
  for (const [at, value] of flips) if (at < size) bytes[at] = value
  return bytes
})
const vote = { leader: 2, zxid: 0x100000001n, electionEpoch: 3, peerEpoch: 1 }
const valid = encodeNotification({ state: 'looking', vote, config: ensemble(3, 1) })

test('whatever the bytes, a notification is read or is malformed; what is read can be answered', () => {
  fc.assert(fc.property(fc.oneof(damaged(valid), fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))), fc.constantFrom(1, 2, 3, 4, 9), (bytes, from) => {
    const decoded = orMalformed(() => decodeNotification(bytes))
    if (!decoded) return
    const election = new Election({ serverId: 1, config: ensemble(3, 1), reconfigEnabled: true })
    for (const output of [...election.step({ kind: 'started', zxid: 5n, epoch: 0 }), ...election.step({ kind: 'received', from, notification: decoded.notification })])
      if (output.kind === 'send') encodeNotification(output.notification)
  }), { seed, numRuns: 2_000 })
})
test('an introduction, too', () => {
  const introduction = encodeInitial(3, [{ host: '10.0.0.3', port: 3888 }], false)
  fc.assert(fc.property(fc.oneof(damaged(introduction), fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))), (bytes) => void orMalformed(() => readInitial(bytes))), { seed, numRuns: 2_000 })
})
test('frames come out whole however the stream is cut', () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sizes, cuts) => {
    const messages = sizes.map((size, index) => Buffer.alloc(size, index + 1))
    const stream = Buffer.concat(messages.flatMap((message) => frameOf(message)))
    const frames = new NotificationFrames()
    const taken: Buffer[] = []
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      const end = at + cuts[turn % cuts.length]
      frames.push(stream.subarray(at, end), (message) => taken.push(Buffer.from(message)))
      at = end
    }
    expect(taken).toEqual(messages)
  }), { seed, numRuns: 300 })
})
test('a round beyond 2^53 is refused, as no election gets there', () => {
  const forged: Notification = { state: 'looking', vote: { ...vote, electionEpoch: 2 ** 60 }, config: undefined }
  expect(() => decodeNotification(encodeNotification(forged))).toThrow(/a round of 1152921504606846976/)
})

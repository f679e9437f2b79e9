import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameCutter, FrameMemory, FrameRefusedError } from '../../../src/kafka/broker/frames.ts'

const framed = (payload: Uint8Array) => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(payload.length)
  return Buffer.concat([head, payload])
}
const cutter = ({ sizeMax = 1 << 20, memory = new FrameMemory(1 << 22), resume = () => {} } = {}) => new FrameCutter({ sizeMax, memory, resume })
const all = (frames: FrameCutter) => {
  const out: Buffer[] = []
  for (let frame = frames.next(); frame; frame = frames.next()) out.push(frame)
  return out
}

test('frames come out whole and in order, however the bytes were cut', () => {
  const payloads = fc.array(fc.uint8Array({ minLength: 8, maxLength: 300 }).map((bytes) => Buffer.from(bytes)), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(payloads, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (wanted, cuts) => {
      const stream = Buffer.concat(wanted.map(framed))
      const frames = cutter()
      const got: Buffer[] = []
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = cuts[turn % cuts.length]
        frames.push(stream.subarray(at, at + size))
        at += size
        got.push(...all(frames))
      }
      expect(got.map((frame) => frame.toString('hex'))).toEqual(wanted.map((payload) => payload.toString('hex')))
    }),
  )
})

/** As a socket that reads into the room it is shown: what lay there before is overwritten. */
function readInto(frames: FrameCutter, stream: Buffer, cuts: readonly number[]): Buffer[] {
  const got: Buffer[] = []
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const room = frames.room()
    const size = stream.copy(room, 0, at, Math.min(at + cuts[turn % cuts.length], at + room.length))
    at += size
    frames.push(room.subarray(0, size))
    got.push(...all(frames))
    frames.keep()
  }
  return got
}
const size = fc.oneof(fc.integer({ min: 8, max: 300 }), fc.integer({ min: 60_000, max: 200_000 }))

test('frames stay as they are when their room is read into again, small and large ones mixed', () => {
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 6 }), fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1000, max: 150_000 })), { minLength: 1 }), (sizes, cuts) => {
      const wanted = sizes.map((each, index) => Buffer.alloc(each, index + 1))
      const got = readInto(cutter({ sizeMax: 1 << 24 }), Buffer.concat(wanted.map(framed)), [...cuts, 100_000])
      expect(got.length).toBe(wanted.length)
      for (const [index, frame] of got.entries()) expect(frame.equals(wanted[index])).toBe(true)
    }),
    { numRuns: 50 },
  )
})
test('a large frame is received where it stays', () => {
  const frames = cutter()
  const stream = framed(Buffer.alloc(200_000, 7))
  const first = frames.room()
  stream.copy(first, 0, 0, 10_000)
  frames.push(first.subarray(0, 10_000))
  expect(frames.next()).toBeUndefined()
  frames.keep()
  const second = frames.room()
  expect(second.length).toBe(200_004 - 10_000)
  stream.copy(second, 0, 10_000)
  frames.push(second)
  const frame = frames.next()!
  expect(frame.buffer).toBe(second.buffer)
  expect(frame.equals(stream.subarray(4))).toBe(true)
})
test('what cannot be cut yet outlives the next read of another connection', () => {
  const memory = new FrameMemory(1 << 22)
  const [one, other] = [cutter({ memory }), cutter({ memory })]
  const wanted = Buffer.from('0123456789')
  const stream = framed(wanted)
  const room = one.room()
  stream.copy(room)
  // Nobody asks for the frame now: a request before it is at work.
  one.push(room.subarray(0, stream.length))
  one.keep()
  other.room().fill(0xff)
  expect(one.next()?.equals(wanted)).toBe(true)
})

describe('what is no Kafka request is refused by name', () => {
  const said = (bytes: Uint8Array) => {
    const frames = cutter()
    frames.push(Buffer.from(bytes))
    try {
      frames.next()
    } catch (error) {
      expect(error).toBeInstanceOf(FrameRefusedError)
      return (error as Error).message
    }
    return ''
  }
  test('a TLS hello', () => expect(said(Buffer.from('160301020001000', 'hex'))).toMatch(/TLS hello/))
  test('an HTTP request', () => expect(said(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toMatch(/HTTP request/))
  test('a four-letter word', () => expect(said(Buffer.from('ruok\n'))).toMatch(/four-letter word 'ruok'/))
  test("a ZooKeeper client's handshake", () => {
    const handshake = Buffer.alloc(44)
    handshake.writeInt32BE(16, 24)
    expect(said(framed(handshake))).toMatch(/ZooKeeper client's handshake/)
  })
  test('a size beyond the limit, before anything is allocated', () => expect(said(Buffer.from('7fffffff', 'hex'))).toMatch(/2147483647 bytes; socket.request.max.bytes allows 0 to 1048576/))
  test('a negative size', () => expect(said(Buffer.from('ffffffff', 'hex'))).toMatch(/-1 bytes/))
})

describe('memory for large frames', () => {
  const large = 100 * 1024
  test('is bounded: a frame waits until another has been answered', () => {
    const memory = new FrameMemory(150 * 1024)
    let resumed = 0
    const first = cutter({ memory })
    const second = cutter({ memory, resume: () => resumed++ })
    first.push(framed(Buffer.alloc(large, 1)))
    expect(first.next()).toHaveLength(large)
    second.push(framed(Buffer.alloc(large, 1)))
    expect(second.next()).toBeUndefined()
    expect(second.starved).toBe(true)
    memory.release(large)
    expect(resumed).toBe(1)
    expect(second.next()).toHaveLength(large)
  })
  test('is given back by a connection that ends in the middle of a frame', () => {
    const memory = new FrameMemory(150 * 1024)
    const first = cutter({ memory })
    first.push(framed(Buffer.alloc(large, 1)).subarray(0, 50_000))
    expect(first.next()).toBeUndefined()
    first.close()
    const second = cutter({ memory })
    second.push(framed(Buffer.alloc(large, 1)))
    expect(second.next()).toHaveLength(large)
  })
})

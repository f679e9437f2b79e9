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

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReceiver } from '../../../src/kafka/client/frame-receiver.ts'

const framed = (body: Uint8Array): Buffer => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(body.length)
  return Buffer.concat([head, body])
}
const sizes = fc.array(fc.oneof(fc.integer({ min: 4, max: 300 }), fc.integer({ min: 60_000, max: 70_000 }), fc.integer({ min: 70_000, max: 300_000 })), { minLength: 1, maxLength: 8 })

test('frames come out as they were sent, however they are cut, in the room that was offered or elsewhere', () => {
  fc.assert(
    fc.property(sizes, fc.array(fc.tuple(fc.integer({ min: 1, max: 150_000 }), fc.boolean()), { minLength: 1 }), fc.boolean(), (bodies, cuts, reusesRoom) => {
      const sent = bodies.map((size, index) => Buffer.alloc(size, index + 1))
      const stream = Buffer.concat(sent.map(framed))
      const receiver = new FrameReceiver({ sizeMax: 1 << 20, reusesRoom })
      const seen: Buffer[] = []
      let at = 0
      for (let turn = 0; at < stream.length; turn++) {
        const [size, inRoom] = cuts[turn % cuts.length]
        const room = receiver.room()
        expect(room.length).toBeGreaterThan(0)
        const piece = stream.subarray(at, at + (inRoom ? Math.min(size, room.length) : size))
        at += piece.length
        let chunk: Buffer = Buffer.from(piece)
        if (inRoom) {
          chunk = Buffer.from(room.buffer, room.byteOffset, piece.length)
          piece.copy(chunk)
        }
        // A frame is looked at when it comes: the next large one may take its place.
        receiver.received(chunk, (frame) => seen.push(Buffer.from(frame)))
      }
      expect(seen.map((frame) => frame.length)).toEqual(bodies)
      expect(seen.every((frame, index) => frame.equals(sent[index]))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('without reuse every frame keeps its bytes', () => {
  const receiver = new FrameReceiver({ sizeMax: 1 << 20, reusesRoom: false })
  const seen: Buffer[] = []
  for (const fill of [1, 2]) receiver.received(framed(Buffer.alloc(100_000, fill)), (frame) => seen.push(frame))
  expect(seen.map((frame) => frame[99_999])).toEqual([1, 2])
})

test('a size that cannot be is refused before room is made for it', () => {
  const receiver = new FrameReceiver({ sizeMax: 1000, reusesRoom: true })
  expect(() => receiver.received(Buffer.from([0, 0, 4, 0]), () => {})).toThrow(/a frame of 1024 bytes, at most 1000 are taken/)
})

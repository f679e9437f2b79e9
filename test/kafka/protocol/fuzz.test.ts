import { expect, test } from 'vitest'
import type { Api } from '../../../src/kafka/protocol/api.ts'
import { apiByKey, apis } from '../../../src/kafka/protocol/apis.ts'
import { decodeRequest, decodeResponse } from '../../../src/kafka/protocol/headers.ts'
import { MalformedError } from '../../../src/wire/reader.ts'
import { ownFrames, recordedPairs } from './recorded.ts'

/** `FUZZ_CASES=5000000 FUZZ_SEED=7 npx vitest run test/kafka/protocol/fuzz` for more, or for another hundred thousand. */
const cases = Number(process.env['FUZZ_CASES'] ?? 100_000)
const seed = Number(process.env['FUZZ_SEED'] ?? 1)

/** Mulberry32: the whole run is one number. */
function numbers(from: number): (below: number) => number {
  let state = from >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below | 0
  }
}
const nasty = [0x7fff_ffff, -1, -2, -0x8000_0000, 0x0fff_ffff, 0x00ff_ffff, 0xffff, 0]

function mutated(frame: Buffer, below: (n: number) => number, header: number): Buffer {
  const bytes = Buffer.from(frame)
  const room = bytes.length - header
  if (room <= 4) return bytes
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const at = header + below(room)
    switch (below(6)) {
      case 0: bytes[at] ^= 1 << below(8); break
      case 1: bytes[at] = below(256); break
      case 2: bytes.writeInt32BE(nasty[below(nasty.length)], Math.min(at, bytes.length - 4)); break
      case 3: bytes.fill(0xff, at, Math.min(at + 1 + below(8), bytes.length)); break
      case 4: return bytes.subarray(0, at)
      case 5: return Buffer.concat([bytes.subarray(0, at), Buffer.from(Array.from({ length: below(12) }, () => below(256))), bytes.subarray(at)])
    }
  }
  return bytes
}

test(`${cases} random and mutated frames are read or refused as malformed, and never claim memory they do not bring`, { timeout: 600_000 }, () => {
  const pairs = recordedPairs(ownFrames)
  const below = numbers(seed)
  let read = 0
  let refused = 0
  let slowestMs = 0
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < cases; index++) {
    let attempt: () => unknown
    let frame: Buffer
    if (index % 4 === 0) {
      const api: Api = apis[below(apis.length)]
      const version = below(api.versions[1] + 1)
      frame = Buffer.from(Array.from({ length: below(120) }, () => below(below(2) ? 256 : 4)))
      const side = below(2) ? api.request : api.response
      attempt = side === api.request && frame.length >= 4
        ? () => (frame.writeInt16BE(api.key, 0), frame.writeInt16BE(version, 2), decodeRequest(api, frame))
        : () => decodeResponse(api, version, frame)
    } else {
      const pair = pairs[below(pairs.length)]
      const api = apiByKey(pair.key)!
      frame = index % 2 ? mutated(pair.request, below, 4) : mutated(pair.response, below, 0)
      attempt = index % 2 ? () => decodeRequest(api, frame) : () => decodeResponse(api, pair.version, frame)
    }
    const start = process.cpuUsage()
    try {
      attempt()
      read++
    } catch (error) {
      if (!(error instanceof MalformedError)) throw new Error(`case ${index} of seed ${seed}: ${frame.toString('hex')}`, { cause: error })
      refused++
    }
    const { user, system } = process.cpuUsage(start)
    slowestMs = Math.max(slowestMs, (user + system) / 1_000)
  }
  expect(read).toBeGreaterThan(cases / 50)
  expect(refused).toBeGreaterThan(cases / 10)
  // A frame of a kilobyte that made the reader allocate gigabytes would take seconds; a collection of garbage does not.
  expect(slowestMs).toBeLessThan(2000)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(512 * 1024 * 1024)
})

test('a length that the frame does not bring is refused before anything is allocated', () => {
  const api = apiByKey(3)!
  const claim = (length: number, rest = 0) => {
    const frame = Buffer.alloc(14 + rest)
    frame.writeInt16BE(3, 0)
    frame.writeInt16BE(-1, 8)
    frame.writeInt32BE(length, 10)
    return () => decodeRequest(api, frame)
  }
  expect(claim(0x7fff_ffff)).toThrow(/an array of 2147483647 elements in 0 bytes/)
  expect(claim(-5)).toThrow(/a length of -5 for 'topics'/)
  // Enough bytes for each element, but more elements than anybody means.
  expect(claim(5_000_000, 10_000_000)).toThrow(/more array elements than one message may have/)
})

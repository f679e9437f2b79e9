import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { apiByKey } from '../../../src/kafka/protocol/apis.ts'
import { ApiVersions } from '../../../src/kafka/protocol/api-versions.ts'
import { ControlledShutdown } from '../../../src/kafka/protocol/controlled-shutdown.ts'
import { Heartbeat } from '../../../src/kafka/protocol/heartbeat.ts'
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, requestHeaderVersion, responseHeaderVersion } from '../../../src/kafka/protocol/headers.ts'
import { MalformedError } from '../../../src/wire/reader.ts'
import { allFrames, ownFrames, recordedPairs } from './recorded.ts'

const frame = (pieces: Uint8Array[]) => Buffer.concat(pieces)
const sized = (content: Buffer) => Buffer.concat([Buffer.from([content.length >>> 24, content.length >>> 16, content.length >>> 8, content.length]), content])

for (const [title, file] of [['a selection', ownFrames], ['all recordings', allFrames]] as const) {
  if (!existsSync(file)) console.warn(`SKIPPED: ${title} of frames, because ${file.pathname} does not exist`)
  describe.runIf(existsSync(file))(`what Apache Kafka 3.9 and its clients said decodes, and encodes to the same bytes: ${title}`, () => {
    const pairs = existsSync(file) ? recordedPairs(file) : []
    test.each(pairs)('api $key version $version of $client', ({ key, version, request, response }) => {
      const api = apiByKey(key)!
      const asked = decodeRequest(api, request)
      expect(asked.header).toMatchObject({ apiKey: key, apiVersion: version })
      expect(frame(encodeRequest(api, asked.header, asked.request)).equals(sized(request))).toBe(true)
      if (response.length === 0) return
      const answered = decodeResponse(api, version, response)
      expect(answered.correlationId).toBe(asked.header.correlationId)
      expect(frame(encodeResponse(api, version, answered.correlationId, answered.response)).equals(sized(response))).toBe(true)
    })
    test('there are some', () => expect(pairs.length).toBeGreaterThan(40))
  })
}

describe('headers', () => {
  test('ControlledShutdown v0 alone has no client id', () => {
    expect(requestHeaderVersion(ControlledShutdown, 0)).toBe(0)
    expect(requestHeaderVersion(ControlledShutdown, 1)).toBe(1)
    expect(requestHeaderVersion(ControlledShutdown, 3)).toBe(2)
    const [bytes] = encodeRequest(ControlledShutdown, { apiVersion: 0, correlationId: 7, clientId: 'x' }, { brokerId: 3 })
    expect(Buffer.from(bytes).toString('hex')).toBe('0000000c' + '00070000' + '00000007' + '00000003')
  })
  test('ApiVersions answers with header 0 in every version', () => {
    expect(responseHeaderVersion(ApiVersions, 3)).toBe(0)
    expect(responseHeaderVersion(Heartbeat, 4)).toBe(1)
    expect(responseHeaderVersion(Heartbeat, 3)).toBe(0)
  })
  test('a client id may be null, and keeps its short length in flexible versions', () => {
    const request = { groupId: 'g', generationId: 1, memberId: 'm' }
    for (const clientId of [null, '', 'müller']) {
      const bytes = frame(encodeRequest(Heartbeat, { apiVersion: 4, correlationId: 1, clientId }, request))
      expect(decodeRequest(Heartbeat, bytes.subarray(4))).toEqual({
        header: { apiKey: 12, apiVersion: 4, correlationId: 1, clientId },
        request: { ...request, groupInstanceId: null },
      })
    }
  })
  test('another key, or a version out of range, is refused by name', () => {
    const [bytes] = encodeRequest(Heartbeat, { apiVersion: 4, correlationId: 1, clientId: null }, { groupId: 'g', generationId: 1, memberId: 'm' })
    const content = Buffer.from(bytes).subarray(4)
    expect(() => decodeRequest(ApiVersions, content)).toThrow(/key 12 where ApiVersions \(18\)/)
    content.writeInt16BE(9, 2)
    expect(() => decodeRequest(Heartbeat, content)).toThrow(new MalformedError('Heartbeat version 9, known are 0 to 4', 8))
  })
  test('unknown tags, in header and body, are skipped', () => {
    const content = Buffer.from('000c0004000000010000' + '0107020102' + '0267' + '00000001' + '026d' + '00' + '01050101', 'hex')
    // Header: client id "", tag 7 of two bytes. Body: group "g", generation 1, member "m", no instance, tag 5 of one byte.
    expect(decodeRequest(Heartbeat, content).request).toEqual({ groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null })
  })
})

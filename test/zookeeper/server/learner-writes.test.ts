/** What a follower passes on: exactly what its leader will be able to read. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { CreateRequest, DeleteRequest, SetDataRequest } from '../../../src/zookeeper/protocol/records.ts'
import { LearnerWrites } from '../../../src/zookeeper/server/learner-writes.ts'
import type { FollowingDoor } from '../../../src/zookeeper/zab/replica.ts'
import { Sessions } from '../../../src/zookeeper/znodes/sessions.ts'

const following: FollowingDoor = { leader: 1, send() {}, takeSessions: undefined, onSynced: undefined, onRevalidated: undefined }
const writes = new LearnerWrites(following, new Sessions({ tickMs: 2000, firstId: 1n }))
const acl = fc.array(fc.record({ perms: fc.nat(31), id: fc.record({ scheme: fc.constantFrom('world', 'ip', ''), id: fc.string({ maxLength: 8 }) }) }), { maxLength: 3 })
const data = fc.option(fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)))
const requests = [
  { type: op.create, record: CreateRequest, body: fc.record({ path: fc.string(), data, acl: fc.option(acl), flags: fc.integer() }).map((request) => CreateRequest.encode(request)) },
  { type: op.setData, record: SetDataRequest, body: fc.record({ path: fc.string(), data, version: fc.integer() }).map((request) => SetDataRequest.encode(request)) },
  { type: op.delete, record: DeleteRequest, body: fc.record({ path: fc.string(), version: fc.integer() }).map((request) => DeleteRequest.encode(request)) },
] as const
const harm = fc.option(fc.record({ at: fc.nat(60), value: fc.constantFrom(0, 1, 127, 254, 255), cut: fc.nat(60) }))

describe('LearnerWrites', () => {
  test.each(requests)('refuses of type $type what the codec cannot read, and nothing else', ({ type, record, body }) => {
    fc.assert(fc.property(body, harm, (whole, harmed) => {
      let bytes = Buffer.from(whole)
      if (harmed) {
        if (harmed.at < bytes.length) bytes[harmed.at] = harmed.value
        bytes = bytes.subarray(0, Math.max(0, bytes.length - (harmed.cut > 30 ? harmed.cut - 30 : 0)))
      }
      let isReadable = true
      try {
        record.decode(bytes)
      } catch {
        isReadable = false
      }
      expect(writes.refusalOf(type, bytes) === undefined).toBe(isReadable)
    }), { numRuns: 500 })
  })
})

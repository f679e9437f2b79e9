import { expect, test } from 'vitest'
import { openAcl, readAcls, readCreateRequest, writeAcls } from '../../../src/zookeeper/protocol/open-acl.ts'
import { AclList, CreateRequest, type Acl } from '../../../src/zookeeper/protocol/records.ts'
import { MalformedError, Reader } from '../../../src/wire/reader.ts'
import { Writer } from '../../../src/wire/writer.ts'

const equal: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]
const written = (acl: readonly Acl[] | null) => {
  const writer = new Writer()
  writeAcls(writer, acl)
  return writer.toBuffer()
}

test('the list open to all has the bytes of any list, and is read as itself', () => {
  expect(written(openAcl)).toEqual(AclList.encode({ acl: equal }))
  const reader = new Reader(written(equal))
  expect(readAcls(reader)).toBe(openAcl)
  expect(reader.remaining).toBe(0)
})
test('a list that differs from it in a byte, or is longer, is read as it is', () => {
  const lists: (Acl[] | null)[] = [
    null, [], [{ ...equal[0], perms: 30 }], [{ perms: 31, id: { scheme: 'world', id: 'anyonf' } }], [{ perms: 31, id: { scheme: 'xorld', id: 'anyone' } }], [...equal, ...equal],
  ]
  for (const acl of lists) {
    expect(written(acl)).toEqual(AclList.encode({ acl }))
    const reader = new Reader(written(acl))
    expect(readAcls(reader)).toEqual(acl)
    expect(reader.remaining).toBe(0)
  }
})
test('a request to create is read like its record, cut ones are refused', () => {
  for (const acl of [equal, null, [{ perms: 1, id: { scheme: 'ip', id: '::1' } }]]) {
    const bytes = CreateRequest.encode({ path: '/a', data: Buffer.from('x'), acl, flags: 3 })
    expect(readCreateRequest(new Reader(bytes))).toEqual(CreateRequest.decode(bytes))
    for (let size = 0; size < bytes.length; size++) expect(() => readCreateRequest(new Reader(bytes.subarray(0, size)))).toThrow(MalformedError)
  }
})

import assert from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import type { Message } from '../../../src/kafka/protocol/api.ts'
import { apis } from '../../../src/kafka/protocol/apis.ts'
import { Reader } from '../../../src/wire/reader.ts'
import type { Fields } from '../../../src/wire/schema.ts'
import { Writer } from '../../../src/wire/writer.ts'
import { interpretRead, interpretWrite } from '../../wire/interpreter.ts'
import { messages } from '../../wire/messages.ts'

describe('the printed codec agrees with the interpreted schema, in every version and both directions', () => {
  for (const api of apis)
    test(`${api.name} (${api.key})`, () => {
      for (let version = api.versions[0]; version <= api.versions[1]; version++)
        for (const side of [api.request, api.response] as Message<Fields>[]) {
          const dialect = version >= side.flexible ? 'compact' : 'classic'
          const codec = side.codec(version)
          fc.assert(
            fc.property(messages(side.fields, version, dialect), (message) => {
              const oracle = new Writer()
              interpretWrite(oracle, side.fields, version, dialect, message)
              const wanted = oracle.toBuffer()
              const printed = new Writer()
              codec.write(printed, message)
              const bytes = printed.toBuffer()
              assert.ok(bytes.equals(wanted), `${side.name} v${version} writes ${bytes.toString('hex')}, wanted is ${wanted.toString('hex')}`)
              const reader = new Reader(bytes)
              assert.deepStrictEqual(codec.read(reader), message)
              assert.strictEqual(reader.remaining, 0)
              assert.deepStrictEqual(interpretRead(new Reader(bytes), side.fields, version, dialect), message)
            }),
            { numRuns: 12 },
          )
        }
    })
})

import { describe, expect, test } from 'vitest'
import { LineReader, linesOf } from '../../src/cli/line-reader.ts'
import { formatterOf, type ConsumedRecord } from '../../src/cli/record-formatter.ts'

const read = (line: string, properties: Record<string, string> = {}) => {
  const { key, value, headers } = new LineReader(new Map(Object.entries(properties))).record(Buffer.from(line))
  const text = (part: unknown) => (part === null ? null : String(part))
  return { key: text(key), value: text(value), headers: headers!.map((one) => [one.key, text(one.value)]) }
}
const withKey = { 'parse.key': 'true' }
const withBoth = { 'parse.key': 'true', 'parse.headers': 'true' }

describe('a line becomes a record as with LineMessageReader', () => {
  test.each([
    ['a\tb', {}, { key: null, value: 'a\tb', headers: [] }],
    ['k\tv\tw', withKey, { key: 'k', value: 'v\tw', headers: [] }],
    ['k::v', { ...withKey, 'key.separator': '::' }, { key: 'k', value: 'v', headers: [] }],
    ['\tv', withKey, { key: '', value: 'v', headers: [] }],
    ['h1:v1,h2:v:2\tk\tv', withBoth, { key: 'k', value: 'v', headers: [['h1', 'v1'], ['h2', 'v:2']] }],
    ['h1=v1;h2=v2|v', { 'parse.headers': 'true', 'headers.delimiter': '|', 'headers.separator': ';', 'headers.key.separator': '=' }, { key: null, value: 'v', headers: [['h1', 'v1'], ['h2', 'v2']] }],
    ['NIL\tNIL\tNIL', { ...withBoth, 'null.marker': 'NIL' }, { key: null, value: null, headers: [] }],
    ['h:NIL\tk\tv', { ...withBoth, 'null.marker': 'NIL' }, { key: 'k', value: 'v', headers: [['h', null]] }],
    ['plain', { ...withKey, 'ignore.error': 'true' }, { key: null, value: 'plain', headers: [] }],
  ])('%j with %j', (line, properties, record) => {
    expect(read(line, properties as Record<string, string>)).toEqual(record)
  })
  test('what is missing is named with its line', () => {
    const reader = new LineReader(new Map(Object.entries(withKey)))
    reader.record(Buffer.from('a\tb'))
    expect(() => reader.record(Buffer.from('k1v1'))).toThrow("No key separator found on line number 2: 'k1v1'")
    expect(() => read('x', withBoth)).toThrow("No header delimiter found on line number 1: 'x'")
    expect(() => read('h\tk\tv', withBoth)).toThrow("No header key separator found in pair 'h' on line number 1: 'h\tk\tv'")
    expect(() => read('x', { ...withBoth, 'headers.separator': '\t' })).toThrow('headers.delimiter and headers.separator may not be equal')
  })
  test('bytes that are no text stay as they are', () => {
    const bytes = Buffer.from([0xff, 0, 0xfe])
    expect(new LineReader(new Map()).record(bytes).value).toEqual(bytes)
  })
  test('lines are found across chunks, with either end, and without one at the very end', async () => {
    const chunks = ['a\nb', 'c\r', '\nd\n\ne'].map((text) => Buffer.from(text))
    const found: string[] = []
    for await (const lines of linesOf((async function* () { yield* chunks })())) found.push(...lines.map(String))
    expect(found).toEqual(['a', 'bc', 'd', '', 'e'])
  })
})

describe('a record is shown as with DefaultMessageFormatter', () => {
  const consumed = (part: Partial<ConsumedRecord['record']> = {}): ConsumedRecord => ({
    topic: 't', partition: 3, timestampType: 'CreateTime',
    record: { offset: 7, timestamp: 1234n, key: Buffer.from('k'), value: Buffer.from('v'), headers: [{ key: 'a', value: Buffer.from('1') }, { key: 'b', value: null }], sequence: -1, ...part },
  })
  const show = (properties: Record<string, string>, record = consumed()) => String(formatterOf(undefined, new Map(Object.entries(properties)))(record))
  const all = Object.fromEntries(['timestamp', 'partition', 'offset', 'headers', 'key'].map((name) => [`print.${name}`, 'true']))
  test('the value alone, or everything in its order', () => {
    expect(show({})).toBe('v\n')
    expect(show(all)).toBe('CreateTime:1234\tPartition:3\tOffset:7\ta:1,b:null\tk\tv\n')
    expect(show(all, { ...consumed({ key: null, headers: [] }), timestampType: undefined })).toBe('NO_TIMESTAMP\tPartition:3\tOffset:7\tNO_HEADERS\tnull\tv\n')
  })
  test('separators, the word for null, no value', () => {
    expect(show({ 'print.key': 'true', 'key.separator': '|', 'line.separator': ';', 'null.literal': 'NIL' }, consumed({ key: null, value: null }))).toBe('NIL|NIL;')
    expect(show({ 'print.key': 'true', 'print.value': 'false' })).toBe('k\n')
  })
  test('deserializers by their Java names', () => {
    const value = Buffer.alloc(8)
    value.writeBigInt64BE(-5n)
    expect(show({ 'value.deserializer': 'org.apache.kafka.common.serialization.LongDeserializer' }, consumed({ value }))).toBe('-5\n')
    expect(() => show({ 'value.deserializer': 'org.apache.kafka.common.serialization.LongDeserializer' })).toThrow('Size of data received by LongDeserializer is not 8')
    expect(() => show({ 'key.deserializer': 'com.example.Mine' })).toThrow(/Java classes cannot be loaded here/)
  })
  test('a class that does not exist here is refused', () => {
    expect(() => formatterOf('com.example.Mine', new Map())).toThrow(/--formatter com.example.Mine: Java classes cannot be loaded here/)
    expect(formatterOf('kafka.tools.NoOpMessageFormatter', new Map())(consumed())).toBe('')
  })
})

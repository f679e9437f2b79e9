/** How a consumed record looks: Apache's DefaultMessageFormatter and its smaller relatives. */
import type { Record } from '../kafka/records/record.ts'
import { OptionError } from './options.ts'

export interface ConsumedRecord {
  topic: string
  partition: number
  timestampType: 'CreateTime' | 'LogAppendTime' | undefined
  record: Record
}
export type Formatter = (consumed: ConsumedRecord) => Uint8Array | string

type Deserializer = (bytes: Buffer) => Buffer | string
/** Throws on bytes of a wrong size, as Java's do: a record that is not what the user says it is must not look like it. */
const sized = (name: string, size: number, read: (bytes: Buffer) => string): Deserializer => (bytes) => {
  if (bytes.length !== size) throw new Error(`Size of data received by ${name} is not ${size}`)
  return read(bytes)
}
/** As Java prints a double or float: always with a fraction. */
const withFraction = (value: number): string => (Number.isInteger(value) && Math.abs(value) < 1e7 ? value.toFixed(1) : String(value))
const deserializers: Readonly<{ [name: string]: Deserializer }> = {
  String: (bytes) => bytes,
  ByteArray: (bytes) => bytes,
  Bytes: (bytes) => [...bytes].map((byte) => (byte > 31 && byte < 127 && byte !== 0x5c ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`)).join(''),
  Long: sized('LongDeserializer', 8, (bytes) => String(bytes.readBigInt64BE())),
  Integer: sized('IntegerDeserializer', 4, (bytes) => String(bytes.readInt32BE())),
  Short: sized('ShortDeserializer', 2, (bytes) => String(bytes.readInt16BE())),
  Double: sized('DoubleDeserializer', 8, (bytes) => withFraction(bytes.readDoubleBE())),
  Float: sized('FloatDeserializer', 4, (bytes) => withFraction(Number(bytes.readFloatBE().toPrecision(7)))),
  Boolean: sized('BooleanDeserializer', 1, (bytes) => (bytes[0] === 0 ? 'false' : 'true')),
  UUID: (bytes) => bytes,
  Void: () => 'null',
}

/** `org.apache.kafka.common.serialization.LongDeserializer`, or `Long` for short. */
function deserializer(className: string | undefined, property: string): Deserializer {
  if (className === undefined) return (bytes) => bytes
  const name = /^(?:org\.apache\.kafka\.common\.serialization\.)?(\w+?)(?:Deserializer)?$/.exec(className)?.[1]
  const found = name === undefined ? undefined : deserializers[name]
  if (!found) throw new OptionError(`${property}=${className}: Java classes cannot be loaded here; known are ${Object.keys(deserializers).map((known) => `${known}Deserializer`).join(', ')}`)
  return found
}

/** The formatter of a class name; undefined is the default one. Throws an OptionError for one that does not exist here. */
export function formatterOf(className: string | undefined, properties: ReadonlyMap<string, string>): Formatter {
  switch (className?.split(/[.$]/).at(-1)) {
    case undefined: case 'DefaultMessageFormatter': return defaultFormatter(properties)
    case 'NoOpMessageFormatter': return () => ''
    case 'LoggingMessageFormatter': {
      const format = defaultFormatter(properties)
      const text = (part: Buffer | null): string => (part === null ? 'null' : part.toString())
      return (consumed) => {
        const { record, timestampType } = consumed
        const time = timestampType ? `${timestampType}:${record.timestamp}, ` : ''
        return Buffer.concat([Buffer.from(format(consumed)), Buffer.from(`INFO ${time}key:${text(record.key)}, value:${text(record.value)}\n`)])
      }
    }
    default: throw new OptionError(`--formatter ${className}: Java classes cannot be loaded here; known are DefaultMessageFormatter, LoggingMessageFormatter and NoOpMessageFormatter`)
  }
}

function defaultFormatter(properties: ReadonlyMap<string, string>): Formatter {
  const flag = (name: string, byDefault: boolean): boolean => {
    const value = properties.get(name)
    return value === undefined ? byDefault : value.trim().toLowerCase() === 'true'
  }
  const bytes = (name: string, byDefault: string): Buffer => Buffer.from(properties.get(name) ?? byDefault)
  const keySeparator = bytes('key.separator', '\t')
  const lineSeparator = bytes('line.separator', '\n')
  const headersSeparator = bytes('headers.separator', ',')
  const nullLiteral = bytes('null.literal', 'null')
  const key = deserializer(properties.get('key.deserializer'), 'key.deserializer')
  const value = deserializer(properties.get('value.deserializer'), 'value.deserializer')
  const header = deserializer(properties.get('headers.deserializer') ?? properties.get('header.deserializer'), 'headers.deserializer')
  const shows = {
    timestamp: flag('print.timestamp', false),
    partition: flag('print.partition', false),
    offset: flag('print.offset', false),
    headers: flag('print.headers', false),
    key: flag('print.key', false),
    value: flag('print.value', true),
  }
  const part = (content: Buffer | null, read: Deserializer): Uint8Array => {
    if (content === null) return nullLiteral
    const made = read(content)
    return typeof made === 'string' ? Buffer.from(made) : made
  }
  const headersOf = ({ headers }: Record): Uint8Array[] =>
    headers.length === 0
      ? [Buffer.from('NO_HEADERS')]
      : headers.flatMap((one, index) => [...(index > 0 ? [headersSeparator] : []), Buffer.from(`${one.key}:`), part(one.value, header)])
  return ({ partition, timestampType, record }) => {
    const columns: Uint8Array[][] = []
    if (shows.timestamp) columns.push([Buffer.from(timestampType ? `${timestampType}:${record.timestamp}` : 'NO_TIMESTAMP')])
    if (shows.partition) columns.push([Buffer.from(`Partition:${partition}`)])
    if (shows.offset) columns.push([Buffer.from(`Offset:${record.offset}`)])
    if (shows.headers) columns.push(headersOf(record))
    if (shows.key) columns.push([part(record.key, key)])
    if (shows.value) columns.push([part(record.value, value)])
    const pieces: Uint8Array[] = []
    columns.forEach((column, index) => pieces.push(...(index > 0 ? [keySeparator] : []), ...column))
    return columns.length === 0 ? '' : Buffer.concat([...pieces, lineSeparator])
  }
}

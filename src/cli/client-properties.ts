/** Client configuration from files and `key=value` options; what protects or transforms and does not work here is refused by name. */
import { OptionError } from './options.ts'
import { readPropertiesFile } from './properties.ts'

export type ClientProperties = ReadonlyMap<string, string>

/** Later ones win: files first, then the command line. */
export function clientProperties(file: string | undefined, pairs: ReadonlyMap<string, string> = new Map()): ClientProperties {
  const properties = new Map<string, string>()
  if (file !== undefined) for (const { key, value } of readPropertiesFile(file)) properties.set(key, value)
  for (const [key, value] of pairs) properties.set(key, value)
  for (const [key, value] of properties) refuse(key, value)
  return properties
}

function refuse(key: string, value: string): void {
  if (value === '') return
  if (key === 'security.protocol' && value.toUpperCase() !== 'PLAINTEXT')
    throw new OptionError(`security.protocol=${value} is not supported by this tool yet: it speaks PLAINTEXT only`)
  if (/^(sasl|ssl)\./.test(key)) throw new OptionError(`${key} is not supported by this tool yet: it speaks PLAINTEXT without authentication only`)
  if (key === 'interceptor.classes' || key === 'metric.reporters' || key === 'partitioner.class' || key === 'transactional.id')
    throw new OptionError(`${key}=${value} is not supported by this tool`)
  if (key === 'group.protocol' && value.toLowerCase() !== 'classic') throw new OptionError(`group.protocol=${value} is not supported: this tool's groups are classic`)
  if (key === 'enable.idempotence' && value === 'true') throw new OptionError('enable.idempotence=true is not supported by this tool')
}

/** A whole number from the properties. Throws an OptionError that names the key. */
export function numberIn(properties: ClientProperties, key: string): number | undefined {
  const value = properties.get(key)
  if (value === undefined) return undefined
  if (!/^-?\d+$/.test(value.trim()) || !Number.isSafeInteger(Number(value))) throw new OptionError(`Invalid value ${value} for configuration ${key}: Not a number of type LONG`)
  return Number(value)
}
/** One of a few words. */
export function wordIn<W extends string>(properties: ClientProperties, key: string, words: readonly W[]): W | undefined {
  const value = properties.get(key)
  if (value === undefined) return undefined
  const found = words.find((word) => word === value)
  if (found === undefined) throw new OptionError(`Invalid value ${value} for configuration ${key}: String must be one of: ${words.join(', ')}`)
  return found
}

/** Reads a properties file named on a command line, and `--override key=value` over it. */
import { readFileSync } from 'node:fs'
import { parseProperties, type PropertyEntry } from '../wire/properties.ts'
import { UsageError } from './usage-error.ts'

export function readPropertiesFile(path: string): PropertyEntry[] {
  let text: string
  try {
    text = readFileSync(path, 'latin1') // What java.util.Properties reads; see below for UTF-8.
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder, and a properties file is wanted' : code === 'EACCES' ? 'it may not be read' : (cause as Error).message
    throw new UsageError(`${path}: ${why}`, { cause })
  }
  // Java takes each byte for a character; people write UTF-8. Where it is valid UTF-8, take it for that.
  const utf8 = Buffer.from(text, 'latin1').toString('utf8')
  try {
    return parseProperties(utf8.includes('\ufffd') ? text : utf8, path)
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** `key=value`, as `--override` takes it. */
export function readOverride(text: string): PropertyEntry {
  const at = text.indexOf('=')
  if (at <= 0) throw new UsageError(`--override ${text}: key=value is wanted`)
  return { key: text.slice(0, at).trim(), value: text.slice(at + 1), file: '--override' }
}

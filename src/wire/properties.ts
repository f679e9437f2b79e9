/** Reads files of `java.util.Properties`: what Apache's tools read, with the line of every entry kept for messages. */

export interface PropertyEntry {
  key: string
  value: string
  /** Name of the file or option the entry came from, for messages. */
  file?: string
  /** First line of the entry, counted from 1. */
  line?: number
}

/**
 * Every entry in the order of the file; of one key the last wins, as in Java. Throws a `SyntaxError` naming file and line
 * for a malformed `\uXXXX`.
 */
export function parseProperties(text: string, file?: string): PropertyEntry[] {
  const entries: PropertyEntry[] = []
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1
    let logical = lines[index].replace(/^[ \t\f]+/, '')
    if (logical === '' || logical[0] === '#' || logical[0] === '!') continue
    while (endsInOddBackslashes(logical)) {
      logical = logical.slice(0, -1)
      if (index + 1 >= lines.length) break
      logical += lines[++index].replace(/^[ \t\f]+/, '')
    }
    const { key, value } = splitEntry(logical)
    const at = file === undefined ? `line ${line}` : `${file}:${line}`
    entries.push({ key: unescape(key, at), value: unescape(value, at), ...(file === undefined ? {} : { file }), line })
  }
  return entries
}

function endsInOddBackslashes(text: string): boolean {
  let count = 0
  while (count < text.length && text[text.length - 1 - count] === '\\') count++
  return count % 2 === 1
}

/** The key ends at the first unescaped `=`, `:` or white space; white space around one separator belongs to nobody. */
function splitEntry(logical: string): { key: string; value: string } {
  let end = 0
  while (end < logical.length && !/[=: \t\f]/.test(logical[end])) end += logical[end] === '\\' ? 2 : 1
  end = Math.min(end, logical.length)
  return { key: logical.slice(0, end), value: logical.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '') }
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string, at: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(u[0-9a-fA-F]{4}|u|[^u]|$)/gs, (_, escaped: string) => {
    if (escaped === 'u') throw new SyntaxError(`${at}: \\u needs four hexadecimal digits after it`)
    if (escaped.length === 5) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return escapes[escaped] ?? escaped
  })
}

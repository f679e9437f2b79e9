/** Java's properties format, as zoo.cfg is written: keys and values with the line they stand on. */

export interface Property {
  readonly key: string
  readonly value: string
  /** The first is 1. */
  readonly line: number
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

/** In order; a key that stands there twice is listed twice (the last one counts). */
export function parseProperties(text: string): Property[] {
  const properties: Property[] = []
  const lines = text.split(/\r\n|\n|\r/)
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    let logical = lines[at].trimStart()
    if (logical === '' || logical[0] === '#' || logical[0] === '!') continue
    while (isContinued(logical) && at + 1 < lines.length) logical = logical.slice(0, -1) + lines[++at].trimStart()
    if (isContinued(logical)) logical = logical.slice(0, -1)
    const end = keyEnd(logical)
    const rest = logical.slice(end).replace(/^[ \t\f]*[=:]?[ \t\f]*/, '')
    properties.push({ key: unescaped(logical.slice(0, end)).trim(), value: unescaped(rest).trim(), line })
  }
  return properties
}
/** An odd number of backslashes at the end. */
function isContinued(line: string): boolean {
  let count = 0
  while (count < line.length && line[line.length - 1 - count] === '\\') count++
  return count % 2 === 1
}
function keyEnd(line: string): number {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\') at++
    else if (/[=: \t\f]/.test(line[at])) return at
  }
  return line.length
}
function unescaped(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, what: string) => (what.length === 5 ? String.fromCharCode(Number.parseInt(what.slice(1), 16)) : (escapes[what] ?? what)))
}

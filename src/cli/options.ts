/**
 * Command lines as Apache's tools read them (joptsimple): `--name value`, `--name=value`, and `-name value`, which old tutorials
 * use; options that take no, a required or an optional value; an unknown option is an error; stray words are ignored.
 */

export interface OptionSpec {
  name: string
  /** What the value is; absent: the option takes none. */
  takes?: 'String' | 'Integer' | 'Long'
  /** The value in a word or two, for the help. */
  value?: string
  /** `--state` alone and `--state stable` are both fine. */
  valueIsOptional?: boolean
  /** Value of an option that is not given. */
  byDefault?: string
  help: string
}

/** The command line cannot be carried out. `showsUsage`: the help follows the message. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
  readonly showsUsage: boolean
  constructor(message: string, { showsUsage = false }: { showsUsage?: boolean } = {}) {
    super(message)
    this.showsUsage = showsUsage
  }
}

export class Options {
  readonly #specs: ReadonlyMap<string, OptionSpec>
  readonly #given = new Map<string, string[]>()

  /** Throws an OptionError for an unknown option, a missing value, or one that is not a number where it has to be. */
  constructor(specs: readonly OptionSpec[], argv: readonly string[]) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]))
    for (let index = 0; index < argv.length; index++) {
      const word = argv[index]
      if (word === '--') break
      const found = /^--?([^=]+)(?:=(.*))?$/s.exec(word)
      if (!found) continue
      const [, name, attached] = found
      const spec = this.#specs.get(name)
      if (!spec) throw new OptionError(`${name} is not a recognized option`)
      const values = this.#given.get(name) ?? []
      this.#given.set(name, values)
      if (!spec.takes) {
        if (attached !== undefined) throw new OptionError(`Option ${name} does not take a value, but '${attached}' was given`)
        continue
      }
      let value = attached
      if (value === undefined && index + 1 < argv.length && !(spec.valueIsOptional && this.#isOption(argv[index + 1]))) value = argv[++index]
      if (value === undefined && !spec.valueIsOptional) throw new OptionError(`Option ${name} requires an argument`)
      if (value !== undefined) values.push(checked(spec, value))
    }
  }
  #isOption(word: string): boolean {
    const found = /^--?([^=]+)/.exec(word)
    return word.startsWith('--') || (found !== null && this.#specs.has(found[1]))
  }

  has(name: string): boolean {
    return this.#given.has(name)
  }
  /** The value, or the default. Throws when the option was given more than once. */
  value(name: string): string | undefined {
    const values = this.values(name)
    if (values.length > 1) throw new OptionError(`Found multiple arguments for option ${name}, but you asked for only one`)
    return values[0] ?? this.#specs.get(name)?.byDefault
  }
  values(name: string): readonly string[] {
    return this.#given.get(name) ?? []
  }
  number(name: string): number | undefined {
    const value = this.value(name)
    return value === undefined ? undefined : Number(value)
  }

  /** Throws, with the help, unless all these were given. */
  require(...names: string[]): void {
    for (const name of names) if (!this.has(name)) throw new OptionError(`Missing required argument "[${name}]"`, { showsUsage: true })
  }
  /** Throws, with the help, when `name` was given together with one of the others. */
  refuse(name: string, others: readonly string[]): void {
    if (!this.has(name)) return
    for (const other of others)
      if (other !== name && this.has(other)) throw new OptionError(`Option "[${name}]" can't be used with option "[${other}]"`, { showsUsage: true })
  }
}

function checked(spec: OptionSpec, value: string): string {
  if (spec.takes === 'String') return value
  const number = /^[+-]?\d+$/.test(value) ? BigInt(value) : undefined
  const limit = spec.takes === 'Integer' ? 2n ** 31n : 2n ** 63n
  if (number === undefined || number >= limit || number < -limit) throw new OptionError(`Cannot parse argument '${value}' of option ${spec.name}`)
  return value
}

/** `key=value` words of `--property` and its like; `name` is the option's, for the message. */
export function keyValues(words: readonly string[], name: string): Map<string, string> {
  const pairs = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    if (at <= 0) throw new OptionError(`Invalid command line properties: '${word}' of --${name} is not key=value`)
    pairs.set(word.slice(0, at), word.slice(at + 1))
  }
  return pairs
}

const width = 80
const gap = 2

/** The options in two columns, sorted by name, as Apache's tools show them. */
export function helpText(specs: readonly OptionSpec[]): string {
  const rows = [...specs].sort((a, b) => (a.name < b.name ? -1 : 1)).map((spec) => [`--${spec.name}${valueText(spec)}`, descriptionText(spec)] as const)
  const left = Math.min(Math.floor((width - gap) / 2), Math.max(...rows.map(([name]) => name.length), 6))
  const right = width - gap - left
  const lines: string[] = [`${'Option'.padEnd(left + gap)}Description`, `${'------'.padEnd(left + gap)}-----------`]
  for (const [name, description] of rows) {
    const names = wrapped(name, left)
    const texts = description.split('\n').flatMap((part) => wrapped(part, right))
    for (let index = 0; index < Math.max(names.length, texts.length); index++)
      lines.push(`${(names[index] ?? '').padEnd(left + gap)}${texts[index] ?? ''}`.trimEnd())
  }
  return `${lines.join('\n')}\n`
}
function valueText({ takes, value, valueIsOptional }: OptionSpec): string {
  if (!takes) return ''
  const text = value ? `${takes}: ${value}` : takes
  return valueIsOptional ? ` [${text}]` : ` <${text}>`
}
function descriptionText({ help, byDefault }: OptionSpec): string {
  return byDefault === undefined ? help : `${help} (default: ${byDefault})`
}
/** Lines of at most `size` characters; all but the first are set in by two. */
function wrapped(text: string, size: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > size) {
      lines.push(line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

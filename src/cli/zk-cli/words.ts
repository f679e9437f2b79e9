/** A command line of zkCli.sh: words with quotes, then options and arguments as Apache's commons-cli takes them apart. */

/** Words of a line; 'single' and "double" quotes keep blanks together. */
export function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const [, word] of line.matchAll(/\s*("[^"]*"|'[^']*'|[^"'\s]\S*|["']\S*)\s*/g)) {
    const quoted = /^(['"])(.*)\1$/s.exec(word)
    words.push(quoted && word.length > 1 ? quoted[2] : word)
  }
  return words
}

/** The command cannot be carried out as it was typed, or the server refused it: told on standard error. */
export class CommandError extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Options by their name; a value where they take one. */
export type OptionSpecs = Readonly<Record<string, 'flag' | 'value'>>

export class Arguments {
  readonly #options = new Map<string, string>()
  /** What is no option, without the command's name. */
  readonly rest: string[] = []

  /** Throws a CommandError for unknown options and missing values. */
  constructor(specs: OptionSpecs, words: readonly string[]) {
    let optionsOver = false
    for (let index = 0; index < words.length; index++) {
      const word = words[index]
      if (optionsOver || word.length < 2 || word[0] !== '-' || /^-\d/.test(word)) {
        this.rest.push(word)
        continue
      }
      if (word === '--') {
        optionsOver = true
        continue
      }
      const next = (name: string): string => {
        if (index + 1 >= words.length) throw new CommandError(`Missing argument for option: ${name}`)
        return words[++index]
      }
      this.#take(specs, word, next)
    }
  }
  #take(specs: OptionSpecs, word: string, next: (name: string) => string): void {
    const [, name, , attached] = /^--?([^=]*)(=(.*))?$/s.exec(word)!
    if (specs[name] === 'value') {
      this.#options.set(name, attached ?? next(name))
      return
    }
    if (specs[name] === 'flag' && attached === undefined) {
      this.#options.set(name, '')
      return
    }
    // Several letters in one word, the last with its value behind it: -sR, -v1, -sv 1.
    if (word[1] === '-') throw new CommandError(`Unrecognized option: ${word}`)
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]
      if (specs[letter] === 'value') {
        const value = word.slice(at + 1).replace(/^=/, '')
        this.#options.set(letter, value === '' ? next(letter) : value)
        return
      }
      if (specs[letter] !== 'flag') throw new CommandError(`Unrecognized option: ${word}`)
      this.#options.set(letter, '')
    }
  }

  has(name: string): boolean {
    return this.#options.has(name)
  }
  value(name: string): string | undefined {
    return this.#options.get(name)
  }
  /** The value as a decimal int32; `fallback` when the option is not given. */
  int(name: string, fallback: number): number {
    const text = this.#options.get(name)
    if (text === undefined) return fallback
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= -(2 ** 31) && value < 2 ** 31)) throw new CommandError(`-${name} argument must be an int value`)
    return value
  }
}

/** What a bench may be told: `--help` prints it and runs nothing, and what is not in it is refused. */
import { existsSync, readdirSync } from 'node:fs'

/**
 * The options of the bench `what`, as they were given on the command line. `declared`: for each name what it `says`; with `value`, the
 * word its usage shows, it takes one: a number (`number`), one of `words`, or a comma list of them (`list`). Lists come back as arrays.
 */
export function optionsOf(what, declared) {
  const given = process.argv.slice(process.argv[2] === what ? 3 : 2)
  if (given.includes('--help') || given.includes('-h')) {
    console.log(usage(what, declared))
    process.exit(0)
  }
  const options = {}
  while (given.length > 0) {
    const [name, inline] = given.shift().split(/=(.*)/s)
    const option = name.startsWith('--') && Object.hasOwn(declared, name.slice(2)) ? declared[name.slice(2)] : undefined
    if (!option) refuse(`${name} is no option of the bench ${what}; there are ${Object.keys(declared).map((each) => `--${each}`).join(', ')} and --help`)
    if (!option.value && inline !== undefined) refuse(`${name} takes no value`)
    const value = option.value ? inline ?? given.shift() : true
    if (value === undefined || value === '') refuse(`${name} wants a value: ${option.value}`)
    options[name.slice(2)] = option.value ? read(name, option, value) : true
  }
  return options
}
function read(name, { number, words, list }, value) {
  if (number) {
    if (!(Number(value) > 0)) refuse(`${name} wants a number above 0, not ${value}`)
    return Number(value)
  }
  const found = list ? value.split(',') : [value]
  const wrong = words && found.find((each) => !words.includes(each))
  if (wrong !== undefined) refuse(`${name} knows ${words.join(', ')}, not ${wrong || 'nothing'}`)
  return list ? found : value
}
export function refuse(reason) {
  console.error(reason)
  process.exit(1)
}
function usage(what, declared) {
  const lines = Object.entries({ ...declared, help: { says: 'this, and nothing is run' } }).map(([name, { value, says }]) => [`  --${name}${value ? ` ${value}` : ''}`, says])
  const width = Math.max(...lines.map(([option]) => option.length)) + 2
  return `Usage: npm run bench -- ${what} [options]\n${lines.map(([option, says]) => option.padEnd(width) + says).join('\n')}`
}

/** Options that several benches have. */
export const common = {
  quick: { says: 'fewer and shorter runs' },
  json: { value: 'FILE', says: 'the figures for machines go there, too' },
  profile: { value: 'FOLDER', says: "CPU profiles of Ottla's brokers go there" },
  maker: { value: 'ottla|apache', words: ['ottla', 'apache'], says: 'one of the two alone' },
}

/** The folder with Apache's jars; undefined without KAFKA_LIBS. */
export function kafkaLibs() {
  const libs = process.env['KAFKA_LIBS']
  if (!libs) return undefined
  if (!existsSync(libs) || !readdirSync(libs).some((name) => /^kafka_2\.1\d-.*\.jar$/.test(name))) refuse(`KAFKA_LIBS is ${libs}, where no jar of Kafka's broker is (kafka_2.13-….jar)`)
  return libs
}
/** Who is measured: both where Apache's jars are at hand, or the one asked for. */
export function makersOf({ maker }, libs) {
  if (maker === 'apache' && !libs) refuse("--maker apache wants Apache's jars: set KAFKA_LIBS to the folder with those of Kafka 3.9")
  if (!maker && !libs) process.stderr.write('KAFKA_LIBS is not set: Apache is not measured\n')
  return maker ? [maker] : ['ottla', ...(libs ? ['apache'] : [])]
}

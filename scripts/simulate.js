#!/usr/bin/env node
// Runs whole servers on virtual machines: one seed again (`npm run simulate -- [zookeeper|ensemble|kafka|cluster|compaction] --seed N [--trace]`), or as many seeds
// as the minutes allow (`npm run soak -- --minutes N [--from SEED] [zookeeper|ensemble|kafka|cluster|compaction]`). Exit code 1: a law was broken.
import { parseArgs } from 'node:util'

const runs = {
  zookeeper: async () => (await import('../dist/simulation/zookeeper-run.js')).runZooKeeper,
  ensemble: async () => (await import('../dist/simulation/ensemble-run.js')).runEnsemble,
  kafka: async () => (await import('../dist/simulation/kafka-run.js')).runKafka,
  cluster: async () => (await import('../dist/simulation/kafka-run.js')).runCluster,
  compaction: async () => (await import('../dist/simulation/compaction-run.js')).runCompaction,
}
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, trace: { type: 'boolean' }, minutes: { type: 'string' }, from: { type: 'string' }, seconds: { type: 'string' }, scenario: { type: 'string' } },
})
const usage = `simulate [${Object.keys(runs).join('|')}] --seed N [--trace] [--seconds N] [--scenario NAME]\nsoak [${Object.keys(runs).join('|')}] --minutes N [--from SEED] [--seconds N] [--scenario NAME]`
const number = (name) => {
  if (values[name] === undefined) return undefined
  const value = Number(values[name])
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`--${name} ${values[name]}: a number is needed\n${usage}`)
  process.exit(2)
}
const unknown = positionals.find((name) => !(name in runs))
if (unknown !== undefined || (values.seed === undefined) === (values.minutes === undefined)) {
  if (unknown !== undefined) console.error(`there is no run called '${unknown}'`)
  console.error(usage)
  process.exit(2)
}
const names = positionals.length > 0 ? positionals : Object.keys(runs)
const seconds = number('seconds')
const given = { ...(seconds === undefined ? {} : { faultyMs: seconds * 1000 }), scenario: values.scenario }

async function simulate(name, seed, onTrace) {
  const run = await runs[name]()
  try {
    return { report: await run({ seed, onTrace, ...given }) }
  } catch (error) {
    return { error }
  }
}
const told = (name, seed, error) => `${name} seed ${seed}: ${error.law === undefined ? error.stack : error.message}`
const plain = ({ faults, laws, ...report }) => ({ ...report, faults: Object.fromEntries(faults), ...(laws && { laws: Object.fromEntries(laws) }) })

if (values.seed !== undefined) {
  const seed = number('seed')
  for (const name of names) {
    const { report, error } = await simulate(name, seed, values.trace ? (line) => console.log(line) : undefined)
    console.log(error ? told(name, seed, error) : `${name} seed ${seed}: all laws hold ${JSON.stringify(plain(report))}`)
    if (error) process.exitCode = 1
  }
} else {
  const end = performance.now() + number('minutes') * 60_000
  const total = { seeds: 0, broken: 0, virtualMs: 0, events: 0, operations: 0 }
  const faults = {}
  const laws = {}
  const broken = []
  for (let seed = number('from') ?? 1; performance.now() < end; seed++) {
    for (const name of names) {
      const { report, error } = await simulate(name, seed)
      total.seeds++
      if (error) {
        broken.push(`npm run simulate -- ${name} --seed ${seed}`)
        console.log(told(name, seed, error))
        continue
      }
      for (const key of ['virtualMs', 'events', 'operations']) total[key] += report[key]
      for (const [kind, count] of report.faults) faults[kind] = (faults[kind] ?? 0) + count
      for (const [law, count] of report.laws ?? []) laws[law] = (laws[law] ?? 0) + count
    }
  }
  console.log(`${total.seeds} runs, ${(total.virtualMs / 3_600_000).toFixed(1)} virtual hours, ${total.events} events, ${total.operations} operations of clients`)
  console.log(`faults: ${Object.entries(faults).sort(([, one], [, other]) => other - one).map(([kind, count]) => `${count} ${kind}`).join(', ')}`)
  for (const [law, count] of Object.entries(laws).sort(([, one], [, other]) => other - one)) console.log(`law: ${law}: looked at ${count} times`)
  console.log(broken.length === 0 ? 'no law was broken' : `laws were broken by ${broken.length}:\n${broken.join('\n')}`)
  if (broken.length > 0) process.exitCode = 1
}

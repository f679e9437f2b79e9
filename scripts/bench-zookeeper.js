/**
 * `npm run bench -- zookeeper`: a server alone and an ensemble of three, beside Apache's in turns: both are up all the time, every round
 * measures one and then the other. Apache's jars come from KAFKA_LIBS or from Debian's package. Prints a table in Markdown.
 * `--help` tells of the options. CPU is that of all servers together, for each operation: on a busy machine it says more than the rates.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { common, optionsOf } from './bench-options.js'
import { atTheEnd, machine, MiB, sleep, touchPages } from './bench-processes.js'
import { byNumber, Client, mixed, PatientWriter, pipeline, requests, sequential } from './bench-zookeeper-load.js'
import { apacheClassPath, Ensemble, killServers } from './bench-zookeeper-servers.js'

const options = optionsOf('zookeeper', {
  quick: { says: 'one short round' },
  json: common.json,
  only: { value: 'WORDS', says: 'rows whose name has these words' },
  rounds: { value: 'N', number: true, says: 'how many rounds (3)' },
  ottla: { says: "without Apache's" },
})
const { quick, json: jsonFile, only, rounds = quick ? 1 : 3 } = options
const ms = quick ? 700 : 1000
const warmMs = quick ? 200 : 250
const znodes = 1000
const inFlight = 100
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const apache = options.ottla ? undefined : apacheClassPath()
const makers = apache ? ['ottla', 'apache'] : ['ottla']

/** By row: unit, whether less is better, and the runs of each maker. */
const rows = new Map()
function note(name, maker, unit, value, { cpu, isLessBetter = false } = {}) {
  let row = rows.get(name)
  if (!row) rows.set(name, (row = { unit, isLessBetter, runs: { ottla: [], apache: [] }, cpu: { ottla: [], apache: [] } }))
  row.runs[maker].push(value)
  if (cpu !== undefined) row.cpu[maker].push(cpu)
  process.stderr.write(`  ${maker.padEnd(6)} ${name}: ${digits(value)} ${unit}${cpu === undefined ? '' : `, ${cpu.toFixed(0)} µs CPU each`}\n`)
}
const median = (values) => (values.length === 0 ? NaN : values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)])
const digits = (value) => (Number.isNaN(value) ? '–' : value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en'))
const isWanted = (name) => only === undefined || name.includes(only)

/** CPU seconds and clock of the load itself: is it what limits? */
let loadCpu = 0
let loadSeconds = 0
let loadBusiest = 0

/** The makers in an order that changes with the round. */
const turns = (round) => (round % 2 === 0 ? makers : makers.toReversed())

async function opened(ensemble, count) {
  const { ports } = ensemble
  return Promise.all(Array.from({ length: count }, (_, index) => Client.open(ports[index % ports.length])))
}
function check(clients, what) {
  for (const { refused } of clients) if (refused.size > 0) throw new Error(`${what}: the server refused with ${[...refused].map(([code, count]) => `${code} (${count} times)`).join(', ')}`)
}
async function prepare(ensemble) {
  const client = await Client.open(ensemble.ports[0])
  await client.ask(requests.create('/b'))
  await client.ask(requests.create('/c'))
  for (let index = 0; index < 64; index++) await client.ask(requests.create(`/c/${String(index).padStart(2, '0')}`))
  await pipeline([client], byNumber(requests.create, '/b', (index) => index), { count: znodes })
  check([client], 'preparation')
  await client.close()
}

const spread = (index) => (index * 7919) % znodes
const loads = {
  create: (client, from) => byNumber(requests.create, `/c/${String(client).padStart(2, '0')}`, (index) => from + index),
  delete: (client, from) => byNumber(requests.delete, `/c/${String(client).padStart(2, '0')}`, (index) => from + index),
  set: () => byNumber(requests.set, '/b', spread),
  get: () => byNumber(requests.get, '/b', spread),
  mix: () => mixed(byNumber(requests.get, '/b', spread), byNumber(requests.set, '/b', spread), 30),
}
const names = { create: 'create', set: 'set', get: 'get', mix: '30 % set, 70 % get' }
let createdFrom = 1

async function throughput(ensemble, kind, count, name, { record = true, duration = ms } = {}) {
  const clients = await opened(ensemble, count)
  const from = createdFrom
  let cpu = 0
  let own = 0
  const result = await pipeline(clients, (index) => loads[kind](index, from), {
    inFlight, warmMs, ms: duration,
    atStart: () => { cpu = ensemble.cpuSeconds(); own = process.cpuUsage() },
    atEnd: () => { cpu = ensemble.cpuSeconds() - cpu; own = process.cpuUsage(own) },
  })
  check(clients, name)
  if (record) {
    const ownSeconds = (own.user + own.system) / 1e6
    loadCpu += ownSeconds
    loadSeconds += result.seconds
    loadBusiest = Math.max(loadBusiest, ownSeconds / result.seconds)
    note(name, ensemble.maker, '/s', result.perSecond, { cpu: (cpu / result.answered) * 1e6 })
  }
  if (kind === 'create') {
    createdFrom += Math.max(...result.sent)
    // The tree stays as large as it was, whoever was faster.
    await Promise.all(clients.map((client, index) => pipeline([client], loads.delete(index, from), { count: result.sent[index] })))
    check(clients, 'deleting')
  }
  await Promise.all(clients.map((client) => client.close()))
}
async function latency(ensemble, port, kind, name, { record = true } = {}) {
  const client = await Client.open(port)
  const from = createdFrom
  const took = await sequential(client, loads[kind](0, from), quick ? 400 : 700)
  createdFrom += took.length
  if (record) {
    note(`${name}, p50`, ensemble.maker, 'ms', took[Math.floor(took.length * 0.5)], { isLessBetter: true })
    note(`${name}, p99`, ensemble.maker, 'ms', took[Math.floor(took.length * 0.99)], { isLessBetter: true })
  }
  if (kind === 'create') await pipeline([client], loads.delete(0, from), { count: took.length })
  check([client], name)
  await client.close()
}

async function measure(size, ensembles) {
  const where = size === 1 ? '1 server' : `${size} servers`
  for (const maker of makers) await prepare(ensembles[maker])
  const kinds = size === 1 ? ['create', 'set', 'get'] : ['create', 'set', 'get', 'mix']
  // Compilers of both sides see every path before anything counts.
  for (const maker of makers) for (const kind of kinds) if (isWanted(`${where}, ${names[kind]}`)) await throughput(ensembles[maker], kind, 8, 'warm-up', { record: false, duration: quick ? 1000 : 2000 })
  for (const kind of kinds)
    for (const count of [1, 8, 32]) {
      const name = `${where}, ${names[kind]}, ${count} × ${inFlight} in flight`
      if (!isWanted(name)) continue
      for (let round = 0; round < rounds; round++) for (const maker of turns(round)) await throughput(ensembles[maker], kind, count, name)
    }
  const places = size === 1 ? [''] : [', at the leader', ', at a follower']
  for (const kind of ['create', 'set', 'get'])
    for (const place of kind === 'get' ? [places[0]] : places) {
      const name = `${where}, ${kind}, one at a time${kind === 'get' ? '' : place}`
      if (!isWanted(name)) continue
      for (let round = 0; round < rounds; round++)
        for (const maker of turns(round)) {
          const ensemble = ensembles[maker]
          const leader = await ensemble.leader()
          const server = place === ', at a follower' ? ensemble.servers.find((one) => one !== leader) : leader
          await latency(ensemble, server.port, kind, name)
        }
    }
}

/** From `kill -9` of the leader on: when its clients' other servers let go of them, when the election was over, when a write was acknowledged. */
async function failover(ensemble) {
  const leader = await ensemble.leader()
  const others = ensemble.servers.filter((server) => server !== leader)
  const logs = others.map((server) => ensemble.logSize(server))
  const watchers = await Promise.all(others.map(({ port }) => Client.open(port)))
  let detectedAt = Infinity
  for (const watcher of watchers) watcher.onClose = () => (detectedAt = Math.min(detectedAt, performance.now()))
  await watchers[0].ask(requests.set('/b'))
  const killedAt = performance.now()
  leader.child.kill('SIGKILL')
  let writtenAt
  // The new session is a write too, and the first to be acknowledged.
  for (let attempt = 0; writtenAt === undefined; attempt++) {
    if (performance.now() - killedAt > 60_000) throw new Error(`${ensemble.maker}: no write was acknowledged within a minute after the leader was killed`)
    const client = await Client.open(others[attempt % others.length].port, { timeoutMs: 10_000 }).catch(() => undefined)
    if (client) {
      await client.ask(requests.set('/b')).then(() => (writtenAt = performance.now()), () => {})
      client.destroy()
    } else await sleep(2)
  }
  // Ottla says `leader elected … tookMs=N`, Apache `LEADER ELECTION TOOK - N MS`; the longer of the two that count.
  const elections = others.map((server, index) => Number(/LEADER ELECTION TOOK - (\d+)|leader elected .*tookMs=(\d+)/.exec(ensemble.logSince(server, logs[index]))?.slice(1).find(Boolean) ?? NaN))
  const election = Math.max(...elections.filter((value) => !Number.isNaN(value)))
  for (const watcher of watchers) watcher.destroy()
  const detection = detectedAt - killedAt
  const less = { isLessBetter: true }
  note('leader killed, to the next acknowledged write', ensemble.maker, 'ms', writtenAt - killedAt, less)
  note('… of it detection', ensemble.maker, 'ms', detection, less)
  if (Number.isFinite(election)) {
    note('… of it election', ensemble.maker, 'ms', election, less)
    note('… of it the rest: epoch, synchronization, session, write', ensemble.maker, 'ms', Math.max(0, writtenAt - killedAt - detection - election), less)
  }
  await leader.child.gone
  ensemble.run(leader)
  await ensemble.serving()
  await sleep(300)
}

/** Server after server is stopped and started again, the leader last, while writers write. */
async function rollingRestart(ensemble) {
  const writers = Array.from({ length: 6 }, (_, index) => new PatientWriter(ensemble.ports, index, `/b/${String(index).padStart(8, '0')}`))
  const running = writers.map((writer) => writer.run())
  await sleep(1000)
  for (const writer of writers) writer.longestMs = 0
  const leader = await ensemble.leader()
  for (const server of [...ensemble.servers.filter((one) => one !== leader), leader]) {
    await ensemble.stopOne(server)
    ensemble.run(server)
    await ensemble.serving()
    await sleep(1000)
  }
  const now = performance.now()
  for (const writer of writers) {
    writer.longestMs = Math.max(writer.longestMs, now - writer.lastAt)
    writer.isStopping = true
  }
  await Promise.all(running)
  note('rolling restart, longest pause of a writer', ensemble.maker, 'ms', Math.max(...writers.map(({ longestMs }) => longestMs)), { isLessBetter: true })
}
const memory = (ensemble, name) => {
  const resident = ensemble.resident()
  note(name, ensemble.maker, 'MiB', resident.reduce((sum, one) => sum + one, 0) / resident.length, { isLessBetter: true })
}

function table() {
  const side = (values) => (values.length === 0 ? '' : values.length === 1 ? digits(values[0]) : `${digits(median(values))} (${digits(Math.min(...values))}–${digits(Math.max(...values))})`)
  const lines = [...rows].map(([name, { unit, isLessBetter, runs, cpu }]) => {
    const ratio = median(runs.ottla) / median(runs.apache)
    const cpus = cpu.ottla.length === 0 ? '' : `${digits(median(cpu.ottla))}${apache ? ` / ${digits(median(cpu.apache))}` : ''}`
    return `| ${name}, ${unit} | ${side(runs.ottla)} |${apache ? ` ${side(runs.apache)} | ${ratio.toFixed(2)}${isLessBetter ? ' (less is better)' : ''} |` : ''} ${cpus} |`
  })
  return [`| what | Ottla |${apache ? ' Apache | ratio |' : ''} CPU µs each |`, `| --- | --: |${apache ? ' --: | --: |' : ''} --: |`, ...lines].join('\n')
}

const all = []
async function main() {
  const began = performance.now()
  if (!apache && !options.ottla) process.stderr.write('neither KAFKA_LIBS nor /usr/share/java/zookeeper.jar: Apache is not measured\n')
  touchPages(folder, (quick ? 1 : 2) * 1024 * MiB)
  for (const size of [1, 3]) {
    if (only !== undefined && !only.includes(size === 1 ? '1 server' : '3 servers') && (/\d servers?/.test(only) || size === 1)) continue
    const ensembles = {}
    for (const maker of makers) all.push((ensembles[maker] = await Ensemble.start(maker, size, folder)))
    await sleep(quick ? 500 : 2000)
    const where = size === 1 ? '1 server' : `${size} servers`
    for (const maker of makers) memory(ensembles[maker], `${where}, memory of each at rest`)
    await measure(size, ensembles)
    for (const maker of makers) memory(ensembles[maker], `${where}, memory of each after the load`)
    if (size > 1) {
      for (let round = 0; isWanted('leader killed') && round < rounds; round++) for (const maker of turns(round)) await failover(ensembles[maker])
      for (let round = 0; isWanted('rolling restart') && round < Math.min(rounds, 2); round++) for (const maker of turns(round)) await rollingRestart(ensembles[maker])
    }
    for (const maker of makers) {
      await ensembles[maker].stop()
      ensembles[maker].remove()
    }
  }
  const version = apache ? ` Apache ZooKeeper from ${apache.from}, ${execFileSync('java', ['--version'], { encoding: 'utf8' }).split('\n')[0]}.` : ''
  const where = `${machine}, load average ${loadavg().map((value) => value.toFixed(1)).join(' ')}.${version}`
  const own = `The load took ${((loadCpu / loadSeconds) * 100).toFixed(0)} % of one core (at most ${(loadBusiest * 100).toFixed(0)} %); everything took ${((performance.now() - began) / 60_000).toFixed(1)} minutes.`
  console.log(`${where}\n${own}\n\n${table()}`)
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ machine: where, rows: Object.fromEntries(rows) }, null, 2)}\n`)
}

atTheEnd(() => {
  killServers()
  rmSync(folder, { recursive: true, force: true })
})
let failed = false
try {
  await main()
} catch (error) {
  failed = true
  console.error(error)
  for (const ensemble of all) for (const server of ensemble.servers) console.error(`${ensemble.maker} ${server.id}: ${ensemble.tail(server)}`)
} finally {
  killServers()
  await Promise.all(all.flatMap(({ servers }) => servers.map(({ child }) => child?.gone)))
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)

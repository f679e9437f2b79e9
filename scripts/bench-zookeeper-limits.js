/**
 * `npm run bench -- zookeeper-limits`: an ensemble of three with a million znodes of 100 bytes, 10,000 sessions and 100,000 watches, one
 * maker after the other on the same data: memory, snapshots, what clients feel of them, restart. Prints a table in Markdown.
 * `--help` tells of the options. The sessions need 10,000 open files here and a third of that in each server: `ulimit -n`.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { optionsOf, refuse } from './bench-options.js'
import { atTheEnd, sleep } from './bench-processes.js'
import { byNumber, Client, frame, op, pipeline, requests } from './bench-zookeeper-load.js'
import { apacheClassPath, Ensemble, killServers } from './bench-zookeeper-servers.js'

const options = optionsOf('zookeeper-limits', {
  quick: { says: 'a tenth of it all' },
  znodes: { value: 'N', number: true, says: 'a million' },
  sessions: { value: 'N', number: true, says: '10,000' },
  watches: { value: 'N', number: true, says: '100,000' },
  ottla: { says: 'Ottla alone' },
  apache: { says: 'Apache alone' },
  heap: { value: '-Xmx…', says: "of Apache's servers (-Xmx1000m)" },
})
const scale = options.quick ? 10 : 1
const { znodes = 1_000_000 / scale, sessions: sessionCount = 10_000 / scale, watches: watchCount = 100_000 / scale, heap = '-Xmx1000m' } = options
if (options.apache && !apacheClassPath()) refuse("--apache wants Apache's jars: set KAFKA_LIBS to the folder with those of Kafka 3.9, or install Debian's package zookeeper")
const makers = options.apache ? ['apache'] : options.ottla || !apacheClassPath() ? ['ottla'] : ['ottla', 'apache']
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const folders = 100
/** Every server reaches it once or twice by what is written while clients are asked how long they wait. */
const snapCount = 60_000 / scale
const each = Math.ceil(znodes / folders)
const parent = (index) => `/load/${String(index).padStart(3, '0')}`

const rows = new Map()
/** `of`: what tells rows of one name apart. */
function note(maker, name, unit, value, isLessBetter = true, of = '') {
  const key = `${name} ${of}`
  if (!rows.has(key)) rows.set(key, { name, unit, isLessBetter })
  rows.get(key)[maker] = value
  process.stderr.write(`  ${maker} ${name}: ${digits(value)} ${unit}\n`)
}
const digits = (value) => (value === undefined || Number.isNaN(value) ? '–' : value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en'))
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
const seconds = (since) => (performance.now() - since) / 1000
const memory = (ensemble, maker, name) => note(maker, name, 'MiB', mean(ensemble.resident()))

/** Clients that may have nothing to do for longer than a session lasts, on a slow machine. */
const kept = new Set()
const ping = frame(op.ping)
ping.writeInt32BE(-2, 4)
setInterval(() => {
  for (const client of kept) {
    if (client.isClosed) kept.delete(client)
    else client.socket.write(ping)
  }
}, 2_000).unref()
async function open(port) {
  const client = await Client.open(port)
  kept.add(client)
  return client
}

async function load(ensemble) {
  const first = await open(ensemble.ports[0])
  await first.ask(requests.create('/load'))
  for (let index = 0; index < folders; index++) await first.ask(requests.create(parent(index)))
  const clients = await Promise.all(Array.from({ length: 20 }, (_, index) => open(ensemble.ports[index % 3])))
  for (let from = 0; from < folders; from += clients.length)
    await pipeline(clients, (index) => byNumber(requests.create, parent(from + index), (number) => number), { count: each })
  for (const client of [first, ...clients]) {
    if (client.refused.size > 0) throw new Error(`refused while loading: ${[...client.refused]}`)
    await client.close()
  }
}

/** Sessions that stay, each with its share of the watches; pinged until `end`. */
async function manySessions(ensemble) {
  const clients = []
  let at = 0
  const pinging = setInterval(() => {
    for (let count = 0; count < clients.length / 100; count++) clients[at++ % clients.length].socket.write(ping)
  }, 80)
  for (let from = 0; from < sessionCount; from += 100)
    clients.push(...(await Promise.all(Array.from({ length: Math.min(100, sessionCount - from) }, (_, index) => Client.open(ensemble.ports[(from + index) % 3], { timeoutMs: 40_000 })))))
  let lost = 0
  for (const client of clients) client.onClose = () => lost++
  const perSession = Math.ceil(watchCount / sessionCount)
  for (let from = 0; from < clients.length; from += 100)
    await Promise.all(clients.slice(from, from + 100).map((client, index) =>
      pipeline([client], byNumber((path) => requests.get(path, true), parent((from + index) % folders), (number) => (Math.floor((from + index) / folders) * perSession + number) % each), { count: perSession })))
  for (const client of clients) client.onClose = () => lost++
  return {
    lost: () => lost,
    end() {
      clearInterval(pinging)
      for (const client of clients) client.destroy()
    },
  }
}

/** What one-at-a-time reads and writes at each server had to wait, in ms, while `isOn()` and otherwise. */
function probes(ensemble) {
  const waits = { get: [], set: [], getQuiet: [], setQuiet: [] }
  let isStopping = false
  let isOn = () => false
  const run = async (port, kind) => {
    const client = await Client.open(port)
    const bytes = requests[kind](`${parent(0)}/00000000`)
    while (!isStopping) {
      const wasOn = isOn()
      const began = performance.now()
      await client.ask(bytes)
      const took = performance.now() - began
      const key = wasOn || isOn() ? kind : `${kind}Quiet`
      waits[key].push(took)
      await sleep(1)
    }
    await client.close()
  }
  const running = ensemble.ports.flatMap((port) => [run(port, 'get'), run(port, 'set')])
  return {
    waits,
    watch: (predicate) => (isOn = predicate),
    async end() {
      isStopping = true
      await Promise.all(running)
    },
  }
}
/** Snapshot files that grow: looked at a hundred times a second. */
function snapshotsOf(ensemble) {
  const sizes = new Map()
  const begunAt = new Map()
  let grewAt = -Infinity
  let isFirst = true
  const look = () => {
    const now = performance.now()
    for (const { home } of ensemble.servers)
      for (const name of readdirSync(join(home, 'version-2'))) {
        if (!name.startsWith('snapshot.')) continue
        const path = join(home, 'version-2', name)
        const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
        // Ottla's has another name until it is whole.
        const key = path.replace(/\.tmp$/, '')
        if (sizes.get(key) === size) continue
        if (!isFirst && !sizes.has(key)) begunAt.set(key, now)
        sizes.set(key, size)
        if (!isFirst) grewAt = now
      }
    isFirst = false
  }
  const timer = setInterval(look, 10)
  return {
    isActive: () => performance.now() - grewAt < 100,
    /** From a file's first byte to its last, in ms of the wall clock. */
    async spans() {
      while (performance.now() - grewAt < 1000) await sleep(100)
      clearInterval(timer)
      return [...begunAt].filter(([path]) => existsSync(path)).map(([path, at]) => {
        const from = at + performance.timeOrigin
        return { home: dirname(dirname(path)), from, to: Math.max(from, statSync(path).mtimeMs) }
      })
    },
  }
}

async function measure(maker) {
  const ensemble = await Ensemble.start(maker, 3, folder, { heap, cfg: [`snapCount=${snapCount}`], watchesTurns: true })
  let sessions
  try {
    await sleep(1000)
    memory(ensemble, maker, 'memory of each server, empty')
    const began = performance.now()
    const cpu = ensemble.cpuSeconds()
    await load(ensemble)
    note(maker, `${znodes.toLocaleString('en')} znodes created, with snapshots`, '/s', znodes / seconds(began), false)
    note(maker, 'CPU for each of them, all servers', 'µs', ((ensemble.cpuSeconds() - cpu) / znodes) * 1e6)
    await sleep(3000)
    memory(ensemble, maker, 'memory of each, with the znodes')
    const before = mean(ensemble.resident())
    sessions = await manySessions(ensemble)
    await sleep(3000)
    memory(ensemble, maker, `memory of each, and ${sessionCount.toLocaleString('en')} sessions with ${watchCount.toLocaleString('en')} watches`)
    process.stderr.write(`  ${maker} sessions and watches took ${(mean(ensemble.resident()) - before).toFixed(0)} MiB of each\n`)

    const measuredFrom = performance.timeOrigin + performance.now()
    const snapshots = snapshotsOf(ensemble)
    const probing = probes(ensemble)
    probing.watch(snapshots.isActive)
    const writers = await Promise.all(ensemble.ports.map((port) => open(port)))
    // Writes at a few thousand a second, a sixth more than snapCount.
    for (let step = 0; step < 70 / scale; step++) {
      await pipeline(writers, (index) => byNumber(requests.set, parent(index), (number) => (step * 334 + number) % each), { count: 334, inFlight: 50 })
      await sleep(100)
    }
    const spans = await snapshots.spans()
    await probing.end()
    const ended = performance.timeOrigin + performance.now()
    for (const writer of writers) await writer.close()
    if (spans.length > 0) note(maker, 'a snapshot takes', 's', mean(spans.map(({ from, to }) => to - from)) / 1000)
    for (const [name, kind] of [['read', 'get'], ['write', 'set']])
      for (const [when, values] of [['during snapshots', probing.waits[kind]], ['otherwise', probing.waits[`${kind}Quiet`]]]) {
        const sorted = values.toSorted((a, b) => a - b)
        note(maker, `a ${name} ${when}, one at a time: 99 of 100 within`, 'ms', sorted[Math.floor(sorted.length * 0.99)] ?? NaN)
        note(maker, `… the longest`, 'ms', sorted.at(-1) ?? NaN, true, `${name} ${when}`)
      }
    if (ensemble.watchesTurns) {
      const isDuring = (home, at) => spans.some((span) => span.home === home && at >= span.from && at - 100 <= span.to)
      const all = ensemble.servers.flatMap((server) => ensemble.turns(server).filter(({ at }) => at > measuredFrom && at < ended).map((turn) => ({ ...turn, isDuring: isDuring(server.home, turn.at) })))
      for (const [when, turns] of [['during snapshots', all.filter((turn) => turn.isDuring)], ['otherwise', all.filter((turn) => !turn.isDuring)]]) {
        note(maker, `longest computing of a server at a stretch ${when}, its own processor time`, 'ms', Math.max(...turns.map(({ ms }) => ms)))
        note(maker, `… the same as it passed for others, on this machine`, 'ms', Math.max(...turns.map(({ wallMs }) => wallMs)), true, when)
      }
    }
    memory(ensemble, maker, 'memory of each, after snapshots')
    note(maker, 'sessions lost', '', sessions.lost())
    sessions.end()
    await ensemble.stop()
    const restarted = performance.now()
    for (const server of ensemble.servers) ensemble.run(server)
    await ensemble.serving()
    note(maker, 'restart of all three, until all serve', 's', seconds(restarted))
    const client = await Client.open(ensemble.ports[2])
    await client.ask(requests.get(`${parent(folders - 1)}/${String(each - 1).padStart(8, '0')}`))
    if (client.refused.size > 0) throw new Error('the last znode is gone after the restart')
    await client.close()
    await sleep(2000)
    memory(ensemble, maker, 'memory of each, after the restart')
  } catch (error) {
    for (const server of ensemble.servers) process.stderr.write(`${maker} ${server.id}${server.child.exitCode === null ? '' : ' ended'}: ${ensemble.tail(server)}\n`)
    throw error
  } finally {
    sessions?.end()
    await ensemble.stop()
    ensemble.remove()
  }
}

atTheEnd(() => {
  killServers()
  rmSync(folder, { recursive: true, force: true })
})
let failed = false
try {
  for (const maker of makers) {
    // What one of them has shown is worth printing, whatever became of the other.
    await measure(maker).catch((error) => {
      failed = true
      console.error(maker, error)
    })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const both = makers.length > 1
console.log(`| ${znodes.toLocaleString('en')} znodes, three servers | Ottla |${both ? ' Apache | ratio |' : ''}\n| --- | --: |${both ? ' --: | --: |' : ''}`)
for (const row of rows.values())
  console.log(`| ${row.name}${row.unit ? `, ${row.unit}` : ''} | ${digits(row.ottla)} |${both ? ` ${digits(row.apache)} | ${row.apache ? (row.ottla / row.apache).toFixed(2) : ''}${row.isLessBetter ? ' (less is better)' : ''} |` : ''}`)
process.exit(failed ? 1 : 0)

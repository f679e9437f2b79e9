/**
 * `npm run bench -- cluster`: three brokers and one ZooKeeper server, one partition with three replicas. With KAFKA_LIBS set, Apache's
 * three stand beside Ottla's three, and each figure is taken from both in turns. CPU seconds are those of all three brokers until every
 * replica has everything. Latencies are taken at a third of the smaller peak, the same load for both.
 * Topics are deleted after each run: their pages of memory are used again, as fresh ones cost more than what is measured.
 * A broker that ends by itself is started again after a second, of either maker; where it says "until another leads", only when another does.
 * `--help` tells of the options.
 */
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../dist/host/logger.js'
import { nodeHost } from '../dist/host/node.js'
import { ZooKeeperClient } from '../dist/zookeeper/client/client.js'
import { cpuOf, kafkaServers } from './bench-kafka-servers.js'
import { common, kafkaLibs, makersOf, optionsOf, refuse } from './bench-options.js'
import { measurePartitions } from './bench-partitions.js'
import { load, machine, median, MiB, Processes, residentMiB, runToEnd, sleep, touchPages } from './bench-processes.js'

const options = optionsOf('cluster', {
  ...common,
  only: { value: 'WORD,WORD', list: true, words: ['throughput', 'latency', 'small', 'killed', 'rolled', 'partitions'], says: 'the figures of some kinds: throughput, latency (which needs throughput), small, killed, rolled, partitions' },
  rows: { value: 'WORD,WORD', list: true, words: ['acks=1', 'acks=all', '1', '64'], says: 'of throughput acks=1 or acks=all alone, of small 1 or 64 connections alone' },
  rounds: { value: 'N', number: true, says: 'how often the parts killed, rolled and partitions go round' },
  gigabytes: { value: 'N', number: true, says: 'what each broker holds in the part partitions (1)' },
  log: { value: 'FILE', says: 'what the servers said goes there' },
})
const { quick, only, rows, gigabytes = 1 } = options
const runs = quick ? 3 : 5
const bytes = (quick ? 256 : 512) * MiB
const libs = kafkaLibs()
const makers = makersOf(options, libs)
if (only?.includes('latency') && !only.includes('throughput')) refuse('--only latency wants throughput, too: its load is a third of the smaller peak')
const isWanted = (row) => !rows || rows.includes(String(row))
const rounds = (usual) => options.rounds ?? usual
const batches = { records: 500, size: 1000, connections: 2, inFlight: 10 }
const replicas = 3
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const processes = new Processes(folder)

const servers = kafkaServers(processes, { libs, profiles: options.profile })
const startCluster = (maker) => servers.start(maker, { brokers: replicas, properties: `offsets.topic.replication.factor=${replicas}\ntransaction.state.log.replication.factor=${replicas}\nmin.insync.replicas=2\nlog.segment.delete.delay.ms=500\n` })
const stopCluster = (cluster) => servers.stop(cluster)
const place = ({ ports }, topic) => load({ kind: 'placed', ports, topic, isrSize: replicas })
/** Until its files are gone. */
async function removed({ ports, brokers }, topic) {
  await load({ kind: 'deleted', ports, topic })
  const remains = () => brokers.some(({ logDir }) => readdirSync(logDir).some((name) => name.startsWith(`${topic}-`) || name.startsWith(`${topic}.`)))
  for (let left = 600; left > 0 && remains(); left--) await sleep(50)
}

const results = {}
/** One more run of a figure. */
function note(name, unit, { maker }, value) {
  const figure = (results[name] ??= { unit })
  ;(figure[maker] ??= []).push(value)
  process.stderr.write(`  ${maker} ${name}: ${value.toFixed(value < 10 ? 3 : 0)} ${unit}\n`)
}

const wordsOf = { 1: 'acks=1', '-1': 'acks=all' }
async function throughput(clusters) {
  for (const acks of [1, -1].filter((each) => isWanted(wordsOf[each])))
    for (let run = -1; run < runs; run++)
      for (const cluster of clusters) {
        const topic = `big-${acks === 1 ? 'one' : 'all'}-${run + 1}`
        const { port } = await place(cluster, topic)
        const before = cpuOf(cluster)
        const done = await load({ kind: 'produce', port, topic, ...batches, bytes: run < 0 ? bytes * 2 : bytes, acks })
        await load({ kind: 'committed', port, topic, offset: done.records })
        const cpu = cpuOf(cluster) - before
        await removed(cluster, topic)
        if (run < 0) continue // warm-up
        note(`${wordsOf[acks]}, 500 × 1,000 B`, 'MB/s', cluster, done.bytes / 1e6 / done.seconds)
        note(`${wordsOf[acks]}, CPU of all brokers`, 's/GB', cluster, cpu / (done.bytes / 1e9))
      }
  for (const cluster of clusters) note('resident, mean of the brokers after that', 'MiB', cluster, cluster.brokers.reduce((sum, { child }) => sum + residentMiB(child), 0) / replicas)
}
async function latency(clusters) {
  const peaks = clusters.map(({ maker }) => median(results['acks=all, 500 × 1,000 B'][maker]))
  const rate = (Math.min(...peaks) / 3) * 1e6
  for (let run = 0; run < runs; run++)
    for (const cluster of clusters) {
      const topic = `paced-${run}`
      const { port } = await place(cluster, topic)
      const { p50, p99 } = await load({ kind: 'produce', port, topic, ...batches, bytes: rate * (quick ? 2 : 4), acks: -1, rate })
      await removed(cluster, topic)
      note(`acks=all at ${Math.round(rate / 1e6)} MB/s, p50`, 'ms', cluster, p50)
      note(`acks=all at ${Math.round(rate / 1e6)} MB/s, p99`, 'ms', cluster, p99)
    }
}
async function small(clusters) {
  for (const connections of [1, 64].filter(isWanted))
    for (let run = -1; run < runs; run++)
      for (const cluster of clusters) {
        const topic = `small-${connections}`
        const { port } = await place(cluster, topic)
        const { requests, seconds, p50, p99 } = await load({ kind: 'requests', port, topic, size: 100, connections, inFlight: 1, seconds: quick ? 1 : 2, acks: -1 })
        if (run < 0) continue // warm-up
        note(`acks=all, one record, ${connections} connection${connections > 1 ? 's' : ''}`, '/s', cluster, requests / seconds)
        note(`acks=all, one record, ${connections} connection${connections > 1 ? 's' : ''}, p50`, 'ms', cluster, p50)
        note(`acks=all, one record, ${connections} connection${connections > 1 ? 's' : ''}, p99`, 'ms', cluster, p99)
      }
}
async function killed(clusters) {
  for (let run = 0; run < rounds(quick ? 1 : 3); run++)
    for (const cluster of clusters)
      for (const [when, waitsFor, word] of [['and started again at once', () => undefined, 'returns'], ['until another leads', anotherLeader, 'replaced']]) {
        // A topic of its own: led by whom it prefers, it is none of those that the controller moves back to their preferred leaders meanwhile.
        const topic = `killed-${run}-${word}`
        await settled(clusters)
        const { leader } = await place(cluster, topic)
        let goneAt
        const { longestMs, pauses } = await ledgerDuring(cluster, topic, async () => {
          const broker = cluster.brokers.find(({ id }) => id === leader)
          await broker.stop('SIGKILL')
          goneAt = await waitsFor(cluster, topic, broker)
          broker.start()
          await place(cluster, topic)
        })
        note(`kill -9 of the leader, ${when}: longest pause`, 'ms', cluster, longestMs)
        if (goneAt !== undefined) note("… of it, from its session's end on", 'ms', cluster, Math.max(0, pauses[0].at + pauses[0].ms - goneAt))
      }
}
/** Its session with ZooKeeper has to end first: some six seconds. When it had. */
async function anotherLeader({ ports, zookeeperPort }, topic, { id, port }) {
  const zookeeper = await ZooKeeperClient.connect(nodeHost({ logger: silentLogger }), { connect: `127.0.0.1:${zookeeperPort}`, sessionTimeoutMs: 30_000 })
  try {
    while (await zookeeper.exists(`/brokers/ids/${id}`)) await sleep(2)
    const goneAt = Date.now()
    await load({ kind: 'placed', ports: ports.filter((each) => each !== port), topic, isrSize: replicas - 1, not: id })
    return goneAt
  } finally {
    await zookeeper.close()
  }
}
async function rolled(clusters) {
  for (let run = 0; run < rounds(quick ? 2 : 5); run++)
    for (const cluster of clusters) {
      await settled(clusters)
      await place(cluster, 'rolled')
      // What the machine itself does to a producer in six seconds.
      note('nothing restarted for six seconds, longest pause', 'ms', cluster, (await ledgerDuring(cluster, 'rolled', () => sleep(4_000))).longestMs)
      const { longestMs } = await ledgerDuring(cluster, 'rolled', async () => {
        for (const broker of cluster.brokers) {
          await broker.stop()
          broker.start()
          await load({ kind: 'open', port: broker.port })
          await place(cluster, 'rolled')
          await place(cluster, 'first')
        }
      })
      note('rolling restart, longest pause', 'ms', cluster, longestMs)
    }
}
async function partitions(clusters) {
  for (const cluster of clusters) await measurePartitions(cluster, { partitions: quick ? 500 : 2_000, bytes: (quick ? 0.2 : gigabytes) * 1e9, rounds: rounds(quick ? 1 : 2), note })
}
/** Servers that were just started compile and compute for a while, and would take from who is measured: until all of them together rest, or half a minute. */
async function settled(clusters) {
  const cpu = () => clusters.reduce((sum, cluster) => sum + cpuOf(cluster), 0)
  for (let left = 30; left > 0; left--) {
    const before = cpu()
    await sleep(1_000)
    if (cpu() - before < 0.25) return
  }
}
/** The longest pause of a producer with acks=all while something happens. */
async function ledgerDuring({ maker, ports }, topic, happening) {
  let what
  const { longestMs, pauses } = await load({ kind: 'ledger', ports, topic }, (finish) => {
    what = sleep(1_000).then(happening).then(() => sleep(1_000)).then(finish, (error) => {
      finish()
      throw error
    })
    what.catch(() => {})
  })
  await what
  for (const { ms, at, met } of pauses) process.stderr.write(`  ${maker}: ${Math.round(ms)} ms without an acknowledgement from ${new Date(at).toISOString()}, meeting ${met.join(', ') || 'nothing'}\n`)
  return { longestMs, pauses }
}

function table() {
  const digits = (value) => (value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString('en'))
  const spread = (values) => `${digits(Math.min(...values))}–${digits(Math.max(...values))}`
  const both = makers.length > 1
  const cells = (runs) => (runs ? ` ${digits(median(runs))} | ${spread(runs)} |` : ' not finished | |')
  const lines = Object.entries(results).map(([name, { unit, ottla, apache }]) =>
    `| ${name} (${unit}) |${makers.map((maker) => cells(results[name][maker])).join('')}${both ? ` ${ottla && apache ? (median(ottla) / median(apache)).toFixed(2) : ''} |` : ''}`)
  const titles = makers.map((maker) => ` ${{ ottla: 'Ottla', apache: 'Apache' }[maker]}, median | runs |`).join('')
  return `| three brokers, three replicas |${titles}${both ? ' ratio |' : ''}\n| --- |${' --: | --: |'.repeat(makers.length)}${both ? ' --: |' : ''}\n${lines.join('\n')}`
}

let failed = false
/** What was measured before, and what comes after, is worth telling all the same. */
function unfinished(error) {
  failed = true
  console.error(error)
}
await runToEnd(processes, async () => {
  if (!only || only.some((name) => ['throughput', 'latency', 'small'].includes(name))) touchPages(folder, (quick ? 3 : 6) * 1024 * MiB)
  const clusters = []
  for (const maker of makers) clusters.push(await startCluster(maker))
  const parts = { throughput, latency, small, killed, rolled, partitions }
  for (const [name, part] of Object.entries(parts)) if (!only || only.includes(name)) await part(clusters).catch(unfinished)
  for (const cluster of clusters) await stopCluster(cluster)
  console.log(`${machine}\n\n${table()}`)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ machine, results }, null, 2)}\n`)
  return !failed
}, () => {
  if (options.log) writeFileSync(options.log, processes.lastWords(Infinity))
})

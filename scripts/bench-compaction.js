/**
 * `npm run bench -- compaction`: the cleaner, and coordinators that load their compacted topics. With KAFKA_LIBS set, Apache's broker stands beside Ottla's, and each
 * figure is taken from both in turns. A topic is filled under cleanup.policy=delete; then it becomes `compact`, and the time runs until the cleaner's checkpoint names
 * it. Bytes are those of the segments that may be cleaned. Both have one cleaner thread and 128 MiB for keys. Memory: the highest the process had
 * resident meanwhile. Loading: a million committed offsets (100 to a batch), and transactional ids (one to a batch), in one partition; a broker is stopped and started.
 * `--help` tells of the options.
 */
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Figures } from './bench-figures.js'
import { cpuOf, kafkaServers } from './bench-kafka-servers.js'
import { common, kafkaLibs, makersOf, optionsOf } from './bench-options.js'
import { load, machine, MiB, peakMiBSince, Processes, residentMiB, runToEnd, sleep, startPeak, touchPages } from './bench-processes.js'

const options = optionsOf('compaction', {
  ...common,
  only: { value: 'WORD,WORD', list: true, words: ['cleaner', 'offsets', 'transactions'], says: 'the figures of some kinds: cleaner, offsets, transactions' },
  rows: { value: 'N,N', list: true, words: ['0', '1', '2'], says: 'rows of the cleaner, from 0' },
})
const { quick, only } = options
const runs = quick ? 1 : 3
const libs = kafkaLibs()
const makers = makersOf(options, libs)
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const processes = new Processes(folder)
const servers = kafkaServers(processes, { libs, profiles: options.profile })
const figures = new Figures()
const ask = (job, armed) => load(job, armed, 'bench-compaction-load.js')
const rows = options.rows?.map(Number)

const bytes = (quick ? 64 : 128) * MiB
const segmentBytes = 16 * MiB
const cases = [
  { words: 'a tenth stays', keys: Math.floor(bytes / 2000), compression: 'none' },
  { words: 'most stays', keys: Math.floor(bytes / 50), compression: 'none' },
  { words: 'a tenth stays, lz4', keys: Math.floor(bytes / 2000), compression: 'lz4' },
]
async function cleaner() {
  const clusters = []
  for (const maker of makers)
    clusters.push(await servers.start(maker, { name: `${maker}-cleaner`, brokers: 1, properties: `log.cleaner.threads=1\nlog.cleaner.backoff.ms=100\nlog.cleaner.dedupe.buffer.size=${128 * MiB}\n` }))
  for (const [number, { words, keys, compression }] of cases.entries())
    for (let run = -1; run < runs && (rows === undefined || rows.includes(number)); run++)
      for (const cluster of clusters) {
        const topic = `clean-${number}-${run + 1}`
        const [{ port, logDir, child }] = cluster.brokers
        await ask({ kind: 'fill', port, topic, bytes, keys, compression, configs: { 'cleanup.policy': 'delete', 'segment.bytes': segmentBytes, 'min.cleanable.dirty.ratio': 0.01 } })
        const sizes = () => readdirSync(join(logDir, `${topic}-0`)).filter((name) => name.endsWith('.log')).sort().map((name) => statSync(join(logDir, `${topic}-0`, name)).size)
        const before = sizes().slice(0, -1).reduce((sum, size) => sum + size, 0)
        startPeak(child)
        const cpuBefore = cpuOf(cluster)
        const { at } = await ask({ kind: 'compact', port, topic })
        const checkpoint = join(logDir, 'cleaner-offset-checkpoint')
        while (!cleanedTopics(checkpoint).has(`${topic} 0`)) {
          if (Date.now() > at + 120_000) throw new Error(`${cluster.maker} did not clean ${topic} within two minutes`)
          await sleep(10)
        }
        const seconds = (Date.now() - at) / 1000
        if (run < 0) continue // warm-up
        const note = (what, unit, value, better) => figures.note(`cleaner, ${words}, ${what}`, unit, cluster.maker, value, better)
        note('speed', 'MB/s', before / 1e6 / seconds, 'more')
        note('CPU', 's/GB', (cpuOf(cluster) - cpuBefore) / (before / 1e9))
        note('highest memory', 'MiB', peakMiBSince(child))
        note('stays', '%', (sizes().slice(0, -1).reduce((sum, size) => sum + size, 0) / before) * 100)
      }
  for (const cluster of clusters) await servers.stop(cluster)
}
/** Lines of a checkpoint file whose partition is clean beyond its begin; the file may be in the middle of being replaced. */
function cleanedTopics(path) {
  try {
    return new Set(readFileSync(path, 'utf8').split('\n').slice(2).filter((line) => Number(line.split(' ')[2]) > 0).map((line) => line.split(' ').slice(0, 2).join(' ')))
  } catch {
    return new Set()
  }
}

async function loading(words, { records, fill, loaded }) {
  const clusters = []
  for (const maker of makers)
    clusters.push(await servers.start(maker, { name: `${maker}-${fill}`, brokers: 1, properties: 'offsets.topic.num.partitions=1\ntransaction.state.log.num.partitions=1\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n' }))
  for (const { ports: [port] } of clusters) await ask({ kind: fill, port, records })
  for (let run = 0; run < runs; run++)
    for (const cluster of clusters) {
      const [broker] = cluster.brokers
      await broker.stop()
      let began
      const { firstAt, loadedAt } = await ask({ kind: loaded, port: broker.port, records }, () => {
        began = Date.now()
        broker.start()
      })
      const note = (what, unit, value) => figures.note(`loading ${words}, ${what}`, unit, cluster.maker, value)
      note('start to answer', 's', (loadedAt - began) / 1000)
      note('of it since the port was open', 's', (loadedAt - firstAt) / 1000)
      note('CPU from start on', 's', cpuOf(cluster))
      note('memory then', 'MiB', residentMiB(broker.child))
    }
  for (const cluster of clusters) await servers.stop(cluster)
}

const parts = {
  cleaner,
  offsets: () => loading(`${quick ? '200,000' : '1,000,000'} offsets`, { records: quick ? 200_000 : 1_000_000, fill: 'offsets', loaded: 'offsetsLoaded' }),
  transactions: () => loading(`${quick ? '50,000' : '200,000'} transactional ids`, { records: quick ? 50_000 : 200_000, fill: 'transactionalIds', loaded: 'transactionsLoaded' }),
}
await runToEnd(processes, async () => {
  touchPages(folder, (quick ? 1 : 2) * 1024 * MiB)
  for (const [name, part] of Object.entries(parts)) if (!only || only.includes(name)) await part()
  console.log(`${machine}\n\n${figures.table('cleaner and loading')}`)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ machine, results: figures.all }, null, 2)}\n`)
})

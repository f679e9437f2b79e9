/**
 * `npm run bench -- transactions`: transactional producers against one broker, then against three with three replicas of everything. With
 * KAFKA_LIBS set, Apache's stand beside Ottla's, and each figure is taken from both in turns. A transaction writes one record of 100 bytes to each of its
 * producer's partitions. `commit`: EndTxn until it is answered without error; `whole`: from AddPartitionsToTxn on; both at seven tenths of the smaller
 * rate, the same load for both. CPU of all brokers.
 * `--help` tells of the options.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOf, kafkaServers } from './bench-kafka-servers.js'
import { load, machine, median, MiB, Processes, runToEnd, touchPages } from './bench-processes.js'
import { Figures } from './bench-figures.js'
import { common, kafkaLibs, makersOf, optionsOf } from './bench-options.js'

const options = optionsOf('transactions', {
  ...common,
  brokers: { value: '1|3', words: ['1', '3'], says: 'one of the two sizes' },
  only: { value: 'WORD', words: ['1x1', '1x10', '16x1', '16x10'], says: 'one number of producers and of partitions each: 1x1, 1x10, 16x1 or 16x10' },
  rate: { value: 'N', number: true, says: 'latencies at N transactions a second, and no rate of its own; with --maker' },
})
const { quick, only, rate: fixedRate } = options
const runs = quick ? 1 : 3
const libs = kafkaLibs()
const makers = makersOf(options, libs)
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const processes = new Processes(folder)
const servers = kafkaServers(processes, { libs, profiles: options.profile })
const figures = new Figures()

let names = 0
const transact = ({ ports }, job, armed) => load({ ...job, ports, name: `${job.topic}-${++names}` }, armed, 'bench-transactions-load.js')

async function measure(size) {
  const replicas = size
  const properties = `offsets.topic.replication.factor=${replicas}\ntransaction.state.log.replication.factor=${replicas}\ntransaction.state.log.min.isr=${Math.min(2, replicas)}\nmin.insync.replicas=${Math.min(2, replicas)}\n`
  const clusters = []
  for (const maker of makers) clusters.push(await servers.start(maker, { name: `${maker}-${size}`, brokers: size, properties }))
  for (const producers of [1, 16])
    for (const partitions of [1, 10]) {
      if (only && only !== `${producers}x${partitions}`) continue
      const title = `${size} broker${size > 1 ? 's' : ''}, ${producers} × ${partitions}`
      const job = { topic: `t-${producers}-${partitions}`, producers, partitions, replicas }
      const note = (cluster, what, unit, value, better) => figures.note(`${title}, ${what}`, unit, cluster.maker, value, better)
      for (let run = -1; run < (fixedRate ? 0 : runs); run++)
        for (const cluster of clusters) {
          let cpuBefore
          const { transactions, seconds, retries } = await transact(cluster, { ...job, seconds: quick ? 0.8 : 1.5 }, () => (cpuBefore = cpuOf(cluster)))
          const cpu = cpuOf(cluster) - cpuBefore
          if (run < 0) continue // warm-up
          note(cluster, 'transactions', '/s', transactions / seconds, 'more')
          note(cluster, 'CPU each', 'µs', (cpu / transactions) * 1e6)
          note(cluster, 'told to try again, for each', '', retries / transactions)
        }
      // A hundredth is the slowest of so many at least.
      const rate = fixedRate ?? 0.7 * Math.min(...clusters.map(({ maker }) => median(figures.all[`${title}, transactions`][maker])))
      for (let run = 0; run < runs; run++)
        for (const cluster of clusters) {
          const { commit, whole } = await transact(cluster, { ...job, seconds: quick ? 0.8 : Math.min(4, Math.max(1.5, 120 / rate)), rate })
          note(cluster, 'commit p50', 'ms', commit.p50)
          note(cluster, 'commit p99', 'ms', commit.p99)
          note(cluster, 'whole p50', 'ms', whole.p50)
          note(cluster, 'whole p99', 'ms', whole.p99)
        }
    }
  for (const cluster of clusters) await servers.stop(cluster)
}

await runToEnd(processes, async () => {
  touchPages(folder, 1024 * MiB)
  for (const size of [1, 3]) if (!options.brokers || Number(options.brokers) === size) await measure(size)
  console.log(`${machine}\n\n${figures.table('producers × partitions each')}`)
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ machine, results: figures.all }, null, 2)}\n`)
})

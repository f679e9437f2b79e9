/**
 * `npm run bench`, or `npm run bench -- broker`: start-up, memory at rest, bytes in and out, single-record requests. Every figure is the median of several runs
 * after a warm-up. KAFKA_LIBS=<folder with the jars of Kafka 3.9> measures Apache's broker and ZooKeeper beside it, in turns.
 * `--help` tells of the options.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { common, kafkaLibs, makersOf, optionsOf } from './bench-options.js'
import { cpuSeconds, freePort, here, javaOptions, load, log4jText, machine, median, MiB, onLinux, Processes, residentMiB, runToEnd, sleep, stop, touchPages } from './bench-processes.js'

const { quick, json: jsonFile } = optionsOf('broker', { quick: common.quick, json: common.json })
const libs = kafkaLibs()
const makersMeasured = makersOf({}, libs)
const runs = quick ? 3 : 5
const folder = mkdtempSync(join(tmpdir(), 'ottla-bench-'))
const processes = new Processes(folder)
const start = (command, args) => processes.start(command, args)

/** Each maker: starts its two servers on a fresh folder and says how to find and stop them. */
const makers = {
  async ottla(name, port) {
    const zookeeperPort = await freePort()
    const began = Date.now()
    const child = start(join(here, '../bin/ottla'), ['up', '--data-dir', join(folder, name), '--host', '127.0.0.1', '--kafka-port', String(port), '--zookeeper-port', String(zookeeperPort)])
    return { port, began, processes: [child], broker: child, stop: () => stop(child) }
  },
  async apache(name, port) {
    const zookeeperPort = await freePort()
    const data = join(folder, name)
    execFileSync('mkdir', ['-p', data])
    writeFileSync(join(data, 'log4j.properties'), log4jText)
    writeFileSync(join(data, 'zoo.cfg'), `dataDir=${join(data, 'zookeeper')}\nclientPort=${zookeeperPort}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n`)
    writeFileSync(join(data, 'server.properties'), `broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:${port}\nlog.dirs=${join(data, 'kafka')}\nzookeeper.connect=127.0.0.1:${zookeeperPort}\noffsets.topic.replication.factor=1\n`)
    const common = javaOptions(libs, join(data, 'log4j.properties'))
    const began = Date.now()
    const zookeeper = start('java', ['-Xmx512M', '-Xms512M', ...common, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', join(data, 'zoo.cfg')])
    const broker = start('java', ['-Xmx1G', '-Xms1G', ...common, 'kafka.Kafka', join(data, 'server.properties')])
    return { port, began, processes: [zookeeper, broker], broker, stop: async () => { await stop(broker); await stop(zookeeper) } }
  },
}

async function measure(maker) {
  const results = {}
  const note = (name, unit, values, extra = {}) => {
    results[name] = { unit, median: median(values), runs: values, ...extra }
    process.stderr.write(`  ${maker} ${name}: ${values.map((value) => value.toFixed(value < 10 ? 3 : 0)).join(' ')} ${unit}\n`)
  }

  const startUp = []
  const resident = []
  for (let run = 0; run < (maker === 'ottla' ? runs + 2 : 3); run++) {
    const port = await freePort()
    let starting
    const { at } = await load({ kind: 'ready', port, topic: 'first', patienceMs: 60_000 }, () => (starting = makers[maker](`${maker}-start-${run}`, port)))
    const server = await starting
    startUp.push((at - server.began) / 1000)
    if (run < 3 && onLinux) {
      await sleep(quick ? 2_000 : 5_000)
      resident.push(server.processes.reduce((sum, child) => sum + residentMiB(child), 0))
    }
    await server.stop()
    rmSync(join(folder, `${maker}-start-${run}`), { recursive: true, force: true })
  }
  note('start to first acknowledged record', 's', startUp)
  if (resident.length > 0) note('resident at rest', 'MiB', resident)

  const server = await makers[maker](`${maker}-load`, await freePort())
  try {
    await load({ kind: 'ready', port: server.port, topic: 'warm', patienceMs: 60_000 })
    for (const [words, records, size] of [['500 × 1,000 B', 500, 1000], ['5,000 × 100 B', 5000, 100]]) {
      const bytes = (quick ? 256 : 512) * MiB
      const rates = { in: [], out: [] }
      const cpu = { in: [], out: [] }
      for (let run = -2; run < runs; run++) {
        const topic = `t-${records}-${run + 2}`
        await load({ kind: 'ready', port: server.port, topic, patienceMs: 10_000 })
        for (const [way, job] of [
          ['in', { kind: 'produce', records, size, bytes, inFlight: 8 }],
          ['out', { kind: 'fetch', bytes: bytes * 0.99, bytesMax: 8 * MiB, bufferSize: 16 * MiB }],
        ]) {
          const before = onLinux ? cpuSeconds(server.broker) : NaN
          const { seconds, bytes: moved } = await load({ ...job, port: server.port, topic })
          if (run < 0) continue // warm-up
          rates[way].push(moved / 1e6 / seconds)
          cpu[way].push((cpuSeconds(server.broker) - before) / (moved / 1e9))
        }
      }
      note(`MB/s in, batches of ${words}`, 'MB/s', rates.in, { brokerCpuSecondsPerGB: median(cpu.in) })
      note(`MB/s out, batches of ${words}`, 'MB/s', rates.out, { brokerCpuSecondsPerGB: median(cpu.out) })
    }
    for (const [connections, inFlight] of [[1, 1], [64, 1], [64, 5]]) {
      const topic = `small-${connections}-${inFlight}`
      await load({ kind: 'ready', port: server.port, topic, patienceMs: 10_000 })
      const job = { kind: 'requests', port: server.port, topic, size: 100, connections, inFlight, seconds: quick ? 1 : 2 }
      await load(job)
      const rates = []
      for (let run = 0; run < runs; run++) {
        const { seconds, requests } = await load(job)
        rates.push(requests / seconds)
      }
      note(`requests/s of one record, ${connections} × ${inFlight} in flight`, '/s', rates)
    }
  } finally {
    await server.stop()
    rmSync(join(folder, `${maker}-load`), { recursive: true, force: true })
  }
  return results
}

function table(all) {
  const names = Object.keys(all.ottla)
  const digits = (value) => (value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString('en'))
  const lines = names.map((name) => {
    const ours = all.ottla[name]
    const theirs = all.apache?.[name]
    const spread = `${digits(Math.min(...ours.runs))}–${digits(Math.max(...ours.runs))}`
    const cpu = ours.brokerCpuSecondsPerGB === undefined ? '' : `${ours.brokerCpuSecondsPerGB.toFixed(2)}${theirs ? ` / ${theirs.brokerCpuSecondsPerGB.toFixed(2)}` : ''}`
    return `| ${name} (${ours.unit}) | ${digits(ours.median)} | ${spread} |${theirs ? ` ${digits(theirs.median)} | ${(ours.median / theirs.median).toFixed(2)} |` : ''} ${cpu} |`
  })
  const theirs = all.apache ? ' Apache | ratio |' : ''
  return `| what | Ottla, median | runs |${theirs} broker CPU s per GB${all.apache ? ', both' : ''} |\n| --- | --: | --: |${all.apache ? ' --: | --: |' : ''} --: |\n${lines.join('\n')}`
}

async function main() {
  touchPages(folder, (quick ? 2 : 4) * 1024 * MiB)
  const all = {}
  for (const maker of makersMeasured) all[maker] = await measure(maker)
  console.log(`${machine}\n\n${table(all)}`)
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ machine, ...all }, null, 2)}\n`)
}

await runToEnd(processes, main)

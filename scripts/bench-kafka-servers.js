/** Clusters of either maker for the benchmarks: one ZooKeeper server and some brokers, on folders of their own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSeconds, freePort, here, javaOptions, load, log4jText, sleep, stop } from './bench-processes.js'

/** As bin/kafka-server-start.sh sets them. */
const mallocSettings = { MALLOC_MMAP_THRESHOLD_: '268435456', MALLOC_TRIM_THRESHOLD_: '268435456' }

/**
 * A broker as under a supervisor: one that ends without having been told is started again after a second, of either maker. Apache's ends when it finds its own
 * number still registered, by the session of the process before it; that lasts until the session's end. `child`: the process it is at the moment.
 */
class Broker {
  #isWanted = false
  constructor({ maker, id, port, logDir, run }) {
    Object.assign(this, { maker, id, port, logDir })
    this.run = run
    this.child = undefined
  }
  start() {
    this.#isWanted = true
    const child = (this.child = this.run())
    child.once('exit', async (code, signal) => {
      if (!this.#isWanted) return
      process.stderr.write(`  ${this.maker}: broker ${this.id} ended by itself (${signal ?? `exit code ${code}`}); it is started again in a second\n`)
      await sleep(1_000)
      if (this.#isWanted && this.child === child) this.start()
    })
  }
  /** Resolves when it has ended; nobody starts it again then. */
  async stop(signal) {
    this.#isWanted = false
    await stop(this.child, signal)
  }
}

/** `libs`: the folder with Apache's jars; `profiles`: where CPU profiles of Ottla's brokers go. */
export function kafkaServers(processes, { libs, profiles }) {
  const makers = {
    ottla: {
      zookeeper: (config) => processes.start(process.execPath, [join(here, '../dist/cli/zookeeper-server-start.js'), config]),
      broker: (config) => processes.start(process.execPath, [...(profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []), join(here, '../dist/cli/kafka-server-start.js'), config], { env: { ...process.env, ...mallocSettings } }),
    },
    apache: {
      zookeeper: (config, log4j) => processes.start('java', ['-Xmx512M', '-Xms512M', ...javaOptions(libs, log4j), 'org.apache.zookeeper.server.quorum.QuorumPeerMain', config]),
      broker: (config, log4j) => processes.start('java', ['-Xmx1G', '-Xms1G', ...javaOptions(libs, log4j), 'kafka.Kafka', config]),
    },
  }
  return {
    /** `name`: the folder; `properties`: lines added to every server.properties. Resolves when each broker is a replica of a first topic. */
    async start(maker, { name = maker, brokers: count, properties = '' }) {
      const data = join(processes.folder, name)
      mkdirSync(data)
      const log4j = join(data, 'log4j.properties')
      writeFileSync(log4j, log4jText)
      const zookeeperPort = await freePort()
      const zookeeperConfig = join(data, 'zoo.cfg')
      writeFileSync(zookeeperConfig, `dataDir=${join(data, 'zookeeper')}\ntickTime=2000\nclientPort=${zookeeperPort}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n`)
      const zookeeper = makers[maker].zookeeper(zookeeperConfig, log4j)
      await load({ kind: 'open', port: zookeeperPort })
      const brokers = []
      for (let id = 1; id <= count; id++) {
        const port = await freePort()
        const config = join(data, `server-${id}.properties`)
        const logDir = join(data, `kafka-${id}`)
        writeFileSync(
          config,
          `broker.id=${id}\nlisteners=PLAINTEXT://127.0.0.1:${port}\nlog.dirs=${logDir}\nzookeeper.connect=127.0.0.1:${zookeeperPort}\nzookeeper.session.timeout.ms=6000\nnum.partitions=1\ndefault.replication.factor=${count}\n${properties}`,
        )
        brokers.push(new Broker({ maker, id, port, logDir, run: () => makers[maker].broker(config, log4j) }))
      }
      for (const broker of brokers) broker.start()
      const cluster = { maker, zookeeper, zookeeperPort, brokers, ports: brokers.map(({ port }) => port) }
      await load({ kind: 'placed', ports: cluster.ports, topic: 'first', isrSize: count })
      return cluster
    },
    async stop({ brokers, zookeeper }) {
      for (const broker of brokers) await broker.stop()
      await stop(zookeeper)
    },
  }
}
export const cpuOf = ({ brokers }) => brokers.reduce((sum, { child }) => sum + cpuSeconds(child), 0)

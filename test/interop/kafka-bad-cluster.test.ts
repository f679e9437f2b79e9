/** What goes wrong around a cluster that works on: impostors, foreign and damaged and full disks, an ensemble that is away. The ledger is judged at the end. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import { targetMake } from './ensemble.ts'
import { KafkaLoad } from './kafka-load.ts'
import { judgeLedger } from './ledger.ts'
import { run, until } from './process.ts'
import { describeWith, unique } from './programs.ts'
import { brokerMakers, disposeOf, kafkaMaker, kafkaServer, program, type Server } from './target.ts'

// What sessions of six seconds do not survive; `SOAK=minutes` is as long as that.
const awayMs = process.env.SOAK ? Number(process.env.SOAK) * 60_000 : 10_000
const noMounts = process.getuid?.() === 0 ? undefined : 'a small disk wants root'

// `BROKERS=ottla,apache,ottla` is a mixed cluster.
const makers = brokerMakers.length === 3 ? brokerMakers : [kafkaMaker, kafkaMaker, kafkaMaker]

describeWith(makers.includes('apache') ? ['python', 'apache'] : ['python'], 'a cluster of three brokers goes on', () => {
  let brokers: Brokers
  let load: KafkaLoad
  const mounts: string[] = []
  beforeAll(async () => {
    brokers = await Brokers.start([targetMake, targetMake, targetMake], makers, { config: { 'log.segment.bytes': 1_000_000, 'zookeeper.connection.timeout.ms': 30_000 } })
    load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 200 })
  })
  disposeOf(() => brokers?.servers ?? [])
  // Before the servers' folders go: hooks that end run from the last to the first.
  afterAll(async () => {
    await load?.dispose()
    for (const server of brokers?.servers ?? []) await server.kill()
    for (const mount of mounts) spawnSync('umount', [mount])
    await brokers?.dispose()
  })

  /** Starts a server that must refuse, and answers what it said. */
  async function refused(server: Server): Promise<string> {
    try {
      await server.launch()
      expect(await server.exited()).not.toBe(0)
      return server.log()
    } finally {
      await server.dispose()
    }
  }
  const zookeeper = (): string => brokers.ensemble.addresses.join()
  const segments = (id: number): string[] => {
    const folder = join(brokers.server(id).dataDirectory, `${load.topic}-0`)
    return readdirSync(folder).filter((name) => name.endsWith('.log')).sort().map((name) => join(folder, name))
  }

  test('when a second broker with the id of one that works is started: it is refused and told who holds it', async () => {
    const said = await refused(await kafkaServer({ maker: kafkaMaker, zookeeper: zookeeper(), config: { 'broker.id': 2, 'zookeeper.session.timeout.ms': 6_000 } }))
    if (kafkaMaker === 'ottla') expect(said).toContain(`${brokers.server(2).port}`)
    expect(said).toMatch(kafkaMaker === 'ottla' ? /\b2\b.*(registered|holds|held|another broker)/i : /NodeExists|already exists/)
    await load.progress(50)
  })

  test('when a broker comes with the log directory of another cluster: it is refused, and the directory is left as it is', async () => {
    const server = await kafkaServer({ maker: kafkaMaker, zookeeper: zookeeper(), config: { 'broker.id': 4 } })
    const file = join(server.dataDirectory, 'meta.properties')
    writeFileSync(file, 'version=0\nbroker.id=4\ncluster.id=xtzWWN4bTjitpL3kfd9s5g\n')
    await server.launch()
    expect(await server.exited()).not.toBe(0)
    expect(server.log()).toContain('xtzWWN4bTjitpL3kfd9s5g')
    expect(readFileSync(file, 'utf8')).toContain('cluster.id=xtzWWN4bTjitpL3kfd9s5g')
    expect(readdirSync(server.dataDirectory).filter((name) => !name.startsWith('.') && name !== 'meta.properties')).toEqual([])
    await server.dispose()
    await load.progress(50)
  })

  test('when the ensemble is away for longer than sessions last: records are taken all the time, and topics are made when it is back', { timeout: 600_000 + awayMs }, async () => {
    const { servers } = brokers.ensemble
    await Promise.all(servers.map((server) => server.kill()))
    const away = performance.now()
    await load.progress(200)
    await until('so long', async () => (await load.progress(20), performance.now() - away > awayMs), 120_000 + awayMs)
    await Promise.all(servers.map((server) => server.start()))
    await brokers.ensemble.allServe()
    await until('all brokers obey one', async () => brokers.obey((await brokers.controllerId()) ?? 0))
    const topic = unique('after')
    await brokers.create({ topic, numPartitions: 3, replicationFactor: 3 })
    await brokers.inSync(load.topic, '__consumer_offsets', topic)
  })

  test('when a segment of one replica is damaged while its broker is dead: it is as the others have it again', async () => {
    const leader = await brokers.leader(load.topic)
    const victim = brokers.servers.find((server) => server !== leader)!
    await victim.kill()
    const last = segments(brokers.id(victim)).at(-1)!
    const size = statSync(last).size
    const file = openSync(last, 'r+')
    writeSync(file, 'damaged on purpose', Math.floor(size / 2))
    closeSync(file)
    await load.progress(50)
    await brokers.revive(victim)
    await brokers.inSync(load.topic, '__consumer_offsets')
    const bytes = (id: number): Buffer | undefined => {
      const path = segments(id).find((name) => name.endsWith(last.split('/').at(-1)!))
      return path === undefined ? undefined : readFileSync(path).subarray(0, size)
    }
    await until('the same bytes', () => bytes(brokers.id(victim))?.equals(bytes(brokers.id(leader))!))
  })

  test.skipIf(noMounts)(`when the disk of a leader is full${noMounts ? ` (SKIPPED: ${noMounts})` : ''}: others lead, and it returns when there is room`, async () => {
    const server = brokers.server((await brokers.partitions(load.topic))[0].replicas[0])
    const id = brokers.id(server)
    await server.stop()
    const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'none', server.dataDirectory], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`mount: ${error?.message ?? stderr.trim()}`)
    mounts.push(server.dataDirectory)
    await server.start()
    await brokers.inSync(load.topic, '__consumer_offsets')
    // A partition of another topic that is not in sync yet makes the tool end with an error.
    await until('it leads', async () => {
      await run(program('kafka-leader-election.sh'), ['--bootstrap-server', brokers.addresses.join(), '--election-type', 'preferred', '--topic', load.topic, '--partition', '0'])
      return (await brokers.partitions(load.topic))[0].leader === id
    })
    const ballast = join(server.dataDirectory, 'ballast')
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4k'])
    await until('others lead', async () => (await brokers.partitions(load.topic)).every(({ leader }) => leader > 0 && leader !== id))
    await until('it says why', () => /no space|ENOSPC|disk is full/i.test(server.log()))
    await load.progress(100)
    if (server.running) await server.stop()
    rmSync(ballast)
    await brokers.revive(server)
    await brokers.inSync(load.topic, '__consumer_offsets')
  })

  test('and nothing acknowledged was lost, doubled or reordered', async () => {
    const tally = judgeLedger(await load.finish())
    console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs, restarts: load.restarts }))
    // As many as were waited for, of both producers.
    expect(tally.acknowledged).toBeGreaterThan(900)
  })
})

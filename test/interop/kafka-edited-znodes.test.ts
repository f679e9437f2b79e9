/**
 * Somebody edits, damages and deletes the controller's znodes by hand while producers and consumers of two libraries work. After each misdeed records go on being
 * acknowledged, also when a leader is stopped and another controller elected; what cannot go on before the node is repaired goes on when it is. Nothing acknowledged is
 * lost, doubled or reordered. `SOAK=1` runs it (some ten minutes; `FAULTS='state|/controller'` chooses), and prints what each step took. With TARGET=apache it fails at some
 * misdeeds: Apache's cluster does not go on after `/controller_epoch` or a registration was deleted or a state was damaged; garbage in notifications and below /admin it survives.
 */
import { afterEach, describe, expect, test } from 'vitest'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { Brokers } from './brokers.ts'
import { targetMake } from './ensemble.ts'
import { KafkaLoad } from './kafka-load.ts'
import { judgeLedger } from './ledger.ts'
import { describeWith } from './programs.ts'
import { brokerMakers, kafkaMaker } from './target.ts'

const makers = brokerMakers.length === 3 ? brokerMakers : [kafkaMaker, kafkaMaker, kafkaMaker]
/** What has not gone on after so long waits for the repair. */
const patienceMs = 15_000

type Json = Record<string, unknown>
interface Place {
  readonly path: string
  /** What stands there, as somebody with a bad idea may change it. */
  readonly edit: (node: Json) => string | undefined
}

/** Deletes a node with what is below it, writes into it, or makes it. */
async function write(session: ZooKeeperClient, path: string, text: Buffer | string | null | undefined): Promise<void> {
  try {
    if (text === undefined) await session.deleteTree(path)
    else if (await session.exists(path)) await session.setData(path, text)
    else await session.create(path, text)
  } catch (error) {
    // Somebody else was there at the same moment: a controller puts right what it sees.
    if (!isZooKeeperError(error)) throw error
  }
}
/** A node and all below it. */
async function copyOf(session: ZooKeeperClient, path: string): Promise<Map<string, Buffer | null>> {
  const copy = new Map<string, Buffer | null>()
  const take = async (at: string): Promise<void> => {
    const found = await session.getData(at).catch((error: unknown) => {
      if (isZooKeeperError(error, 'noNode')) return undefined
      throw error
    })
    if (!found || found.stat.ephemeralOwner !== 0n) return
    copy.set(at, found.data)
    for (const name of await session.listChildren(at)) await take(`${at === '/' ? '' : at}/${name}`)
  }
  await take(path)
  return copy
}

const deleted = (): undefined => undefined
const as = (text: string) => (): string => text
const but = (change: Json) => (node: Json): string => JSON.stringify({ ...node, ...change })
const garbage = as('{"vers')

function misdeeds(topic: string): Record<string, Place | Place[]> {
  const state = (partition: number, edit: Place['edit']): Place => ({ path: `/brokers/topics/${topic}/partitions/${partition}/state`, edit })
  const top = (edit: Place['edit']): Place => ({ path: `/brokers/topics/${topic}`, edit })
  return {
    'state deleted': state(0, deleted),
    'state garbage': state(0, garbage),
    'state empty': state(0, as('')),
    'state: a leader that is not there': state(0, but({ leader: 77 })),
    'state: no leader': state(0, but({ leader: -1 })),
    'state: another of the ISR leads': state(0, (node) => JSON.stringify({ ...node, leader: (node.isr as number[]).find((id) => id !== node.leader) })),
    'state: a lower leader epoch': state(0, but({ leader_epoch: 0 })),
    'state: a much higher leader epoch': state(0, (node) => JSON.stringify({ ...node, leader_epoch: Number(node.leader_epoch) + 1_000 })),
    'state: a higher controller epoch': state(0, but({ controller_epoch: 1_000_000 })),
    'state: an empty ISR': state(0, but({ isr: [] })),
    'state: an ISR of strangers': state(0, but({ isr: [77, 78] })),
    'states of all partitions deleted': [0, 1, 2].map((partition) => state(partition, deleted)),
    'partitions deleted': { path: `/brokers/topics/${topic}/partitions`, edit: deleted },
    'topic garbage': top(garbage),
    'topic: no partitions': top(but({ partitions: {} })),
    'topic: replicas that are not there': top((node) => JSON.stringify({ ...node, partitions: { ...(node.partitions as Json), 0: [77, 78, 79] } })),
    'topic: another id': top(but({ topic_id: 'AAAAAAAAAAAAAAAAAAAAQQ' })),
    'topic deleted': top(deleted),
    '/controller deleted': { path: '/controller', edit: deleted },
    '/controller garbage': { path: '/controller', edit: garbage },
    '/controller: of a broker that is not there': { path: '/controller', edit: but({ brokerid: 77 }) },
    '/controller_epoch deleted': { path: '/controller_epoch', edit: deleted },
    '/controller_epoch garbage': { path: '/controller_epoch', edit: as('seven') },
    '/controller_epoch lower': { path: '/controller_epoch', edit: as('1') },
    '/controller_epoch higher': { path: '/controller_epoch', edit: as('100000') },
    'a registration deleted': { path: '/brokers/ids/1', edit: deleted },
    'a registration garbage': { path: '/brokers/ids/2', edit: garbage },
    'a registration: another port': { path: '/brokers/ids/3', edit: (node) => JSON.stringify(node).replaceAll(/:\d{4,5}"/g, ':1"').replace(/"port":\d+/, '"port":1') },
    'the list of brokers deleted': { path: '/brokers/ids', edit: deleted },
    '/isr_change_notification deleted': { path: '/isr_change_notification', edit: deleted },
    '/isr_change_notification: garbage': { path: '/isr_change_notification/isr_change_0000000001', edit: garbage },
    '/isr_change_notification: a topic that is not there': { path: '/isr_change_notification/isr_change_0000000002', edit: as('{"version":1,"partitions":[{"topic":"nobody","partition":7}]}') },
    '/log_dir_event_notification: garbage': { path: '/log_dir_event_notification/log_dir_event_0000000001', edit: garbage },
    '/log_dir_event_notification deleted': { path: '/log_dir_event_notification', edit: deleted },
    '/admin deleted': { path: '/admin', edit: deleted },
    '/admin/delete_topics: a topic that is not there': { path: '/admin/delete_topics/nobody', edit: as('') },
    '/admin/reassign_partitions garbage': { path: '/admin/reassign_partitions', edit: garbage },
    '/admin/reassign_partitions: to brokers that are not there': { path: '/admin/reassign_partitions', edit: as(JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, replicas: [77, 78, 79] }] })) },
    '/admin/preferred_replica_election garbage': { path: '/admin/preferred_replica_election', edit: garbage },
    '/admin/preferred_replica_election: strangers': { path: '/admin/preferred_replica_election', edit: as(JSON.stringify({ version: 1, partitions: [{ topic: 'nobody', partition: 3 }, { topic, partition: 99 }] })) },
    '/latest_producer_id_block deleted': { path: '/latest_producer_id_block', edit: deleted },
    '/latest_producer_id_block garbage': { path: '/latest_producer_id_block', edit: garbage },
    '/config/topics garbage': { path: `/config/topics/${topic}`, edit: garbage },
    '/config/changes garbage': { path: '/config/changes/config_change_0000000001', edit: garbage },
    '/config/changes deleted': { path: '/config/changes', edit: deleted },
    '/config deleted': { path: '/config', edit: deleted },
    '/brokers/seqid deleted': { path: '/brokers/seqid', edit: deleted },
    '/feature deleted': { path: '/feature', edit: deleted },
    '/feature garbage': { path: '/feature', edit: garbage },
    '/cluster deleted': { path: '/cluster', edit: deleted },
    '/cluster/id garbage': { path: '/cluster/id', edit: garbage },
  }
}

const isWanted = Boolean(process.env.SOAK)
describe('the misdeeds', () => {
  const state = { controller_epoch: 3, leader: 1, version: 1, leader_epoch: 7, isr: [1, 2, 3] }
  const topic = { partitions: { 0: [1, 2, 3] }, topic_id: 'x', version: 3 }
  const registration = { endpoints: ['PLAINTEXT://127.0.0.1:9092'], host: '127.0.0.1', port: 9092, brokerid: 3 }
  test.each(Object.entries(misdeeds('t')))('%s: changes what stands there', (_, places) => {
    for (const { path, edit } of [places].flat()) {
      const node: Json = path.endsWith('/state') ? state : path === '/brokers/topics/t' ? topic : registration
      expect(edit(node)).not.toBe(JSON.stringify(node))
    }
  })
})
if (isWanted) describeWith(makers.includes('apache') ? ['python', 'apache'] : ['python'], 'the znodes of the controller edited by hand', () => {
  let brokers: Brokers | undefined
  let load: KafkaLoad | undefined
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') for (const server of brokers?.servers ?? []) console.error(`--- ${server.address}\n${server.log(60)}`)
    await load?.dispose()
    await brokers?.dispose()
    load = brokers = undefined
  })

  test.each([
    ['a leader is stopped, then another controller elected', false],
    ['another controller is elected, then a leader stopped', true],
  ])('nothing acknowledged is lost, doubled or reordered when %s', { timeout: 3_600_000 }, async (_, isControllerFirst) => {
    brokers = await Brokers.start([targetMake], makers, { config: { 'replica.lag.time.max.ms': 5_000 } })
    load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 300 })
    const cluster = brokers
    const { session } = brokers
    const { topic } = load
    /** Records of both producers, of kafkajs's in every partition. */
    const goesOn = (timeoutMs?: number): Promise<void> => load!.progress(90, 'both', timeoutMs)
    const seconds = (since: number): string => ((performance.now() - since) / 1_000).toFixed(1)
    let waitedForRepair = 0
    for (const [name, places] of Object.entries(misdeeds(topic))) {
      if (!new RegExp(process.env.FAULTS ?? '').test(name)) continue
      const edited = [places].flat()
      const originals = await Promise.all(edited.map(({ path }) => copyOf(session, path)))
      const spoilt = new Map<string, string | undefined>()
      for (const { path, edit } of edited) {
        const now = await session.getData(path).then(({ data }) => String(data), () => '{}')
        const text = edit((/^\s*\{/.test(now) ? JSON.parse(now) : {}) as Json)
        spoilt.set(path, text)
        await write(session, path, text)
      }
      const report: string[] = []
      /** Puts back what is still as it was spoilt. */
      const repair = async (): Promise<string[]> => {
        const repaired: string[] = []
        for (const [at, { path }] of edited.entries()) {
          const now = await session.getData(path).then(({ data }) => String(data), () => undefined)
          if (now !== spoilt.get(path)) continue
          if (originals[at].size === 0 && now !== undefined) await write(session, path, undefined)
          for (const [each, data] of originals[at]) await write(session, each, data)
          repaired.push(path)
        }
        return repaired
      }
      const step = async (what: string, disturb: () => Promise<void>): Promise<void> => {
        const began = performance.now()
        let ended: number | undefined
        try {
          await disturb()
          ended = performance.now()
          await goesOn(patienceMs)
          report.push(`${what} ${seconds(ended)}`)
        } catch {
          const repaired = await repair()
          const since = performance.now()
          // A broker that was refused.
          if (ended === undefined) await disturb()
          waitedForRepair++
          report.push(`${what}: NOTHING for ${seconds(began)} s, repaired ${repaired.join(' ') || 'nothing'}`)
          await goesOn(60_000).catch(async (cause: Error) => {
            report.push('still nothing for 60 s')
            console.log(`${name}: ${report.join(', ')}`)
            throw new Error(`${name}: ${cause.message}`, { cause })
          })
          report.push(`then ${seconds(since)}`)
        }
      }
      await step('edited', async () => {})
      const newController = (): Promise<void> => step('controller', () => write(session, '/controller', undefined))
      if (isControllerFirst) await newController()
      const leader = await cluster.leader(topic)
      await step('leader stopped', async () => void (await leader.stop()))
      await step('started', async () => void (await leader.start()))
      if (!isControllerFirst) await newController()
      const before = await repair()
      await step(`repaired (${before.length})`, async () => {})
      const settling = performance.now()
      await cluster.inSync(topic, '__consumer_offsets').catch((cause: Error) => {
        console.log(`${name}: ${report.join(', ')}, never in sync again`)
        throw new Error(`${name}: ${cause.message}`, { cause })
      })
      console.log(`${name}: ${report.join(', ')}, in sync ${seconds(settling)}`)
    }
    const tally = judgeLedger(await load.finish())
    console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs, restarts: load.restarts, waitedForRepair }))
    expect(tally.acknowledged).toBeGreaterThan(500)
  })
})

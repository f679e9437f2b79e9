/**
 * Ensembles of Ottla's servers and Apache's 3.8.0, 3.8.4 and 3.9, in every composition of three and with an observer of either: each leads,
 * each follows, and each comes back by DIFF, by SNAP and by TRUNC, as the log of Apache's side says (Ottla's where Apache's is silent).
 */
import { afterEach, expect, test } from 'vitest'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { Ensemble, freeze, made, modeOf, type Make } from './ensemble.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import type { ApacheRelease } from './target.ts'

let ensemble: Ensemble
let client: ZooKeeperClient
let written = 0
afterEach(() => ensemble?.dispose())

/** What a leader's memory has, and too much for it: Apache keeps 500, Ottla up to 1,000. */
const few = 10
const many = 1_100
async function write(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, async () => {
    const path = `/n${written++}`
    await until(`${path} is written`, () => client.create(path, 'data').then(() => true, (error: unknown) => {
      // The client's server may have been the one that was killed.
      if (isZooKeeperError(error, 'nodeExists')) return true
      if (isZooKeeperError(error, 'connectionLoss')) return client.connected(60_000).then(() => false)
      throw error
    }))
  }))
}
async function form(makes: readonly Make[], observer: number): Promise<void> {
  // Without the log on disk as a source: what a leader's memory lacks takes a snapshot. And with sessions that outlive the starts of
  // virtual machines: the end of one would be a transaction, and a leader that has one in its epoch does not send TRUNC.
  ensemble = await Ensemble.start(makes, { observers: [observer], sessionTimeoutMs: 60_000, config: { snapshotSizeFactor: -1, syncLimit: 6 } })
  client = await ensemble.connect(...ensemble.servers.slice(0, 3))
  await write(few)
}
const leads = (at: number): Promise<void> => ensemble.leads(at, () => write(few))
type Way = 'DIFF' | 'TRUNC' | 'SNAP'
const learnt: Record<Way, RegExp> = { DIFF: /Getting a diff from the leader/, TRUNC: /Truncating log to get in sync/, SNAP: /Getting a snapshot from leader/ }
const taught: Record<Way, RegExp> = { DIFF: /Sending DIFF zxid/, TRUNC: /the log is cut/, SNAP: /Sending snapshot last zxid of peer/ }
/** A killed learner starts again, while another maker's server leads, and what it lacks comes this way. */
async function returns(at: number, way: Way): Promise<void> {
  const [leader, learner] = [await ensemble.leader(), ensemble.servers[at]]
  expect(leader.maker).not.toBe(learner.maker)
  // Apache's leader says nothing of a TRUNC, so there Ottla's learner is asked.
  const [witness, sentences] = learner.maker === 'apache' ? [learner, learnt] : [way === 'TRUNC' ? learner : leader, taught]
  const before = witness.log().length
  await learner.start()
  await ensemble.allServe()
  // How it came back first: on a slow machine it may have to come again.
  const said = witness.log().slice(before)
  const ways = Object.entries(sentences).map(([found, sentence]) => ({ found, at: said.search(sentence) })).filter(({ at }) => at >= 0).sort((one, other) => one.at - other.at)
  expect(ways[0]?.found, `${leader.maker} leads, ${learner.maker} returns`).toBe(way)
  await ensemble.agreed()
}
async function comesBack(at: number, way: 'DIFF' | 'SNAP'): Promise<void> {
  await ensemble.servers[at].kill()
  await write(way === 'DIFF' ? few : many)
  await returns(at, way)
}
/** The leader at this place logs what nobody else gets; the others, in a new epoch, know nothing of it. */
async function comesBackByTrunc(at: number): Promise<void> {
  await leads(at)
  const leader = ensemble.servers[at]
  const others = ensemble.servers.filter((server) => server !== leader)
  const lonely = await ensemble.connect(leader)
  await made(lonely, '/before')
  await ensemble.agreed()
  // Frozen, they cannot take it; killed, they never will.
  await Promise.all(others.map(freeze))
  const lost = [1, 2, 3].map((number) => lonely.create(`/lost${number}`, '').then(() => 'acknowledged', () => 'lost'))
  await until('it gives up', async () => (await modeOf(leader)) === 'none')
  lonely.abandon()
  await leader.kill()
  await Promise.all(others.map((server) => server.kill()))
  expect(new Set(await Promise.all(lost))).toEqual(new Set(['lost']))
  await Promise.all(others.map((server) => server.start()))
  await returns(at, 'TRUNC')
  expect((await client.getChildren('/')).children.filter((name) => name.startsWith('lost'))).toEqual([])
}

/** With 3.8.4 only for `SOAK=1`: zookeeper-ensemble has it. */
const releases: ApacheRelease[] = ['zookeeper-3.8.0', 'zookeeper-3.9', ...(process.env.SOAK ? ['apache' as const] : [])]
const timeout = 900_000
for (const release of releases) {
  describeWith([release], `with ${release === 'apache' ? 'zookeeper-3.8.4' : release}`, () => {
    test('one server of Ottla and two of Apache, and an observer of Ottla', { timeout }, async () => {
      await form(['ottla', release, release, 'ottla'], 4)
      await leads(0)
      await comesBack(1, 'DIFF')
      await comesBack(2, 'SNAP')
      await leads(1)
      await comesBack(0, 'DIFF')
      await comesBack(0, 'SNAP')
      await comesBack(3, 'DIFF')
      await comesBack(3, 'SNAP')
      expect(await modeOf(ensemble.servers[3])).toBe('observer')
      await comesBackByTrunc(0)
    })
    test('two servers of Ottla and one of Apache, and an observer of Apache', { timeout }, async () => {
      await form(['ottla', release, 'ottla', release], 4)
      await leads(1)
      await comesBack(0, 'SNAP')
      await comesBack(2, 'DIFF')
      await leads(2)
      await comesBack(1, 'DIFF')
      await comesBack(1, 'SNAP')
      await comesBack(3, 'DIFF')
      await comesBack(3, 'SNAP')
      expect(await modeOf(ensemble.servers[3])).toBe('observer')
      await comesBackByTrunc(1)
    })
  })
}

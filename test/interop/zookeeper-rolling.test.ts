/**
 * A running ensemble of three Apache servers becomes one of Ottla's, server by server, on the same folders and ports, and Apache's again,
 * while clients work, kazoo among them: nothing acknowledged is lost, no session ends, watches and ephemeral nodes stay.
 */
import { afterEach, expect, test } from 'vitest'
import { judge, type Operation, type Tally } from '../../src/simulation/checkers/histories.ts'
import { Ensemble, patiently, type Make } from './ensemble.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import type { ApacheRelease, Server } from './target.ts'
import { Workload } from './workload.ts'

let ensemble: Ensemble | undefined
let workload: Workload | undefined
afterEach(async () => {
  workload?.dispose()
  await ensemble?.dispose()
  ensemble = workload = undefined
})

/**
 * Apache's follower does not wait for its own CommitProcessor before it makes up its mind about its history: when its leader ends while it applies
 * something, that may be applied once more behind what follows it, and the server, leading next, has lost what it had acknowledged
 * ("Digests are not matching" in its log; seen with three of Apache's 3.8.0 alone, that thread slowed down; ZOOKEEPER-4712 is its neighbour). So such a
 * leader ends at rest.
 */
async function stopped(server: Server): Promise<void> {
  const { servers } = ensemble!
  const others = servers.filter((other) => other !== server && other.running)
  if (server !== (await ensemble!.leader()) || others.every(({ maker }) => maker === 'ottla')) return void (await server.stop())
  await workload!.atRest(async () => {
    await ensemble!.caughtUp()
    await server.stop()
  })
}

/** Judged; a loss comes with what the servers said of their histories, as it may be seen once in hundreds of runs. */
function judged(history: readonly Operation[]): Tally {
  try {
    return judge(history)
  } catch (cause) {
    const telling = /LEADING|FOLLOWING|this server leads|clients are served|no longer|Synchronizing with|Truncating|the log is cut|txns loaded|Digests|what this server holds|stop/
    const said = ensemble!.servers.map((server) => `${server.address}:\n${server.log().split('\n').filter((line) => telling.test(line) && !line.includes('Notification: ')).slice(-40).join('\n')}`)
    throw new Error(`${(cause as Error).message}\n${said.join('\n')}`, { cause })
  }
}

const ways: readonly [ApacheRelease, 'first' | 'last'][] = [['zookeeper-3.8.0', 'last'], ['zookeeper-3.9', 'first'], ['zookeeper-3.8.0', 'first'], ['zookeeper-3.9', 'last'], ['apache', 'last']]
// `SOAK=1`: all of them.
for (const [release, leaderIs] of process.env.SOAK ? ways : ways.slice(0, 2)) {
  describeWith(['python', release], release, () => {
    test(`is replaced and comes back, the leader ${leaderIs}`, { timeout: 1_200_000 }, async () => {
      const { servers } = (ensemble = await Ensemble.start([release, release, release], { sessionTimeoutMs: 60_000, config: { snapCount: 2_000 } }))
      const turned = [ensemble.addresses, [...ensemble.addresses.slice(1), ensemble.addresses[0]], ensemble.addresses.toReversed()]
      workload = await Workload.start({ kazoo: true, clients: turned })
      const keeper = await ensemble.connect(...servers)
      const { id } = keeper.session
      await keeper.create('/mine', 'ephemeral', { mode: 'ephemeral' })
      await keeper.create('/watched', 'before')
      const events: string[] = []
      await keeper.getData('/watched', { watch: ({ type, path }) => void events.push(`${type} ${path}`) })

      for (const make of ['ottla', release] satisfies Make[]) {
        const leader = servers.indexOf(await ensemble.leader())
        const others = [0, 1, 2].filter((at) => at !== leader)
        for (const at of leaderIs === 'first' ? [leader, ...others] : [...others, leader]) {
          await stopped(servers[at])
          await workload.progress(100)
          await (await ensemble.replace(at, make)).start()
          await ensemble.allServe()
          await workload.progress(200)
        }
        expect(servers.map(({ maker }) => maker)).toEqual(Array(3).fill(make === 'ottla' ? 'ottla' : 'apache'))
        expect(keeper.session.id).toBe(id)
        expect(await patiently(keeper, () => keeper.getEphemerals())).toEqual(['/mine'])
      }
      await patiently(keeper, () => keeper.setData('/watched', 'after'))
      await until('the watch', () => events.length > 0)
      expect(events).toEqual(['dataChanged /watched'])

      const history = await workload.finish(ensemble.addresses)
      const tally = judged(history)
      console.log(`${release}, the leader ${leaderIs}: ${JSON.stringify({ ...tally, expired: workload.expired })}`)
      expect(tally.writes).toBeGreaterThan(1_000)
      expect(history.filter(({ client, outcome }) => client.startsWith('kazoo') && outcome === 'ok').length).toBeGreaterThan(50)
      expect(workload.expired).toBe(0)
      expect(new Set(history.map(({ client }) => client).filter((client) => /^session|^kazoo/.test(client))).size).toBe(4)
      await ensemble.agreed()
    })
  })
}

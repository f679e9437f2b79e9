/** One run of an ensemble of three under load and faults: the laws of one server for writes, of one session for reads, and of ZAB. */
import type { ZooKeeperClient } from '../zookeeper/client/client.ts'
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import type { ZnodeTree } from '../zookeeper/znodes/tree.ts'
import { bugIn } from './checkers/bug-in.ts'
import { EnsembleLaws } from './checkers/ensembles.ts'
import { Registers } from './checkers/registers.ts'
import { Sequences } from './checkers/sequences.ts'
import { SessionLaws } from './checkers/sessions.ts'
import { Violation } from './checkers/violation.ts'
import { Faults, type FaultKind } from './faults.ts'
import { Machine, type LogLine } from './machine.ts'
import { SimulatedNetwork } from './network.ts'
import { Reconfigurations } from './reconfigurations.ts'
import type { RunOptions, RunReport } from './run.ts'
import { watchReplica } from './watch-replica.ts'
import { NothingLeftError, World } from './world.ts'
import { registerPath, SimulatedClient, type Laws } from './zookeeper-clients.ts'
import { SimulatedZooKeeper, zooKeeperPort } from './zookeeper-server.ts'

interface Scenario {
  readonly kinds: readonly FaultKind[]
  readonly pauseMs: readonly [number, number]
  readonly lastsMs: readonly [number, number]
  readonly clientsMax: number
  /** The longest pause of a client between two steps. */
  readonly thinkMs: readonly [number, number]
  /** Between two changes of the members; without it they change in every other run, now and then. */
  readonly changesMs?: readonly [number, number]
}
const anything: readonly FaultKind[] = [
  'stop', 'kill', 'kill', 'powerCut', 'powerCut', 'killAndPowerCut', 'blackout', 'pause', 'block', 'block', 'partition', 'partition', 'slowLink', 'lossyLink', 'reset', 'slowDisk', 'fullDisk', 'brokenDisk',
  'clockStep', 'clockSpeed', 'deposed', 'stumble',
]
/** Situations that chance alone brings about too seldom. */
const scenarios: Readonly<Record<string, Scenario>> = {
  anything: { kinds: anything, pauseMs: [50, 3_000], lastsMs: [200, 6_000], clientsMax: 4, thinkMs: [50, 400] },
  busy: { kinds: anything, pauseMs: [50, 2_000], lastsMs: [200, 4_000], clientsMax: 5, thinkMs: [20, 100] },
  /** Leaders come and go, and hardly anything is written meanwhile: epochs are all that tells histories apart. */
  elections: { kinds: ['deposed', 'deposed', 'stumble', 'stumble', 'blackout', 'block'], pauseMs: [50, 1_500], lastsMs: [200, 4_000], clientsMax: 2, thinkMs: [100, 2_000] },
  network: { kinds: ['block', 'block', 'partition', 'lossyLink', 'slowLink', 'reset', 'pause', 'clockSpeed'], pauseMs: [50, 1_500], lastsMs: [200, 6_000], clientsMax: 4, thinkMs: [50, 400] },
  disks: { kinds: ['powerCut', 'killAndPowerCut', 'blackout', 'slowDisk', 'fullDisk', 'brokenDisk', 'kill', 'stumble'], pauseMs: [50, 1_500], lastsMs: [200, 4_000], clientsMax: 4, thinkMs: [50, 400] },
  /** One reconfiguration after the other, while their members fall. */
  members: { kinds: ['kill', 'powerCut', 'block', 'partition', 'deposed', 'stumble', 'slowDisk', 'slowLink'], pauseMs: [50, 1_500], lastsMs: [200, 2_000], clientsMax: 3, thinkMs: [50, 400], changesMs: [50, 800] },
}
const registerCount = 4
const tickTime = 500
/** Longest session timeout of a client, ms. */
const sessionTimeoutMax = 6_000
/** From the last fault on, an ensemble serves within this time, ms: broken connections, files to read, elections that fail once or twice. */
const recoveryMs = 60_000
/** How long clients go on after that, ms. */
const calmMs = 4_000

/** In every other run members come and go, among them a fourth server that is none at first. */
export async function runEnsemble({ seed, onTrace, faultyMs = 20_000, kinds, scenario, ...options }: RunOptions & { isReconfigured?: boolean }): Promise<RunReport> {
  const world = new World({ seed, onTrace })
  const network = new SimulatedNetwork(world)
  const names = Object.keys(scenarios)
  const chosen = names[world.random.below(names.length)]
  const plan = scenarios[scenario ?? chosen]
  if (!plan) throw new Error(`no scenario is called '${scenario}'; there are ${names.join(', ')}`)
  const isReconfigured = options.isReconfigured ?? (plan.changesMs !== undefined || seed % 2 === 0)
  const zab = new EnsembleLaws([1, 2, 3])
  const laws: Laws = { registers: new Registers(), sequences: new Sequences(), sessions: new SessionLaws(), shown: (zxid) => zab.acknowledged(zxid) }
  let leaderships = 0
  let reconfigured = 0
  let fail!: (violation: unknown) => void
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})
  const guarded = (check: () => void): void => {
    try {
      check()
    } catch (violation) {
      fail(violation)
    }
  }

  const core = ['zookeeper-1', 'zookeeper-2', 'zookeeper-3']
  const machines = isReconfigured ? [...core, 'zookeeper-4'] : core
  const snapCount = 20 + world.random.below(200)
  // A short memory makes leaders look into their files, or send snapshots.
  const commitLogCount = world.random.chance(0.5) ? 1 + world.random.below(40) : 500
  const members = machines.map((name, index) => new SimulatedZooKeeper(world, new Machine(world, network, { name, address: `10.0.0.${index + 1}`, onLog: heard }), {
    settings: { tickTime, initLimit: 10, syncLimit: 4, snapCount, commitLogCount, maxClientCnxns: 0, ...(isReconfigured && { reconfigEnabled: true, skipACL: 'yes' }) }, members: core, number: index + 1,
    isReconfigurable: isReconfigured, violated: fail,
    onStarted: (server) => watchReplica(server, {
      laws: zab, violated: fail,
      leads: (leadership) => {
        leaderships++
        guarded(() => furnished(server.tree, leadership))
      },
      sessionEnds: (session, leadership) => guarded(() => laws.sessions.ends(session, leadership, silentMs)),
    }),
  }))
  function heard(line: LogLine): void {
    const bug = bugIn(line)
    if (bug) fail(bug)
  }
  /** For how long no member has heard of a client; undefined where they could not have told their leader. */
  function silentMs(client: string, timeoutMs: number): number | undefined {
    if (faults.calmMs < timeoutMs + recoveryMs / 10) return undefined
    return world.now - Math.max(...machines.map((name) => network.heardAt.get(`${client}>${name}`) ?? 0))
  }
  /** What clients were shown, in the tree of a new leader. */
  function furnished(tree: ZnodeTree, leader: string): void {
    for (const path of laws.registers.paths) {
      const { latest } = laws.registers.begins(path)
      const found = tree.get(path)?.mzxid ?? 0n
      if (found < latest) throw new Violation('what was acknowledged is in every later leader', `${leader} has write ${found} of ${path}, and ${latest} had been shown`)
    }
    for (const name of laws.sequences.names) if (!tree.get(name)) throw new Violation('what was acknowledged is in every later leader', `${leader} does not have ${name}`)
  }

  const thinkMs = world.between(...plan.thinkMs)
  const [auditor, ...clients] = Array.from({ length: 2 + world.random.below(plan.clientsMax) }, (_, index) => new SimulatedClient({
    world, laws, registerCount, connect: machines.map((name) => `${name}:${zooKeeperPort}`).join(','), violated: fail, readsAreFresh: false, thinkMs, settledEpoch: () => zab.settledEpoch,
    machine: new Machine(world, network, { name: `client-${index}`, address: `10.0.1.${index + 1}`, onLog: () => {} }),
    sessionTimeoutMs: 2 * tickTime + world.random.below(sessionTimeoutMax - 2 * tickTime),
  }))
  const faults: Faults = new Faults(world, network, {
    plan: { ...plan, kinds: kinds ?? plan.kinds },
    servers: members.map((member) => ({ machine: member.machine, restart: () => member.start(), stop: () => member.stop(), leads: () => member.server?.mode === 'leader' })),
    others: clients.map((client) => client.machine),
  })

  async function insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isZooKeeperError(error, 'connectionLoss') && !isZooKeeperError(error, 'sessionExpired')) throw error
        await world.sleep(100)
      }
    }
  }
  async function comes(when: string): Promise<void> {
    const since = world.now
    const late = world.schedule(recoveryMs, () => fail(new Violation('an ensemble that nothing disturbs comes to serve', `${Math.round(world.now - since)} ms ${when}: ${members.map(({ server, machine }) => `${machine.name} ${server?.mode}`).join(', ')}`)))
    await insist(async () => (await auditing()).setData('/', 'all is well'))
    late.cancel()
  }
  /** Of someone who does nothing else. */
  const auditing = (): Promise<ZooKeeperClient> => auditor.session()
  async function story(): Promise<void> {
    for (const member of members) member.start()
    const { registers, sequences } = laws
    await comes('after its first start')
    for (const path of ['/queue', '/ephemerals']) await insist(async () => (await auditing()).create(path).catch(ignoreExisting))
    for (let index = 0; index < registerCount; index++) {
      const path = registerPath(index)
      registers.writeBegins(path, 'first')
      await insist(async () => (await auditing()).create(path, 'first').catch(ignoreExisting))
    }
    // A session of its own: two who open one for the same client would leave one open behind.
    const operator = isReconfigured ? new SimulatedClient({
      world, laws, registerCount, connect: machines.map((name) => `${name}:${zooKeeperPort}`).join(','), violated: fail, readsAreFresh: false,
      machine: new Machine(world, network, { name: 'operator', address: '10.0.1.100', onLog: () => {} }), sessionTimeoutMs: 10_000,
    }) : clients[0]
    const reconfigurations = new Reconfigurations(world, { seed, names: machines, pauseMs: plan.changesMs ?? [500, 4_500], session: () => operator.session() })
    const reconfiguring = isReconfigured ? reconfigurations.run() : undefined
    const running = clients.map((client) => client.run())
    const nemesis = faults.run()
    await world.sleep(faultyMs)
    faults.stop()
    reconfigurations.stop()
    await nemesis
    await comes('after the last fault')
    await reconfiguring
    if (isReconfigured) await reconfigurations.restore(1, 2, 3)
    reconfigured = reconfigurations.count
    await world.sleep(calmMs)
    for (const client of clients) client.stop()
    await Promise.all(running)
    for (const path of registers.paths) {
      const floor = registers.begins(path)
      const found = await insist(async () => {
        const zk = await auditing()
        await zk.sync(path)
        return zk.getData(path)
      })
      registers.read(floor, String(found.data), found.stat.mzxid)
    }
    const children = await insist(async () => (await auditing()).listChildren('/queue'))
    sequences.listed(new Set(children.map((name) => `/queue/${name}`)))
    // All clients die; when their sessions are over, all members have come to one and the same tree.
    for (const { machine } of clients) machine.cutPower()
    await world.sleep(sessionTimeoutMax + 4 * tickTime)
    const left = await insist(async () => (await auditing()).listChildren('/ephemerals'))
    for (const name of left) {
      const stat = await insist(async () => (await auditing()).exists(`/ephemerals/${name}`))
      if (stat && stat.ephemeralOwner !== auditor.client?.session.id) throw new Violation('ephemerals die with their session', `${name} is there, and its client has died`)
    }
    const ends = members.map(({ server, machine }) => `${machine.name} ${server?.mode} ${server?.tree.lastProcessedZxid} ${server?.tree.digest}`)
    const [, ...same] = new Set(ends.map((end) => end.split(' ').slice(2).join(' ')))
    if (same.length > 0) throw new Violation('members come to one tree when nothing fails any more', ends.join('; '))
  }
  await world.runUntil(Promise.race([story(), failed]), faultyMs + 200_000).catch((error: unknown) => {
    throw error instanceof NothingLeftError ? new Violation('an ensemble that nothing disturbs comes to serve', `somebody waits in vain: ${error.message}`) : error
  })
  return {
    seed, virtualMs: world.now, events: world.events, traceSum: world.traceSum, faults: faults.counts,
    operations: clients.reduce((sum, client) => sum + client.operations, 0),
    laws: new Map([
      ...zab.checks, ['answers are one order that real time agrees with', laws.registers.answers], ['a session expires at most once, and not while its client is heard', laws.sessions.expired],
      ['a watch is told once, and before the read that shows the change', clients.reduce((sum, client) => sum + client.watches.fired, 0)], ['operations of one client take effect in its order', clients.reduce((sum, client) => sum + client.operations, 0)],
    ]),
    facts: {
      leaderships, reconfigured, committed: zab.committed, ended: laws.sessions.expired, unknown: clients.reduce((sum, client) => sum + client.unknown, 0), starts: members.reduce((sum, { starts }) => sum + starts, 0),
      watches: clients.reduce((sum, client) => sum + client.watches.fired, 0), sessions: clients.reduce((sum, client) => sum + client.sessions, 0),
    },
  }
}
function ignoreExisting(error: unknown): void {
  if (!isZooKeeperError(error, 'nodeExists')) throw error
}

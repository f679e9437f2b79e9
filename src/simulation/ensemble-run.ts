/** One run of an ensemble of three under load and faults: the laws of one server for writes, of one session for reads, and of ZAB. */
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
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
import { World } from './world.ts'
import { registerPath, SimulatedClient, type Laws } from './zookeeper-clients.ts'
import { SimulatedZooKeeper, zooKeeperPort } from './zookeeper-server.ts'

const allKinds: readonly FaultKind[] = [
  'stop', 'kill', 'kill', 'powerCut', 'powerCut', 'killAndPowerCut', 'blackout', 'pause', 'block', 'block', 'partition', 'partition', 'slowLink', 'reset', 'slowDisk', 'fullDisk', 'brokenDisk', 'clockStep',
]
const registerCount = 4
/** How often the members' trees are compared, ms. */
const compareMs = 50

/** In every other run members come and go, among them a fourth server that is none at first. */
export async function runEnsemble({ seed, onTrace, faultyMs = 40_000, kinds = allKinds, isReconfigured = seed % 2 === 0 }: RunOptions & { isReconfigured?: boolean }): Promise<RunReport> {
  const world = new World({ seed, onTrace })
  const network = new SimulatedNetwork(world)
  const laws: Laws = { registers: new Registers(), sequences: new Sequences(), sessions: new SessionLaws() }
  const zab = new EnsembleLaws()
  const digests = new Map<bigint, { digest: bigint; member: string }>()
  let leaderships = 0
  let reconfigured = 0
  let fail!: (violation: unknown) => void
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})

  const core = ['zookeeper-1', 'zookeeper-2', 'zookeeper-3']
  const names = isReconfigured ? [...core, 'zookeeper-4'] : core
  const members = names.map((name, index) => new SimulatedZooKeeper(world, new Machine(world, network, { name, address: `10.0.0.${index + 1}`, onLog: (line) => heard(line) }), {
    settings: { tickTime: 500, initLimit: 10, syncLimit: 4, snapCount: 20 + world.random.below(200), maxClientCnxns: 0, ...(isReconfigured && { reconfigEnabled: true, skipACL: 'yes' }) }, members: core, number: index + 1,
    isReconfigurable: isReconfigured, violated: fail,
  }))
  function heard({ machine, event, facts, level }: LogLine): void {
    try {
      if (level === 'error' && /\bbug\b|digest/.test(event)) throw new Violation('a server meets no bug of its own', `${machine}: ${event} ${String((facts?.['cause'] as Error | undefined)?.stack ?? '')}`)
      if (event !== 'clients are served' || facts?.['mode'] !== 'leader') return
      leaderships++
      const at = names.indexOf(machine)
      zab.established(at + 1, Number(facts['epoch']))
      const tree = members[at].server?.tree
      if (!tree) return
      for (const path of laws.registers.paths) {
        const { latest } = laws.registers.begins(path)
        const found = tree.get(path)?.mzxid ?? 0n
        if (found < latest) throw new Violation('what was acknowledged is in every later leader', `${machine} leads epoch ${String(facts['epoch'])} with write ${found} of ${path}, and ${latest} had been shown`)
      }
    } catch (error) {
      fail(error)
    }
  }
  /** One zxid, one history: members that have come to the same transaction have the same tree. */
  function compare(): void {
    for (const { server, machine } of members) {
      if (!server || !machine.isRunning || (server.mode !== 'leader' && server.mode !== 'follower')) continue
      const { lastProcessedZxid: zxid, digest } = server.tree
      const known = digests.get(zxid)
      if (known && known.digest !== digest) fail(new Violation('committed prefixes never differ', `${machine.name} and ${known.member} have different trees at ${zxid}`))
      if (!known) digests.set(zxid, { digest, member: machine.name })
    }
  }

  const clients = Array.from({ length: 2 + world.random.below(4) }, (_, index) => new SimulatedClient({
    world, laws, registerCount, connect: names.map((name) => `${name}:${zooKeeperPort}`).join(','), violated: fail, readsAreFresh: false,
    machine: new Machine(world, network, { name: `client-${index}`, address: `10.0.1.${index + 1}`, onLog: () => {} }),
    sessionTimeoutMs: 2_000 + world.random.below(6_000),
  }))
  const faults = new Faults(world, network, {
    plan: { kinds, pauseMs: [50, 5_000], lastsMs: [200, 10_000] },
    servers: members.map((member) => ({ machine: member.machine, restart: () => member.start(), stop: () => member.stop() })), others: clients.map((client) => client.machine),
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
  async function story(): Promise<void> {
    for (const member of members) member.start()
    const [first] = clients
    const { registers, sequences } = laws
    for (const path of ['/queue', '/ephemerals']) await insist(async () => (await first.session()).create(path).catch(ignoreExisting))
    for (let index = 0; index < registerCount; index++) {
      const path = registerPath(index)
      registers.writeBegins(path, 'first')
      await insist(async () => (await first.session()).create(path, 'first').catch(ignoreExisting))
    }
    // A session of its own: two who open one for the same client would leave one open behind.
    const operator = new SimulatedClient({
      world, laws, registerCount, connect: names.map((name) => `${name}:${zooKeeperPort}`).join(','), violated: fail, readsAreFresh: false,
      machine: new Machine(world, network, { name: 'operator', address: '10.0.1.100', onLog: () => {} }), sessionTimeoutMs: 10_000,
    })
    const reconfigurations = new Reconfigurations(world, { seed, names, session: () => operator.session() })
    const reconfiguring = isReconfigured ? reconfigurations.run() : undefined
    const running = clients.map((client) => client.run())
    const nemesis = faults.run()
    let comparing = true
    const comparison = (async () => {
      while (comparing) {
        compare()
        await world.sleep(compareMs)
      }
    })()
    await world.sleep(faultyMs)
    faults.stop()
    reconfigurations.stop()
    await nemesis
    await world.sleep(8_000)
    await reconfiguring
    if (isReconfigured) await reconfigurations.restore(1, 2, 3)
    reconfigured = reconfigurations.count
    for (const client of clients) client.stop()
    await Promise.all(running)
    for (const path of registers.paths) {
      const floor = registers.begins(path)
      const found = await insist(async () => {
        const zk = await first.session()
        await zk.sync(path)
        return zk.getData(path)
      })
      registers.read(floor, String(found.data), found.stat.mzxid)
    }
    const children = await insist(async () => (await first.session()).listChildren('/queue'))
    sequences.listed(new Set(children.map((name) => `/queue/${name}`)))
    // All clients but one die; when their sessions are over, all members have come to one and the same tree.
    for (const { machine } of clients.slice(1)) machine.cutPower()
    await world.sleep(25_000)
    const left = await insist(async () => (await first.session()).listChildren('/ephemerals'))
    for (const name of left) {
      const stat = await insist(async () => (await first.session()).exists(`/ephemerals/${name}`))
      if (stat && stat.ephemeralOwner !== first.client?.session.id) throw new Violation('ephemerals die with their session', `${name} is there, 25 s after its client has died`)
    }
    compare()
    comparing = false
    await comparison
    const ends = members.map(({ server, machine }) => `${machine.name} ${server?.mode} ${server?.tree.lastProcessedZxid} ${server?.tree.digest}`)
    const [, ...same] = new Set(ends.map((end) => end.split(' ').slice(2).join(' ')))
    if (same.length > 0) throw new Violation('members come to one tree when nothing fails any more', ends.join('; '))
  }
  await world.runUntil(Promise.race([story(), failed]), faultyMs + 600_000)
  return {
    seed, virtualMs: world.now, events: world.events, traceSum: world.traceSum, faults: faults.counts,
    operations: clients.reduce((sum, client) => sum + client.operations, 0),
    facts: {
      leaderships, reconfigured, unknown: clients.reduce((sum, client) => sum + client.unknown, 0), starts: members.reduce((sum, { starts }) => sum + starts, 0),
      watches: clients.reduce((sum, client) => sum + client.watches.fired, 0), sessions: clients.reduce((sum, client) => sum + client.sessions, 0),
    },
  }
}
function ignoreExisting(error: unknown): void {
  if (!isZooKeeperError(error, 'nodeExists')) throw error
}

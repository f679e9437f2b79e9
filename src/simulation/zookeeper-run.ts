/** One run of a standalone ZooKeeper server under load and faults, and what must hold at its end. */
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import { bugIn } from './checkers/bug-in.ts'
import { Registers } from './checkers/registers.ts'
import { Sequences } from './checkers/sequences.ts'
import { SessionLaws } from './checkers/sessions.ts'
import { Violation } from './checkers/violation.ts'
import { Faults, type FaultKind } from './faults.ts'
import { Machine, type LogLine } from './machine.ts'
import { SimulatedNetwork } from './network.ts'
import { registerPath, sequencePrefix, SimulatedClient, type Laws } from './zookeeper-clients.ts'
import { SimulatedZooKeeper, zooKeeperPort } from './zookeeper-server.ts'
import type { RunOptions, RunReport } from './run.ts'
import { World } from './world.ts'

const allKinds: readonly FaultKind[] = ['stop', 'stop', 'kill', 'kill', 'powerCut', 'powerCut', 'killAndPowerCut', 'killAndPowerCut', 'pause', 'block', 'partition', 'slowLink', 'reset', 'slowDisk', 'fullDisk', 'brokenDisk', 'clockStep']
const tickTime = 500
const registerCount = 4

export async function runZooKeeper({ seed, onTrace, faultyMs = 40_000, kinds = allKinds }: RunOptions): Promise<RunReport> {
  const world = new World({ seed, onTrace })
  const network = new SimulatedNetwork(world)
  const laws: Laws = { registers: new Registers(), sequences: new Sequences(), sessions: new SessionLaws() }
  let fail!: (violation: unknown) => void
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => {})

  const machine = new Machine(world, network, { name: 'zookeeper', address: '10.0.0.1', onLog: (line) => heard(line) })
  const zookeeper = new SimulatedZooKeeper(world, machine, {
    settings: { tickTime, snapCount: 20 + world.random.below(100), 'znode.container.checkIntervalMs': 5_000, maxClientCnxns: 0 }, violated: fail,
  })
  function heard(line: LogLine): void {
    const { event, facts } = line
    try {
      const bug = bugIn(line)
      if (bug) throw bug
      if (event !== 'session expired') return
      laws.sessions.expires(BigInt(String(facts?.['session'])), Number(facts?.['timeoutMs']), {
        server: 'zookeeper', start: zookeeper.starts,
        silentMs: (client) => world.now - Math.max(zookeeper.startedAt, network.heardAt.get(`${client}>zookeeper`) ?? 0),
      })
    } catch (error) {
      fail(error)
    }
  }

  const clients = Array.from({ length: 2 + world.random.below(4) }, (_, index) => new SimulatedClient({
    world, laws, registerCount, connect: `zookeeper:${zooKeeperPort}`, violated: fail,
    machine: new Machine(world, network, { name: `client-${index}`, address: `10.0.1.${index + 1}`, onLog: () => {} }),
    sessionTimeoutMs: 1_000 + world.random.below(7_000),
  }))
  const faults = new Faults(world, network, {
    plan: { kinds, pauseMs: [50, 4_000], lastsMs: [200, 12_000] },
    servers: [{ machine, restart: () => zookeeper.start(), stop: () => zookeeper.stop() }], others: clients.map((client) => client.machine),
  })

  async function story(): Promise<void> {
    zookeeper.start()
    await furnish(clients[0], laws)
    const running = clients.map((client) => client.run())
    const nemesis = faults.run()
    await world.sleep(faultyMs)
    faults.stop()
    await nemesis
    await world.sleep(3_000)
    for (const client of clients) client.stop()
    await Promise.all(running)
    await audit(world, clients, laws)
  }
  await world.runUntil(Promise.race([story(), failed]), faultyMs + 600_000)
  return {
    seed, virtualMs: world.now, events: world.events, traceSum: world.traceSum, faults: faults.counts,
    operations: clients.reduce((sum, client) => sum + client.operations, 0),
    facts: {
      unknown: clients.reduce((sum, client) => sum + client.unknown, 0), starts: zookeeper.starts, expired: laws.sessions.expired,
      watches: clients.reduce((sum, client) => sum + client.watches.fired, 0), sessions: clients.reduce((sum, client) => sum + client.sessions, 0),
    },
  }
}

async function furnish(client: SimulatedClient, { registers }: Laws): Promise<void> {
  const zk = await client.session()
  await zk.create('/queue')
  await zk.create('/ephemerals')
  for (let index = 0; index < registerCount; index++) {
    const path = registerPath(index)
    const floor = registers.writeBegins(path, 'first')
    const { stat } = await zk.createWithStat(path, 'first')
    registers.written(floor, 'first', stat.mzxid)
  }
}

/** All faults are over: everything that was promised is looked for. */
async function audit(world: World, clients: readonly SimulatedClient[], { registers, sequences, sessions }: Laws): Promise<void> {
  const insist = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isZooKeeperError(error, 'connectionLoss') && !isZooKeeperError(error, 'sessionExpired')) throw error
        await world.sleep(100)
      }
    }
  }
  const [first, ...others] = clients
  const latest = new Map<string, bigint>()
  for (const path of registers.paths) {
    const floor = registers.begins(path)
    const found = await insist(async () => (await first.session()).getData(path))
    registers.read(floor, String(found.data), found.stat.mzxid)
    latest.set(path, found.stat.mzxid)
  }
  const names = await insist(async () => (await first.session()).listChildren('/queue'))
  sequences.listed(new Set(names.map((name) => `${sequencePrefix.slice(0, sequencePrefix.lastIndexOf('/'))}/${name}`)))
  await world.sleep(2_000)
  for (const client of clients) {
    if (client.client?.state === 'connected') client.watches.mustHaveFired((path) => latest.get(path) ?? 0n)
  }
  // The others die without a word; their sessions must end, and what belongs to them with it.
  const dead = new Set(others.flatMap(({ client }) => (client ? [client.session.id] : [])))
  for (const { machine } of others) machine.cutPower()
  await world.sleep(8_000 + 3 * tickTime + 10_000)
  const left = await insist(async () => (await first.session()).listChildren('/ephemerals'))
  for (const name of left) {
    const stat = await insist(async () => (await first.session()).exists(`/ephemerals/${name}`))
    if (stat && dead.has(stat.ephemeralOwner)) throw new Violation('ephemerals die with their session', `${name} is there, ${20} s after its client has died`)
    if (stat && stat.ephemeralOwner !== first.client?.session.id && !sessions.hasEnded(stat.ephemeralOwner)) throw new Violation('ephemerals die with their session', `${name} belongs to 0x${stat.ephemeralOwner.toString(16)}, which no living client has`)
  }
}

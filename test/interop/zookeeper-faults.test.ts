/**
 * Three servers under faults while several clients work, kazoo among them: killed, frozen, cut off, out of disk. What the clients saw is
 * judged afterwards. `SOAK=minutes` goes on with faults by chance for so long.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { judge } from '../../src/simulation/checkers/histories.ts'
import { Ensemble, freeze as freezeServer, modeOf, targetMake, thaw, type Make } from './ensemble.ts'
import { Network, whyNoNetwork } from './network.ts'
import { until } from './process.ts'
import { describeWith } from './programs.ts'
import type { Server } from './target.ts'
import { Workload } from './workload.ts'

const soakMinutes = Number(process.env.SOAK ?? 0)
const timeout = soakMinutes * 60_000 + 900_000
const noNetwork = whyNoNetwork()
let ensemble: Ensemble | undefined
let workload: Workload | undefined
let network: Network | undefined
const folders: string[] = []
afterEach(async () => {
  workload?.dispose()
  await ensemble?.dispose()
  network?.dispose()
  for (const folder of folders.splice(0)) {
    spawnSync('umount', [join(folder, 'data')])
    rmSync(folder, { recursive: true, force: true })
  }
  ensemble = workload = network = undefined
})

/** One client that goes anywhere and one at each server alone, whatever becomes of it. */
async function underLoad(makes: readonly Make[], options: { network?: Network; directories?: string[] } = {}): Promise<{ ensemble: Ensemble; workload: Workload }> {
  ensemble = await Ensemble.start(makes, { ...options, config: { snapCount: 3_000, syncLimit: 6 } })
  workload = await Workload.start({ kazoo: true, clients: [ensemble.addresses, ...ensemble.addresses.map((address) => [address])] })
  await workload.progress(500)
  return { ensemble, workload }
}
async function judged(title: string): Promise<void> {
  await ensemble!.allServe()
  await workload!.progress(300)
  const history = await workload!.finish(ensemble!.addresses)
  const tally = judge(history)
  console.log(`${title}: ${JSON.stringify({ ...tally, expired: workload!.expired })}`)
  expect(tally.writes).toBeGreaterThan(1_000)
  expect(history.filter(({ client, outcome }) => client.startsWith('kazoo') && outcome === 'ok').length).toBeGreaterThan(50)
  await ensemble!.agreed()
}
/** The leader, and a follower. */
async function roles(): Promise<{ leader: Server; follower: Server }> {
  const leader = await ensemble!.leader()
  return { leader, follower: ensemble!.servers.find((server) => server !== leader)! }
}
const isOther = async (not: Server): Promise<boolean> => (await Promise.all(ensemble!.servers.map(async (server) => server !== not && (await modeOf(server)) === 'leader'))).some(Boolean)

type Fault = () => Promise<void>
const kill = (role: 'leader' | 'follower'): Fault => async () => {
  const { [role]: server } = await roles()
  await server.kill()
  await workload!.progress(300)
  await server.start()
  await ensemble!.allServe()
  await workload!.progress(100)
}
const freeze = (role: 'leader' | 'follower'): Fault => async () => {
  const { [role]: server } = await roles()
  try {
    await freezeServer(server)
    if (role === 'leader') await until('another leads', () => isOther(server))
    await workload!.progress(300)
  } finally {
    thaw(server)
  }
  await ensemble!.allServe()
  await workload!.progress(100)
}
const cut = (role: 'leader' | 'follower', ways: 'both' | 'speaks' | 'hears'): Fault => async () => {
  const { [role]: server } = await roles()
  const at = ensemble!.servers.indexOf(server)
  for (const other of ensemble!.servers.keys()) {
    if (other === at) continue
    // Who can only hear is not heard, and who can only speak does not hear.
    if (ways !== 'speaks') network!.cut(at, other)
    if (ways !== 'hears') network!.cut(other, at)
  }
  if (role === 'leader') await until('another leads', () => isOther(server))
  await workload!.progress(300)
  network!.heal()
  await ensemble!.allServe()
  await workload!.progress(100)
}
/** No quorum is left, so nothing is acknowledged; all that was is there afterwards. */
const killAll: Fault = async () => {
  await Promise.all(ensemble!.servers.map((server) => server.kill()))
  await Promise.all(ensemble!.servers.map((server) => server.start()))
  await ensemble!.allServe()
  await workload!.progress(100)
}
const freezeFollowers: Fault = async () => {
  const { leader } = await roles()
  const followers = ensemble!.servers.filter((server) => server !== leader)
  try {
    await Promise.all(followers.map(freezeServer))
    await until('the leader gives up', async () => (await modeOf(leader)) !== 'leader')
  } finally {
    followers.forEach(thaw)
  }
  await ensemble!.allServe()
  await workload!.progress(100)
}
/** Each once, and then by chance for as long as asked. */
async function all(faults: Record<string, Fault>): Promise<void> {
  const deadline = Date.now() + soakMinutes * 60_000
  const names = Object.keys(faults)
  for (let round = 0; round < names.length || Date.now() < deadline; round++) {
    const name = names[round < names.length ? round : Math.floor(Math.random() * names.length)]
    await faults[name]().catch((cause: Error) => {
      throw new Error(`fault ${round}, ${name}: ${cause.message}`, { cause })
    })
  }
}

/** `SOAK`: also with two makers. */
const compositions: Make[][] = [[targetMake, targetMake, targetMake], ...(soakMinutes > 0 && targetMake === 'ottla' ? [['ottla', 'apache', 'ottla'] satisfies Make[]] : [])]
for (const makes of compositions) {
  describeWith(makes.includes('apache') ? ['python', 'apache'] : ['python'], makes.join(', '), () => {
    test('killed and frozen, leader and follower', { timeout }, async () => {
      await underLoad(makes)
      await all({ 'kill the leader': kill('leader'), 'kill a follower': kill('follower'), 'freeze the leader': freeze('leader'), 'freeze a follower': freeze('follower'), 'freeze both followers': freezeFollowers, 'kill all': killAll })
      await judged('killed and frozen')
    })
    describe.skipIf(noNetwork !== undefined)(noNetwork === undefined ? 'in networks of their own' : `SKIPPED: ${noNetwork}`, () => {
      test('cut off, in both directions and in one', { timeout }, async () => {
        network = Network.make(3)
        await underLoad(makes, { network })
        await all({
          'cut off the leader': cut('leader', 'both'), 'cut off a follower': cut('follower', 'both'),
          'the leader is not heard': cut('leader', 'hears'), 'the leader hears nobody': cut('leader', 'speaks'),
          'a follower is not heard': cut('follower', 'hears'), 'a follower hears nobody': cut('follower', 'speaks'),
        })
        await judged('cut off')
      })
    })
  })
}

describeWith(targetMake === 'apache' ? ['apache'] : [], `the judgement of three servers of ${targetMake}`, () => {
  test('finds that acknowledged writes were taken back', { timeout }, async () => {
    const { servers } = (ensemble = await Ensemble.start([targetMake, targetMake, targetMake]))
    workload = await Workload.start({ kazoo: false, clients: [ensemble.addresses, ensemble.addresses] })
    const inTheirAbsence = async (work: (server: Server) => void): Promise<void> => {
      await workload!.progress(300)
      await Promise.all(servers.map((server) => server.kill()))
      for (const server of servers) work(server)
      await Promise.all(servers.map((server) => server.start()))
    }
    await inTheirAbsence((server) => cpSync(server.dataDirectory, `${server.dataDirectory}.old`, { recursive: true }))
    await inTheirAbsence((server) => {
      rmSync(server.dataDirectory, { recursive: true })
      renameSync(`${server.dataDirectory}.old`, server.dataDirectory)
    })
    const history = await workload.finish(ensemble.addresses)
    expect(() => judge(history)).toThrow('what was acknowledged is there')
  })
})

/** A small disk of its own under a server's data. */
function smallDisk(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ottla-interop-disk-'))
  folders.push(folder)
  mkdirSync(join(folder, 'data'))
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', join(folder, 'data')], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount: ${error?.message ?? stderr.trim()}`)
  return folder
}
function whyNoDisk(): string | undefined {
  if (process.getuid?.() !== 0) return 'a small disk wants root'
  try {
    spawnSync('umount', [join(smallDisk(), 'data')])
    return undefined
  } catch (error) {
    return (error as Error).message
  } finally {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }
}
const noDisk = whyNoDisk()
const ballast = (server: Server): string => join(server.dataDirectory, 'ballast')
function fill(server: Server): void {
  const file = openSync(ballast(server), 'w')
  try {
    for (const size of [1 << 20, 1 << 12]) {
      const block = Buffer.alloc(size)
      try {
        while (writeSync(file, block) === size);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(file)
  }
}
describeWith(targetMake === 'apache' ? ['python', 'apache'] : ['python'], `disks of three servers of ${targetMake}`, () => {
  test.skipIf(noDisk !== undefined)(noDisk === undefined ? 'fill up, the leader\'s and a follower\'s' : `SKIPPED: ${noDisk}`, { timeout }, async () => {
    await underLoad([targetMake, targetMake, targetMake], { directories: [smallDisk(), smallDisk(), smallDisk()] })
    for (const role of ['follower', 'leader'] as const) {
      const { [role]: server } = await roles()
      fill(server)
      await until('it says so', () => /No space left|ENOSPC/.test(server.log()))
      if (role === 'leader') await until('another leads', () => isOther(server))
      await workload!.progress(300)
      unlinkSync(ballast(server))
      // Whether it ends or waits: with space again it serves again, after a start at the latest.
      await until('it has ended or serves', async () => !server.running || (await modeOf(server)) === 'follower')
      if (!server.running) await server.start()
      await ensemble!.allServe()
      await workload!.progress(100)
      expect(existsSync(ballast(server))).toBe(false)
    }
    await judged('full disks')
  })
})

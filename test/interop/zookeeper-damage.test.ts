/**
 * One server of three loses or finds damaged what it has on disk: it comes back, or refuses with a sentence that names the file; meanwhile
 * the other two serve. `TARGET=apache` does the same with three of Apache's, which fall in the same two classes.
 */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { Ensemble, made, targetMake } from './ensemble.ts'
import { describeWith } from './programs.ts'
import type { Server } from './target.ts'

const isApache = targetMake === 'apache'
const files = (server: Server, start: string): string[] => {
  const folder = join(server.dataDirectory, 'version-2')
  const number = (name: string): number => Number.parseInt(name.split('.')[1], 16)
  return readdirSync(folder).filter((name) => name.startsWith(start)).sort((one, other) => number(one) - number(other)).map((name) => join(folder, name))
}
/** Where the records of a log end and its padding begins. */
function endOf(log: string): number {
  const bytes = readFileSync(log)
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}
function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] ^= 0xff
  writeFileSync(file, bytes)
}
const epochFile = (server: Server, which: 'currentEpoch' | 'acceptedEpoch'): string => join(server.dataDirectory, 'version-2', which)

describeWith(isApache ? ['apache'] : [], `three servers of ${targetMake}`, () => {
  let ensemble: Ensemble
  let client: ZooKeeperClient
  let written = 0
  beforeAll(async () => {
    // A snapshot every few hundred writes, so that there is one to damage and a log behind it.
    ensemble = await Ensemble.start([targetMake, targetMake, targetMake], { config: { snapCount: 200, commitLogCount: 500 } })
  })
  afterAll(() => ensemble?.dispose())
  const write = async (count: number): Promise<void> => void (await Promise.all(Array.from({ length: count }, () => made(client, `/n${written++}`, 'x'.repeat(50)))))

  /** A follower, which is stopped, damaged, and started when the others have gone on without it. */
  async function damaged(damage: (server: Server) => void): Promise<Server> {
    const leader = await ensemble.leader()
    const victim = ensemble.servers.find((server) => server !== leader)!
    client = await ensemble.connect(...ensemble.servers.filter((server) => server !== victim))
    await write(330)
    await ensemble.agreed()
    await victim.kill()
    damage(victim)
    await write(20)
    return victim
  }
  const rejoins = (title: string, damage: (server: Server) => void, said?: RegExp): void => test(`${title}: it comes back`, async () => {
    const victim = await damaged(damage)
    const before = victim.log().length
    await victim.start()
    await ensemble.allServe()
    await ensemble.agreed()
    await write(20)
    await ensemble.agreed()
    if (said && !isApache) expect(victim.log().slice(before)).toMatch(said)
  })
  const refuses = (title: string, damage: (server: Server) => void, said: RegExp, saidByApache: RegExp): void => test(`${title}: it refuses`, async () => {
    let saved = ''
    const victim = await damaged((server) => {
      saved = `${server.dataDirectory}.saved`
      cpSync(server.dataDirectory, saved, { recursive: true })
      damage(server)
    })
    const before = victim.log().length
    await victim.launch()
    expect(await victim.exited()).not.toBe(0)
    const text = victim.log().slice(before)
    expect(text).toMatch(isApache ? saidByApache : said)
    await write(20)
    rmSync(victim.dataDirectory, { recursive: true })
    cpSync(saved, victim.dataDirectory, { recursive: true })
    rmSync(saved, { recursive: true })
    await victim.start()
    await ensemble.allServe()
    await ensemble.agreed()
  })

  rejoins('the last record of the log is torn', (server) => {
    const log = files(server, 'log.').at(-1)!
    truncateSync(log, endOf(log) - 20)
  })
  rejoins('the newest snapshot is cut', (server) => {
    const snapshot = files(server, 'snapshot.').at(-1)!
    truncateSync(snapshot, statSync(snapshot).size >> 1)
  }, /snapshot/)
  rejoins('the folder of data is lost but for myid', (server) => {
    rmSync(join(server.dataDirectory, 'version-2'), { recursive: true })
  })
  rejoins('both epoch files are lost', (server) => {
    for (const which of ['currentEpoch', 'acceptedEpoch'] as const) rmSync(epochFile(server, which))
  })
  refuses('all of the folder is lost, myid too', (server) => {
    rmSync(server.dataDirectory, { recursive: true })
    mkdirSync(server.dataDirectory)
  }, /myid/, /myid/)
  refuses('an epoch file holds nonsense', (server) => writeFileSync(epochFile(server, 'currentEpoch'), 'seven'), /currentEpoch/, /Found seven|currentEpoch|Unable to load database/)
  refuses('the current epoch is above the accepted one', (server) => writeFileSync(epochFile(server, 'currentEpoch'), '99'), /currentEpoch|epoch 99/, /accepted epoch.*is less than the current epoch/)
  refuses('the current epoch contradicts the log', (server) => {
    for (const which of ['currentEpoch', 'acceptedEpoch'] as const) writeFileSync(epochFile(server, which), '0')
  }, /epoch/, /current epoch.*is older than the last zxid/)
  refuses('a record in the middle of the log is damaged', (server) => {
    const log = files(server, 'log.').at(-1)!
    flip(log, endOf(log) >> 1)
  }, /log\.[0-9a-f]+/, /CRC check failed/)
})

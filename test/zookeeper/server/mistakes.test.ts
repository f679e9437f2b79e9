/** The mistakes that cost people a night, made with real servers: each is named by one sentence that says what was found and what to do. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Logger } from '../../../src/host/host.ts'
import { ElectionDriver } from '../../../src/zookeeper/zab/election-driver.ts'
import { quorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { freePorts, member, TestEnsemble, until } from './ensemble.ts'
import { WireClient } from './wire-client.ts'

type Said = { server: string; event: string; facts: Record<string, unknown> }
const ensembles: TestEnsemble[] = []
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const ensemble of ensembles.splice(0)) await ensemble.remove()
})
async function create(): Promise<{ ensemble: TestEnsemble; said: Said[]; heard: (pattern: RegExp, server?: number) => Promise<Said> }> {
  const said: Said[] = []
  const loggerOf = (server: string): Logger => {
    const note = (event: string, facts: object = {}): void => void said.push({ server, event, facts: { ...facts } })
    return { debug() {}, info: note, warn: note, error: note, named: (name) => loggerOf(server === '' ? name : server) }
  }
  const ensemble = await TestEnsemble.create({ logger: loggerOf('') })
  ensembles.push(ensemble)
  const heard = async (pattern: RegExp, server?: number): Promise<Said> => {
    const matches = (line: Said): boolean => (server === undefined || line.server === String(server)) && pattern.test(`${line.event} ${JSON.stringify(line.facts, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`)
    await until(`somebody says ${pattern}`, () => said.some(matches))
    return said.find(matches) as Said
  }
  return { ensemble, said, heard }
}
async function write(ensemble: TestEnsemble, id: number, count: number, name = 'n'): Promise<void> {
  const client = await WireClient.session(ensemble.clientPorts.get(id) as number)
  clients.push(client)
  for (let at = 0; at < count; at++) expect((await client.create(`/${name}${at}`)).err).toBe(0)
  await ensemble.agreed()
}
const filesOf = (ensemble: TestEnsemble, id: number): string => join(ensemble.folder, String(id), 'version-2')

test('peers that cannot be reached are named, with address and since when, and not again and again', async () => {
  const { ensemble, said, heard } = await create()
  ensemble.membership = {
    elections: (host) => ElectionDriver.start(host, { serverId: 1, config: ensemble.config, minNotificationMs: 20, finalizeMs: 20, complaintMs: 200 }),
  }
  await ensemble.start(1)
  const address = (id: number): string => `127.0.0.1:${ensemble.config.servers.get(id)?.addresses[0].electionPort}`
  expect((await heard(/peer is unreachable at its election port.*"peer":2/)).facts).toMatchObject({ address: address(2), forMs: expect.any(Number), error: expect.stringContaining('ECONNREFUSED') })
  const summary = await heard(/there is no leader yet, and some servers cannot be reached: start them, or correct their server lines, names and firewalls/)
  expect(summary.facts).toMatchObject({ connected: 'none', silent: expect.stringMatching(new RegExp(`^2 \\(${address(2)}, for \\d+ s\\) 3 \\(${address(3)}, for \\d+ s\\)$`)) })
  await until('it is said again', () => said.filter(({ event }) => event.startsWith('there is no leader yet')).length >= 2)
  expect(said.filter(({ event }) => event.startsWith('peer is unreachable')).length).toBe(2)
  ensemble.membership = {}
})

test('two servers with one myid: the leader says so', async () => {
  const { ensemble, heard } = await create()
  await ensemble.start()
  await ensemble.settled()
  const leader = [...ensemble.servers].find(([, { mode }]) => mode === 'leader')?.[0] as number
  const taken = [1, 2, 3].find((id) => id !== leader) as number
  // It has a line of its own for the ports, and the number of another.
  const [quorumPort, electionPort] = await freePorts(2)
  const other = await TestEnsemble.create({ voters: 1, logger: ensemble.logger })
  ensembles.push(other)
  const servers = [...ensemble.config.servers.values()].map((server) => (server.id === taken ? { ...server, addresses: [{ host: '127.0.0.1', quorumPort, electionPort }] as const } : server))
  const config = quorumConfig({ servers })
  other.membership = { ...member(taken, config) }
  await other.start(1)
  const { facts } = await heard(/a server is connected twice: it has come back faster than its last connection ended, or two servers have the same myid; every server needs one of its own/)
  expect(facts).toMatchObject({ myid: taken, address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
  await other.stop()
  await ensemble.settled()
})

test('files of another ensemble that has gone further', async () => {
  const { ensemble, said, heard } = await create()
  // Another ensemble, in its third epoch.
  await ensemble.start()
  await ensemble.settled()
  await write(ensemble, 1, 3, 'other')
  for (let epoch = 0; epoch < 2; epoch++) {
    await ensemble.stop()
    await ensemble.start()
    await ensemble.settled()
  }
  await ensemble.stop()
  for (const id of [2, 3]) await rm(filesOf(ensemble, id), { recursive: true })
  await ensemble.start(2, 3)
  await ensemble.settled()
  await write(ensemble, 2, 5)
  await ensemble.start(1)
  const { facts } = await heard(/no longer following.*another ensemble/, 1)
  expect(facts.reason).toMatch(/^the leader proposes epoch 1, and this server has accepted epoch 3 already: its files come from another ensemble, or those of the other servers were replaced by older ones\. If the others are right, move the files of its folder version-2 away/)
  // It tries again, and says it once.
  await until('some attempts', () => said.filter(({ server, event }) => server === '1' && event === 'leader elected').length >= 6)
  expect(said.filter(({ server, facts: told }) => server === '1' && String(told.reason).startsWith('the leader proposes')).length).toBe(1)
  expect([...ensemble.servers.values()].filter(({ isServing }) => isServing)).toHaveLength(2)
  // What the sentence says to do helps.
  await ensemble.stop(1)
  await rm(filesOf(ensemble, 1), { recursive: true })
  await ensemble.start(1)
  await ensemble.settled()
  await ensemble.agreed()
})

test('files of another ensemble that look like a part of this one', async () => {
  const { ensemble, heard } = await create()
  await ensemble.start()
  await ensemble.settled()
  await write(ensemble, 1, 3, 'other')
  await ensemble.stop()
  const kept = join(ensemble.folder, 'kept')
  await cp(filesOf(ensemble, 1), kept, { recursive: true })
  for (const id of [1, 2, 3]) await rm(filesOf(ensemble, id), { recursive: true })
  await ensemble.start()
  await ensemble.settled()
  await write(ensemble, 1, 8)
  await ensemble.stop(1)
  await rm(filesOf(ensemble, 1), { recursive: true })
  await cp(kept, filesOf(ensemble, 1), { recursive: true })
  await ensemble.start(1)
  await heard(/what this server holds is not what the leader's transactions build on: its files come from another ensemble or another time, or one of the servers has a bug\. Stop this server, move the files of its folder away and start it: the leader then sends everything/, 1)
  await until('it is counted', () => (ensemble.servers.get(1)?.digestMismatchCount ?? 0) > 0)
})

test.each([
  ['currentEpoch', '0', 'acceptedEpoch', '0', /currentEpoch: says 0, and the log holds a transaction of epoch 1, which this server has never accepted: one of them comes from another server or another time\. Restore both from one copy, or move this folder's content away and let the leader send everything/],
  ['currentEpoch', '5', 'acceptedEpoch', '4', /acceptedEpoch: says 4, and currentEpoch 5: no server serves in an epoch that it has not accepted\. Restore both files from one copy/],
  ['currentEpoch', 'one', 'acceptedEpoch', '1', /currentEpoch.*: an epoch is a decimal number up to 2147483647, and the file holds "one"; restore it from a copy/],
])('%s=%s and %s=%s', async (one, first, other, second, message) => {
  const { ensemble } = await create()
  await ensemble.start()
  await ensemble.settled()
  await write(ensemble, 1, 1)
  await ensemble.stop()
  expect(await readFile(join(filesOf(ensemble, 1), 'currentEpoch'), 'latin1')).toBe('1')
  await writeFile(join(filesOf(ensemble, 1), one), first)
  await writeFile(join(filesOf(ensemble, 1), other), second)
  await expect(ensemble.start(1)).rejects.toThrow(message)
})

test('a port of its own server line that another process has', async () => {
  const { ensemble } = await create()
  await ensemble.start(1)
  const other = await TestEnsemble.create({ voters: 1 })
  ensembles.push(other)
  await mkdir(join(other.folder, '1'), { recursive: true })
  other.membership = { elections: (host) => ElectionDriver.start(host, { serverId: 1, config: ensemble.config, bindRetries: 1 }), config: ensemble.config }
  await expect(other.start(1)).rejects.toThrow(new RegExp(`127\\.0\\.0\\.1:${ensemble.config.servers.get(1)?.addresses[0].electionPort}`))
})

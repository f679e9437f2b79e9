/** Ensembles whose members change while they run: the operation and its refusals, the files, who leads and who follows afterwards. */
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { nodeHost } from '../../../src/host/node.ts'
import { ZooKeeperClient } from '../../../src/zookeeper/client/client.ts'
import { parseZooCfg } from '../../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../../src/zookeeper/server/server.ts'
import { freePorts, until } from './ensemble.ts'

const host = nodeHost({ logger: silentLogger })
interface Ports { readonly quorum: number; readonly election: number; readonly client: number }

/** Servers as they are started from a zoo.cfg, each in a folder of its own. */
class Members {
  readonly folder: string
  readonly ports = new Map<number, Ports>()
  readonly running = new Map<number, ZooKeeperServer>()
  readonly clients: ZooKeeperClient[] = []
  settings = ''
  constructor(folder: string) {
    this.folder = folder
  }
  async reserve(...ids: number[]): Promise<void> {
    const free = await freePorts(ids.length * 3)
    for (const [at, id] of ids.entries()) this.ports.set(id, { quorum: free[at * 3], election: free[at * 3 + 1], client: free[at * 3 + 2] })
  }
  line(id: number, role = 'participant', { quorum, election, client } = this.ports.get(id) as Ports): string {
    return `server.${id}=127.0.0.1:${quorum}:${election}:${role};127.0.0.1:${client}`
  }
  file(id: number): string {
    return join(this.folder, String(id), 'zoo.cfg')
  }
  /** Writes zoo.cfg with these server lines, and starts. */
  async create(id: number, lines: readonly string[]): Promise<ZooKeeperServer> {
    const data = join(this.folder, String(id), 'data')
    await mkdir(data, { recursive: true })
    await writeFile(join(data, 'myid'), `${id}\n`)
    await writeFile(this.file(id), [
      `# server ${id}`, `dataDir=${data}`, 'tickTime=100', 'initLimit=300', 'syncLimit=300', 'preAllocSize=64', 'admin.enableServer=false', 'reconfigEnabled=true', 'skipACL=yes', 'maxSessionTimeout=60000',
      'fastleader.minNotificationInterval=20', this.settings, ...lines,
    ].join('\n'))
    return this.start(id)
  }
  async start(id: number): Promise<ZooKeeperServer> {
    const { config } = parseZooCfg(await readFile(this.file(id), 'utf8'), this.file(id), (path) => readFileSync(path, 'utf8'))
    const server = await ZooKeeperServer.start(host, config)
    this.running.set(id, server)
    return server
  }
  async stop(...ids: number[]): Promise<void> {
    await Promise.all(ids.map(async (id) => {
      const server = this.running.get(id)
      this.running.delete(id)
      await server?.stop()
    }))
  }
  async ensemble(...ids: number[]): Promise<void> {
    await Promise.all(ids.map((id) => this.create(id, ids.map((each) => this.line(each)))))
    await this.serving(...ids)
  }
  serving(...ids: number[]): Promise<void> {
    return until(`servers ${ids.join(', ')} serve`, () => ids.every((id) => this.running.get(id)?.isServing))
  }
  leader(): number {
    return [...this.running].find(([, { mode }]) => mode === 'leader')?.[0] ?? 0
  }
  async client(...ids: number[]): Promise<ZooKeeperClient> {
    const client = await ZooKeeperClient.connect(host, { connect: ids.map((id) => `127.0.0.1:${this.ports.get(id)?.client}`).join(','), sessionTimeoutMs: 20_000 })
    this.clients.push(client)
    return client
  }
  async text(...ids: number[]): Promise<string> {
    return String((await (await this.client(...ids)).getConfig()).data)
  }
  async remove(): Promise<void> {
    for (const client of this.clients) client.abandon()
    await this.stop(...this.running.keys())
    await rm(this.folder, { recursive: true, force: true })
  }
}
let members: Members
beforeEach(async () => { members = new Members(await mkdtemp(join(tmpdir(), 'ottla-reconfig-'))) })
afterEach(() => members.remove())

test('the first configuration gets the version of its epoch, and the files are written as Apache writes them', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2, 3)
  const lines = [1, 2, 3].map((id) => members.line(id))
  expect(await members.text(1)).toBe([...lines, 'version=100000000'].join('\n'))
  await until('files of all', async () => (await Promise.all([1, 2, 3].map(async (id) => (await readFile(members.file(id), 'utf8')).includes('dynamicConfigFile')))).every(Boolean))
  for (const id of [1, 2, 3]) {
    const folder = join(members.folder, String(id))
    await until('no proposal is left', async () => !(await readdir(folder)).includes('zoo.cfg.dynamic.next'))
    expect((await readdir(folder)).toSorted()).toEqual(['data', 'zoo.cfg', 'zoo.cfg.bak', 'zoo.cfg.dynamic.100000000'])
    expect(await readFile(join(folder, 'zoo.cfg.dynamic.100000000'), 'utf8')).toBe(lines.join('\n'))
    expect(await readFile(join(folder, 'zoo.cfg.bak'), 'utf8')).toContain(`# server ${id}`)
    const written = await readFile(members.file(id), 'utf8')
    expect(written).not.toMatch(/server\.|clientPort/)
    expect(written.endsWith(`\ndynamicConfigFile=${folder}/zoo.cfg.dynamic.100000000\n`)).toBe(true)
  }
  // They start on what they have written.
  await members.stop(1, 2, 3)
  await Promise.all([1, 2, 3].map((id) => members.start(id)))
  await members.serving(1, 2, 3)
  expect(await members.text(2)).toBe([...lines, 'version=100000000'].join('\n'))
})

test('a server joins, becomes an observer, votes again and leaves; watches and stat of the configuration tell', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2)
  await members.create(3, [members.line(1), members.line(2), members.line(3)])
  await members.serving(3)
  const client = await members.client(1)
  const told: string[] = []
  await client.getConfig({ watch: (event) => told.push(`${event.type} ${event.path}`) })
  const { data, stat } = await client.reconfig({ joining: members.line(3) })
  const version = stat.mzxid.toString(16)
  expect(String(data)).toBe([members.line(1), members.line(2), members.line(3), `version=${version}`].join('\n'))
  expect(stat.version).toBe(-1)
  await until('the watch fires', () => told.length > 0)
  expect(told).toHaveLength(1)
  await until('all know it', async () => (await Promise.all([1, 2, 3].map((id) => members.text(id)))).every((text) => text === String(data)))
  // Three voters survive the loss of one.
  const lost = members.leader() === 1 ? 2 : 1
  await members.stop(lost)
  const other = await members.client(3)
  await other.create('/with-two-of-three', '')
  await members.start(lost)
  await members.serving(1, 2, 3)
  const third = members.running.get(3) as ZooKeeperServer
  if (members.leader() !== 3) {
    await other.reconfig({ joining: members.line(3, 'observer') })
    await until('3 observes', () => third.mode === 'observer' && third.isServing)
    await (await members.client(3)).reconfig({ joining: members.line(3) })
    await until('3 follows', () => third.mode === 'follower' && third.isServing)
    await (await members.client(1, 2)).reconfig({ leaving: '3' })
    await until('1 and 2 are left', async () => (await members.text(1)).split('\n').length === 3)
    await (await members.client(3)).create('/from-outside', 'by a follower without a vote')
  }
  await (await members.client(1, 2)).create('/end', '')
})

test('the leader is removed: another leads at once, and nothing is lost', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2, 3)
  const leader = members.leader()
  const others = [1, 2, 3].filter((id) => id !== leader)
  const client = await members.client(leader)
  await client.create('/before', 'x')
  const { data } = await client.reconfig({ leaving: String(leader) })
  expect(String(data)).not.toContain(`server.${leader}=`)
  await until('one of the others leads', () => others.includes(members.leader()) && others.every((id) => members.running.get(id)?.isServing))
  const later = await members.client(...others)
  await later.create('/after', 'y')
  expect(String((await later.getData('/before')).data)).toBe('x')
  // The old leader follows, without a vote.
  await members.serving(leader)
  expect(members.running.get(leader)?.mode).toBe('follower')
  await members.stop(leader)
  await later.create('/without', '')
})

test('the ports of a server change: clients stay connected, new ones find it at its new port', async () => {
  await members.reserve(1, 2, 3, 9)
  await members.ensemble(1, 2, 3)
  const id = members.leader() === 1 ? 2 : 1
  const client = await members.client(id)
  const session = client.session.id
  const { quorum, election } = members.ports.get(id) as Ports
  const before = members.ports.get(id) as Ports
  members.ports.set(id, { quorum, election: members.ports.get(9)?.election ?? election, client: members.ports.get(9)?.client ?? 0 })
  await client.reconfig({ joining: members.line(id) })
  await until('it listens there', () => members.running.get(id)?.port === members.ports.get(9)?.client)
  await client.create('/still-here', '')
  expect(client.session.id).toBe(session)
  await (await members.client(id)).create('/at-the-new-port', '')
  await expect(fetch(`http://127.0.0.1:${before.client}/`)).rejects.toThrow()
  // The new election port works: the leader goes, and two are enough for another.
  const leader = members.leader()
  await members.stop(leader)
  const rest = [1, 2, 3].filter((each) => each !== leader)
  await until('another leader', () => rest.includes(members.leader()))
  await (await members.client(...rest)).create('/another', '')
})

test('a single server grows to three', async () => {
  await members.reserve(1, 2, 3)
  members.settings = 'standaloneEnabled=false'
  await members.create(1, [members.line(1)])
  await members.serving(1)
  for (const id of [2, 3]) {
    await members.create(id, Array.from({ length: id }, (_, at) => members.line(at + 1)).filter((line) => !line.startsWith(`server.${id}=`)).concat(members.line(id, 'observer')))
    await members.serving(id)
    expect(members.running.get(id)?.mode).toBe('follower')
    await (await members.client(1)).reconfig({ joining: members.line(id) })
  }
  await members.stop(1)
  await until('the two others go on', () => [2, 3].includes(members.leader()))
  await (await members.client(2, 3)).create('/grown', '')
})

test('refusals, in the words of the codes', async () => {
  await members.reserve(1, 2, 3, 4)
  await members.ensemble(1, 2, 3)
  for (const id of [1, 2]) {
    const client = await members.client(id)
    const refused = (asked: Parameters<typeof client.reconfig>[0]): Promise<unknown> => client.reconfig(asked).then(() => 'accepted', (error: { code: number }) => error.code)
    expect(await refused({ leaving: '1,2' })).toBe(-8) // fewer than two voters
    expect(await refused({ joining: 'server.4=127.0.0.1:1:2' })).toBe(-8) // no client port
    expect(await refused({ joining: 'nonsense' })).toBe(-8)
    expect(await refused({ leaving: 'x' })).toBe(-5)
    expect(await refused({ members: 'tickTime=3' })).toBe(-8)
    expect(await refused({ leaving: '3', version: 7n })).toBe(-103)
    expect(await refused({ members: `${members.line(1)},${members.line(4)}` })).toBe(-13)
  }
  // The version that is in force is accepted, in the whole form.
  const client = await members.client(3)
  const { stat } = await client.getConfig()
  const { data } = await client.reconfig({ members: [1, 2, 3].map((id) => members.line(id)).join(','), version: stat.mzxid })
  expect(String(data)).toMatch(/version=[0-9a-f]+$/)
})

test('writing needs WRITE on /zookeeper/config', async () => {
  await members.reserve(1, 2, 3)
  members.settings = 'skipACL=no'
  await members.ensemble(1, 2, 3)
  const client = await members.client(1)
  await expect(client.reconfig({ leaving: '3' })).rejects.toMatchObject({ code: -102 })
})

test('groups and weights are given as a whole; after that, nothing less will do', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2, 3)
  const groups = ['group.1=1:2:3', 'weight.1=1', 'weight.2=1', 'weight.3=3']
  const client = await members.client(1)
  const { data } = await client.reconfig({ members: [...[1, 2, 3].map((id) => members.line(id)), ...groups].join(',') })
  expect(String(data).split('\n').slice(3, -1)).toEqual(groups)
  await expect(client.reconfig({ leaving: '1' })).rejects.toMatchObject({ code: -8 })
  const dynamic = join(members.folder, '1', `zoo.cfg.dynamic.${String(data).split('version=')[1]}`)
  await until('the file', () => readFile(members.file(1), 'utf8').then((text) => text.includes(dynamic)))
  expect((await readFile(dynamic, 'utf8')).split('\n').slice(0, 1)).toEqual(['group.1=1:2:3'])
  // Three of five weights: the third alone decides.
  await members.stop(1, 2)
  await until('the third leads', () => members.leader() === 3 && members.running.get(3)?.isServing === true)
  await (await members.client(3)).create('/alone', '')
})

test('what was proposed when all stopped is completed, also where the elected leader is no member any more', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2, 3)
  await (await members.client(1)).create('/before', '')
  await members.stop(1, 2, 3)
  const proposed = [members.line(1), members.line(2), 'version=1000000ff']
  for (const id of [1, 2, 3]) await writeFile(`${members.file(id)}.dynamic.next`, proposed.join('\n'))
  await Promise.all([1, 2, 3].map((id) => members.start(id)))
  await until('one of the two leads', () => [1, 2].includes(members.leader()) && [1, 2, 3].every((id) => members.running.get(id)?.isServing))
  for (const id of [1, 2, 3]) expect(await members.text(id)).toBe(proposed.join('\n'))
  await until('it is in the files', async () => (await Promise.all([1, 2, 3].map(async (id) => !(await readdir(join(members.folder, String(id)))).includes('zoo.cfg.dynamic.next')))).every(Boolean))
  expect(await readFile(members.file(1), 'utf8')).toContain('zoo.cfg.dynamic.1000000ff')
  expect(await (await members.client(3)).exists('/before')).toBeTruthy()
})

test('a file of a proposed configuration that cannot be read is named at the start', async () => {
  await members.reserve(1, 2, 3)
  await members.ensemble(1, 2, 3)
  await until('the file', () => readFile(members.file(1), 'utf8').then((text) => text.includes('dynamicConfigFile')))
  await members.stop(1)
  await writeFile(`${members.file(1)}.dynamic.next`, 'server.1=nonsense')
  await expect(members.start(1)).rejects.toThrow(/zoo\.cfg\.dynamic\.next: .*server\.1=nonsense/)
})

/** Members that come and go: asked for by kazoo and by both makers' zkCli, in ensembles of both makers' servers. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { ZooKeeperClient } from '../../src/zookeeper/client/client.ts'
import { isZooKeeperError } from '../../src/zookeeper/client/errors.ts'
import { freePort } from '../free-port.ts'
import { run, until } from './process.ts'
import { describeWith, python, where } from './programs.ts'
import { made, makerOf, patiently, targetMake, type Make } from './ensemble.ts'
import { fourLetterWord, program, zookeeperServer, type Server } from './target.ts'

const host = nodeHost({ logger: silentLogger })
const servers = new Map<number, Server>()
const clients: ZooKeeperClient[] = []
const ports = new Map<number, { quorum: number; election: number; client: number }>()
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') for (const [id, server] of servers) console.error(`--- server ${id} (${server.maker}) said:\n${server.log(40)}`)
  for (const client of clients.splice(0)) client.abandon()
  for (const server of servers.values()) await server.dispose()
  servers.clear()
  ports.clear()
})
async function reserve(...ids: number[]): Promise<void> {
  for (const id of ids) ports.set(id, { quorum: await freePort(), election: await freePort(), client: await freePort() })
}
function line(id: number, role = 'participant'): string {
  const { quorum, election, client } = ports.get(id) as { quorum: number; election: number; client: number }
  return `server.${id}=127.0.0.1:${quorum}:${election}:${role};127.0.0.1:${client}`
}
/** A server with these lines in its zoo.cfg, not started. */
async function create(id: number, make: Make, lines: readonly string[], settings: Record<string, string | number | boolean> = {}): Promise<Server> {
  const server = await zookeeperServer({
    ...makerOf(make), port: ports.get(id)?.client as number,
    config: {
      initLimit: 60, syncLimit: 20, preAllocSize: 64, extendedTypesEnabled: false, reconfigEnabled: true, ...(make === 'ottla' && { skipACL: 'yes' }), ...settings,
      ...Object.fromEntries(lines.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)])),
    },
    // Apache's server reads it before its configuration.
    env: { JAVA_TOOL_OPTIONS: '-Dzookeeper.skipACL=yes' },
  })
  writeFileSync(join(server.dataDirectory, 'myid'), `${id}\n`)
  servers.set(id, server)
  return server
}
const addressOf = (...ids: number[]): string => ids.map((id) => servers.get(id)?.address).join(',')
const modeOf = async (id: number): Promise<string> => /Mode: (\S+)/.exec(await fourLetterWord(servers.get(id) as Server, 'srvr'))?.[1] ?? 'none'
async function leaderOf(...ids: number[]): Promise<number> {
  let found = 0
  await until(`one of ${ids.join(', ')} leads, and all serve`, async () => {
    const modes = await Promise.all(ids.map(modeOf))
    found = ids[modes.indexOf('leader')] ?? 0
    return found !== 0 && !modes.includes('none')
  })
  return found
}
async function connect(...ids: number[]): Promise<ZooKeeperClient> {
  const client = await ZooKeeperClient.connect(host, { connect: addressOf(...ids), sessionTimeoutMs: 40_000, connectTimeoutMs: 120_000 })
  clients.push(client)
  return client
}
async function configOf(id: number): Promise<string> {
  const client = await connect(id)
  const { data } = await patiently(client, () => client.getConfig())
  await client.close()
  return String(data)
}
/** What every server of `ids` says it is, once they agree. */
async function agreed(...ids: number[]): Promise<string> {
  let texts: string[] = []
  await until('one configuration everywhere', async () => {
    texts = await Promise.all(ids.map(configOf))
    return new Set(texts).size === 1
  })
  return texts[0]
}
/** Apache's servers may close a client before they have answered it, where they change their part themselves. */
async function leave(client: ZooKeeperClient, id: number): Promise<void> {
  await client.reconfig({ leaving: String(id) }).catch((error: unknown) => {
    if (!isZooKeeperError(error, 'connectionLoss')) throw error
  })
}
const membersOf = (text: string): string[] => text.split('\n').filter((each) => each.startsWith('server.'))
/** The configuration files of a server, once nothing is proposed any more. */
async function filesOf(id: number, text: string): Promise<void> {
  const { directory, configFile } = servers.get(id) as Server
  const version = text.slice(text.indexOf('version=') + 'version='.length)
  const dynamicFile = join(directory, `zoo.cfg.dynamic.${version}`)
  await until(`server ${id} has written version ${version}`, async () => readFileSync(configFile, 'utf8').includes(`dynamicConfigFile=${dynamicFile}\n`))
  expect(readFileSync(dynamicFile, 'utf8')).toBe(membersOf(text).join('\n'))
  expect(readFileSync(configFile, 'utf8')).not.toMatch(/^server\./m)
  await until('nothing is proposed', async () => !readdirSync(directory).includes('zoo.cfg.dynamic.next'))
  expect(readFileSync(`${configFile}.bak`, 'utf8')).toMatch(/^server\.1=/m)
}

const own = targetMake
describeWith(['apache', 'zookeeper-3.8.0', 'zookeeper-3.9', 'python', 'zkCli'], 'members that come and go', () => {
  describe.each([[[own, own, own]], [['apache', 'apache', own]], [[own, own, 'zookeeper-3.9']]] satisfies Make[][][])('%s', (makers) => {
    test('kazoo adds the third; it observes, votes and leaves; the leader is removed; all restart on what they have written', async () => {
      await reserve(1, 2, 3)
      for (const id of [1, 2]) await create(id, makers[id - 1], [line(1), line(2)])
      await Promise.all([...servers.values()].map((server) => server.start()))
      await leaderOf(1, 2)
      const first = await agreed(1, 2)
      expect(membersOf(first)).toEqual([line(1), line(2)])
      expect(first).toMatch(/version=[0-9a-f]+00000000$/)
      await create(3, makers[2], [line(1), line(2), line(3, 'observer')])
      await servers.get(3)?.start()
      expect(await agreed(1, 2, 3)).toBe(first)
      expect(await python('kazoo_reconfig', addressOf(3), line(3), '', '')).toMatchObject({ 'before': first, 'version': -1, 'is its zxid': true, 'watch': ['CHANGED'] })
      const joined = await agreed(1, 2, 3)
      expect(membersOf(joined)).toEqual([line(1), line(2), line(3)])
      for (const id of [1, 2, 3]) await filesOf(id, joined)
      expect(await python('kazoo_reconfig', addressOf(2), '', '', '', '7')).toMatchObject({ error: 'BadVersionError' })
      expect(await python('kazoo_reconfig', addressOf(2), '', '1,2', '')).toMatchObject({ error: 'BadArgumentsError' })
      expect(await python('kazoo_reconfig', addressOf(2), '', '', [line(1), line(2), 'server.8=127.0.0.1:1:2;127.0.0.1:3', 'server.9=127.0.0.1:4:5;127.0.0.1:6'].join(','))).toMatchObject({ error: 'NewConfigNoQuorumError' })

      // A vote that counts: with the third, one of the first two may go.
      const leader = await leaderOf(1, 2, 3)
      const follower = [1, 2].find((id) => id !== leader) as number
      await servers.get(follower)?.kill()
      const others = [1, 2, 3].filter((id) => id !== follower)
      await made(await connect(...others), '/with-the-third')
      await servers.get(follower)?.start()
      await leaderOf(1, 2, 3)

      // The one that leads goes: another leads, what was written is there, and it follows without a vote.
      const before = await connect(leader)
      await made(before, '/before', 'x')
      await leave(before, leader)
      const left = [1, 2, 3].filter((id) => id !== leader)
      await leaderOf(...left)
      expect(membersOf(await agreed(...left))).toEqual(left.map((id) => line(id)))
      await until('it follows', async () => (await modeOf(leader)) === 'follower')
      await made(await connect(leader), '/from-outside')
      const [reader, changing] = [await connect(...left), await connect(...left)]
      expect(String((await patiently(reader, () => reader.getData('/before'))).data)).toBe('x')
      const back = String((await patiently(changing, () => changing.reconfig({ joining: line(leader, 'observer') }))).data)
      await until('it observes', async () => (await modeOf(leader)) === 'observer')
      expect(await agreed(1, 2, 3)).toBe(back)
      await patiently(changing, () => changing.reconfig({ joining: line(leader) }))
      await until('it votes', async () => (await modeOf(leader)) === 'follower')
      const whole = await agreed(1, 2, 3)
      for (const id of [1, 2, 3]) await filesOf(id, whole)

      await Promise.all([...servers.values()].map((server) => server.kill()))
      await Promise.all([...servers.values()].map((server) => server.start()))
      await leaderOf(1, 2, 3)
      expect(await agreed(1, 2, 3)).toBe(whole)
      expect((await (await connect(1)).getChildren('/')).children.toSorted()).toEqual(['before', 'from-outside', 'with-the-third', 'zookeeper'])
    })
  })

  test.each([[[own, 'zookeeper-3.8.0']], [['zookeeper-3.9', own]]] satisfies Make[][][])('%s: a server that is alone grows by the other maker’s, and hands everything over to it', async ([maker, other]) => {
    await reserve(1, 2)
    await create(1, maker, [line(1)], { standaloneEnabled: false })
    await servers.get(1)?.start()
    const client = await connect(1)
    await made(client, '/one', 'of two')
    await create(2, other, [line(1), line(2, 'observer')], { standaloneEnabled: false })
    await servers.get(2)?.start()
    await patiently(client, () => client.reconfig({ joining: line(2) }))
    await made(client, '/one/ephemeral', '', 'ephemeral')
    await leave(client, 1)
    await until('the second leads alone', async () => (await modeOf(2)) === 'leader' && membersOf(await configOf(2)).length === 1)
    await servers.get(1)?.kill()
    const after = await connect(2)
    await made(after, '/two', 'alone')
    expect(String((await patiently(after, () => after.getData('/one'))).data)).toBe('of two')
    expect((await patiently(after, () => after.getChildren('/one'))).children).toEqual(['ephemeral'])
  })

  test('zkCli of both makers: config and reconfig, in the same words', async () => {
    await reserve(1, 2, 3)
    for (const id of [1, 2, 3]) await create(id, own, [1, 2, 3].map((each) => line(each)))
    await Promise.all([...servers.values()].map((server) => server.start()))
    const leader = await leaderOf(1, 2, 3)
    const [removed, stays] = [1, 2, 3].filter((id) => id !== leader)
    const said: { out: string; err: string; events: string[] }[] = []
    const file = join((servers.get(1) as Server).directory, 'members')
    writeFileSync(file, [1, 2, 3].map((id) => line(id)).join('\n'))
    for (const cli of [where('zkCli'), program('zkCli.sh')]) {
      const commands = [
        'config', 'config -c', 'config -s', 'reconfig', 'reconfig -remove 3 -members x', `reconfig -v 1 -remove 3`, 'reconfig -remove 1,2', `reconfig -s -remove ${removed}`, `reconfig -add ${line(removed)}`, `reconfig -file ${file}`,
        `reconfig -members ${[1, 2, 3].map((id) => line(id)).join(',')}`, 'config -w', 'reconfig -remove 9',
      ]
      const { stdout, stderr } = await run(cli, ['-server', addressOf(leader)], { input: [...commands, 'quit', ''].join('\n'), env: { JVMFLAGS: '-Xmx128m -XX:TieredStopAtLevel=1' } })
      const noise = /^$|^Connecting to|^Welcome|^JLine|^WATCHER::|state:SyncConnected type:None|state:Closed|^SLF4J|^log4j|^Picked up|exited|^\[zk:/i
      // Versions, times and sizes grow from one to the other.
      const lines = (text: string): string => text.split('\n').map((each) => each.trim()).filter((each) => !noise.test(each))
        .map((each) => each.replace(/(version=|^)[0-9a-f]{9}\b/, '$1#').replace(/^(mZxid = |mtime = |ctime = |cZxid = |pZxid = ).*/, '$1#').replace(/zxid: -?\d+/, 'zxid: #')).join('\n')
      // Whether an event stands before the answer that shows the same change is for the terminal to decide.
      const events = stdout.match(/WatchedEvent state:SyncConnected type:Node\w+ path:\S+/g) ?? []
      said.push({ out: lines(stdout.replace(/^WatchedEvent.*type:Node.*$/gm, '')), err: lines(stderr), events })
      expect(membersOf(await agreed(leader, stays, removed))).toHaveLength(3)
    }
    expect(said[1]).toEqual(said[0])
    expect(said[0].out.match(/^Committed new configuration:$/gm)).toHaveLength(5)
    expect(said[0].events).toEqual(['WatchedEvent state:SyncConnected type:NodeDataChanged path:/zookeeper/config'])
  })
})

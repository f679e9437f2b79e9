/** zkCli.sh word for word: the expected lines are those of Apache's 3.8.0 on the same commands. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { complete } from '../../src/cli/zk-cli/completion.ts'
import { Shell } from '../../src/cli/zk-cli/shell.ts'
import { hexDump, javaDate, parseAcl } from '../../src/cli/zk-cli/texts.ts'
import { Arguments, wordsOf } from '../../src/cli/zk-cli/words.ts'
import { nodeHost } from '../../src/host/node.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { zooKeeperConfig } from '../../src/zookeeper/server/config.ts'
import { ZooKeeperServer } from '../../src/zookeeper/server/server.ts'

const host = nodeHost({ logger: silentLogger })
let folder: string
let server: ZooKeeperServer
let shell: Shell
let lines: string[] = []
let chroots = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-zkcli-'))
  server = await ZooKeeperServer.start(host, zooKeeperConfig({ dataDir: folder, clientPort: 0, clientPortAddress: '127.0.0.1', 'admin.enableServer': false, extendedTypesEnabled: true }))
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})
function shellAt(connect: string): Shell {
  return new Shell(host, {
    connect, timeoutMs: 10_000, readOnly: false, waitForConnection: false,
    out: (line) => void lines.push(...line.split('\n')),
    err: (line) => void lines.push(...line.split('\n').map((part) => `! ${part}`)),
  })
}
beforeEach(async () => {
  const chroot = `/c${++chroots}`
  const maker = shellAt(`127.0.0.1:${server.port}`)
  maker.open()
  await maker.line(`create ${chroot}`)
  await maker.end()
  shell = shellAt(`127.0.0.1:${server.port}${chroot}`)
  shell.open()
  await shell.line('printwatches on')
  await shell.line('sync /')
  lines = []
})
afterEach(() => shell.end())

/** What a command prints: standard error with `! ` before it; what differs from run to run is replaced. */
async function say(line: string): Promise<string[]> {
  lines = []
  await shell.line(line)
  return lines.map((each) => each.replace(/^(.Zxid|.time) = .*/, '$1').replace(/^ephemeralOwner = 0x[1-9a-f]\w*/, 'ephemeralOwner = SESSION'))
}
const statOf = (cversion: number, dataVersion: number, dataLength: number, numChildren: number, owner = '0x0', aclVersion = 0) => [
  'cZxid', 'ctime', 'mZxid', 'mtime', 'pZxid', `cversion = ${cversion}`, `dataVersion = ${dataVersion}`, `aclVersion = ${aclVersion}`, `ephemeralOwner = ${owner}`, `dataLength = ${dataLength}`, `numChildren = ${numChildren}`,
]
const event = (type: string, path: string) => ['', 'WATCHER::', '', `WatchedEvent state:SyncConnected type:${type} path:${path}`]

test('znodes of every kind are created, shown, changed and deleted', async () => {
  expect(await say('create /t hello')).toEqual(['! Created /t'])
  expect(await say('create /t hello')).toEqual(['! Node already exists: /t'])
  expect(await say('create -s /t/s- x')).toEqual(['! Created /t/s-0000000000'])
  expect(await say('create -se /t/e x')).toEqual(['! Created /t/e0000000001'])
  expect(await say('create -c /t/c')).toEqual(['! Created /t/c'])
  expect(await say('create -t 100000 /t/ttl x')).toEqual(['! Created /t/ttl'])
  expect(await say('create "/t/with space" "quoted data"')).toEqual(['! Created /t/with space'])
  expect(await say('get "/t/with space"')).toEqual(['quoted data'])
  expect(await say('ls /t')).toEqual(['[c, e0000000001, s-0000000000, ttl, with space]'])
  expect(await say('get /t/c')).toEqual(['null'])
  expect(await say('get -s /t')).toEqual(['hello', ...statOf(5, 0, 5, 5)])
  expect(await say('stat /t/e0000000001')).toEqual(statOf(0, 0, 1, 0, 'SESSION'))
  expect(await say('getEphemerals')).toEqual(['[/t/e0000000001]'])
  expect(await say('getAllChildrenNumber /t')).toEqual(['5'])
  expect(await say('set -v 0 /t new')).toEqual([])
  expect(await say('set -v 0 /t new')).toEqual(['! version No is not valid : /t'])
  expect(await say('set -s /t again')).toEqual(statOf(5, 2, 5, 5))
  expect(await say('set -b /t b3R0bGE=')).toEqual([])
  expect(await say('get /t')).toEqual(['ottla'])
  expect(await say('get -b /t')).toEqual(['b3R0bGE='])
  expect(await say('delete /t')).toEqual(['! Node not empty: /t'])
  expect(await say('delete -v 7 /t/c')).toEqual(['! version No is not valid : /t/c'])
  expect(await say('deleteall /t -b 2')).toEqual([])
  expect(await say('stat /t')).toEqual(['! Node does not exist: /t'])
})

test('a tree is listed in Apache’s order: the children of a znode before any of their own', async () => {
  for (const path of ['/d', '/d/b', '/d/a', '/d/a/x', '/d/a/x/y', '/d/b/z']) await say(`create ${path}`)
  expect(await say('ls -R /d')).toEqual(['/d', '/d/a', '/d/b', '/d/a/x', '/d/a/x/y', '/d/b/z'])
})

test.each([
  ['create', 'create [-s] [-e] [-c] [-t ttl] path [data] [acl]'],
  ['create x', 'Path must start with / character'],
  ['create /x/', 'Path must not end with / character'],
  ['create /none/x', 'Node does not exist: /none/x'],
  ['create -x /t', 'Unrecognized option: -x'],
  ['create -t x /t', '-t argument must be a long value'],
  ['create -t 0 /t', 'ttl must be positive and cannot be larger than: 1099511627775'],
  ['create -e -t 5 /t', 'TTLs cannot be used with Ephemeral znodes'],
  ['create -c -e /t', '-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.'],
  ['set -v', 'Missing argument for option: v'],
  ['set -v x / y', '-v argument must be an int value'],
  ['addWatch -m foo /', 'addWatch [-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE'],
  ['setquota /x', 'Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]'],
  ['setquota -n x /x', 'NumberFormatException happens when parsing the option value'],
  ['setquota -n -5 /x', 'the num quota must be greater than zero'],
  ['version x', 'version '],
  ['redo 999', 'Command index out of range'],
  ['reconfig -remove 3', 'KeeperErrorCode = Reconfig is disabled'],
  ['removewatches /none', 'KeeperErrorCode = No such watcher for /none'],
])('%s is answered with “%s”, and exit code 1', async (line, answer) => {
  expect(await say(line)).toEqual([`! ${answer}`])
  expect(shell.exitCode).toBe(1)
})

test('an unknown command shows all of them, and ends with 127', async () => {
  const shown = await say('bogus')
  expect(shown[0]).toBe('! ZooKeeper -server host:port -client-configuration properties-file cmd args')
  expect(shown).toHaveLength(30)
  expect(shown.at(-1)).toBe('! Command not found: Command not found bogus')
  expect(shell.exitCode).toBe(127)
})

test('ACLs are parsed, shown and enforced', async () => {
  await say('create /a x')
  expect(await say('getAcl /a')).toEqual(["'world,'anyone", ': cdrwa'])
  expect(await say('create /b x digest:u:p:cdrwa,world:anyone:r')).toEqual(['! Created /b'])
  expect(await say('getAcl /b')).toEqual(["'digest,'u:x", ': cdrwa', "'world,'anyone", ': r'])
  expect(await say('set /b y')).toEqual(['! Insufficient permission : /b'])
  expect(await say('setAcl -s /a world:anyone:ra')).toEqual(statOf(0, 0, 1, 0, '0x0', 1))
  expect(await say('setAcl /a bad')).toEqual(['! bad does not have the form scheme:id:perm', '! Acl is not valid : null'])
  expect(await say('setAcl /a foo:bar:r')).toEqual(['! Acl is not valid : /a'])
  expect(await say('addauth digest u:p')).toEqual([])
  expect(await say('whoami')).toEqual(['Auth scheme: User', 'ip: 127.0.0.1', 'digest: u'])
  expect(await say('create /mine x auth:x:cdrwa')).toEqual(['! Created /mine'])
  expect(await say('getAcl /mine')).toEqual(["'digest,'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=", ': cdrwa'])
})

test('watches tell what happened before the command is over, and can be removed', async () => {
  await say('create /w x')
  expect(await say('get -w /w')).toEqual(['x'])
  expect(await say('set /w y')).toEqual(event('NodeDataChanged', '/w'))
  expect(await say('set /w y')).toEqual([])
  expect(await say('ls /w watch')).toEqual(["! 'ls path [watch]' has been deprecated. Please use 'ls [-w] path' instead.", '[]'])
  expect(await say('create /w/c')).toEqual([...event('NodeChildrenChanged', '/w'), '! Created /w/c'])
  await say('addWatch /w')
  expect(await say('set /w/c x')).toEqual(event('NodeDataChanged', '/w/c'))
  expect(await say('removewatches /w')).toEqual(event('PersistentWatchRemoved', '/w'))
  expect(await say('stat -w /new')).toEqual(['! Node does not exist: /new'])
  expect(await say('create /new')).toEqual([...event('NodeCreated', '/new'), '! Created /new'])
  await say('printwatches off')
  await say('get -w /w')
  expect(await say('delete /new')).toEqual([])
  expect(await say('printwatches')).toEqual(['printwatches is off'])
})

test('quotas are set, listed, limited to one of a branch, and deleted', async () => {
  shell = shellAt(`127.0.0.1:${server.port}`)
  shell.open()
  await say('create /q')
  await say('create /q/1 abc')
  expect(await say('setquota -n 2 /q')).toEqual([])
  await say('setquota -b 100 /q')
  await say('setquota -N 10 /q')
  expect(await say('setquota -n 2 /q/1')).toEqual(['! /q/1 has a parent /q which has a quota'])
  expect(await say('setquota -n 2 /none')).toEqual(['! /none does not exist.'])
  expect(await say('listquota /q')).toEqual(['! absolute path is /zookeeper/quota/q/zookeeper_limits', 'Output quota for /q count=2,bytes=100=;byteHardLimit=-1;countHardLimit=10', 'Output stat for /q count=2,bytes=3'])
  await say('delquota -n /q')
  expect((await say('listquota /q'))[1]).toBe('Output quota for /q count=-1,bytes=100=;byteHardLimit=-1;countHardLimit=10')
  expect(await say('delquota /q')).toEqual([])
  expect(await say('listquota /q')).toEqual(['! absolute path is /zookeeper/quota/q/zookeeper_limits', '! quota for /q does not exist.'])
  expect(await say('delquota /q')).toEqual(['Quota does not exist for /q'])
  await say('setquota -n 5 /q/1')
  expect(await say('setquota -n 5 /q')).toEqual(['! /q has a child /q/1 which has a quota'])
})

test('history, redo, close and connect', async () => {
  await say('create /h x')
  expect(await say('history')).toEqual(['0 - printwatches on', '1 - sync /', '2 - create /h x', '3 - history'])
  expect(await say('redo 2')).toEqual(['! Node already exists: /h'])
  expect((await say('history')).slice(-2)).toEqual(['4 - create /h x', '5 - history'])
  expect(shell.prompt).toMatch(/^\[zk: 127\.0\.0\.1:\d+\/c\d+\(CONNECTED\) 6\] $/)
  expect(await say('close')).toEqual(['', 'WATCHER::', '', 'WatchedEvent state:Closed type:None path:null'])
  expect(await say('ls /')).toEqual(['Not connected'])
  expect(shell.prompt).toContain('(CLOSED)')
  await say(`connect 127.0.0.1:${server.port}`)
  expect(await say('get /zookeeper/quota')).toEqual([''])
  await say('quit')
  expect(shell.over).toBe(true)
})

test('a server that is not there is named at once', async () => {
  const lost = shellAt('127.0.0.1:1')
  lines = []
  lost.open()
  await lost.once(['ls', '/'])
  expect(lines).toEqual([expect.stringMatching(/^! Cannot connect: nothing listens on 127\.0\.0\.1:1\. Is the server running/)])
  expect(lost.exitCode).toBe(1)
})

test('TAB completes commands and paths', async () => {
  const childrenOf = (path: string) => Promise.resolve(path === '/' ? ['zookeeper', 'brokers'] : path === '/brokers' ? ['topics', 'ids'] : [])
  expect(await complete('getA', childrenOf)).toEqual([['getAcl ', 'getAllChildrenNumber '], 'getA'])
  expect(await complete('ls /', childrenOf)).toEqual([['/brokers', '/zookeeper'], '/'])
  expect(await complete('get -s /brokers/t', childrenOf)).toEqual([['/brokers/topics'], '/brokers/t'])
  expect(await complete('set /a da', childrenOf)).toEqual([[], 'da'])
})

test('words, options, ACLs, dates and dumps', () => {
  expect(wordsOf(` create  "/a b" 'c "d"' e"f `)).toEqual(['create', '/a b', 'c "d"', 'e"f'])
  expect(wordsOf('set /a ""')).toEqual(['set', '/a', ''])
  const args = new Arguments({ s: 'flag', v: 'value', file: 'value' }, ['/a', '-sv1', '--file=x', '-5', '--', '-z'])
  expect([args.has('s'), args.int('v', -1), args.value('file'), args.rest]).toEqual([true, 1, 'x', ['/a', '-5', '-z']])
  expect(parseAcl('digest:a:b=:rw,ip:10.0.0.0/8:a', () => {})).toEqual([{ perms: 3, id: { scheme: 'digest', id: 'a:b=' } }, { perms: 16, id: { scheme: 'ip', id: '10.0.0.0/8' } }])
  expect(javaDate(1795234843501)).toMatch(/^[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ 2026$/)
  expect(hexDump(Buffer.from('hello'))[3]).toBe('|00000000| 68 65 6c 6c 6f                                  |hello           |')
})

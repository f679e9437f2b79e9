/** Our zkCli.sh beside Debian's: the same commands on two fresh servers, the same words, stats and events. */
import { expect, test } from 'vitest'
import { run } from './process.ts'
import { describeWith, where } from './programs.ts'
import { program, startZookeeper } from './target.ts'

const commands = [
  'create /t hello', 'create /t hello', 'create -s /t/s- x', 'create -s -e /t/se- x', 'create -c /t/c', 'create -t 100000 /t/ttl x', 'create -s -t 100000 /t/ttls x',
  'create -e -t 1000 /t/q x', 'create -c -e /t/q', 'create -t x /t/q', 'create -t 0 /t/q', 'create /none/x', 'create x', 'create /x/', 'create', 'create /t/acl data world:anyone:ra',
  'create /t/two data digest:u:p:cdrwa,world:anyone:r', 'create /t/foo data foo:u:r', 'create "/t/with space" "quoted data"', `create '/t/single q' 'single "data"'`, 'create /t/empty ""',
  'ls', 'ls /t', 'ls -s /t', 'ls -R /t', 'ls -w /t', 'ls /none', 'ls t', 'get /t', 'get -s /t', 'get /t/c', 'get /t/empty', 'get "/t/with space"', 'get /none', 'get -w /t',
  'stat /t', 'stat /none', 'stat -w /t/later', 'stat /t/ttl', 'set /t new', 'set -v 0 /t bad', 'set -s -v 1 /t good', 'set', 'create /t/later', 'delete /t', 'delete -v 7 /t/later',
  'delete -v 0 /t/later', 'delete /none', 'delete /', 'getAcl /t', 'getAcl -s /t/two', 'getAcl /t/acl', 'setAcl -s /t/c world:anyone:cdrwa', 'setAcl -v 5 /t/c world:anyone:r', 'setAcl /t bad',
  'setAcl /t foo:bar:r', 'set /t/acl x', 'addauth digest u:p', 'whoami', 'create /t/mine x auth:x:cdrwa', 'getAcl /t/mine', 'create /q', 'create /q/1 abc', 'setquota -n 2 /q', 'setquota -b 100 /q',
  'setquota -N 10 /q', 'listquota /q', 'setquota -n 2 /q/1', 'setquota -n -5 /q', 'setquota -n 2 /none', 'delquota -n /q', 'listquota /q', 'delquota /q', 'listquota /q', 'delquota /q',
  'addWatch -m PERSISTENT /q', 'create /q/2', 'set /q x', 'removewatches /q', 'removewatches /q', 'getAllChildrenNumber /q', 'getEphemerals /t', 'sync /', 'config', 'reconfig -remove 3',
  'history', 'deleteall /q', 'ls /', 'redo 22', 'redo 999', 'rmr /t', 'quit',
]

/** What one of them prints on a fresh server, without what differs from run to run: times, sessions, ports and the moment of events. */
async function session(cli: string): Promise<{ code: number; out: string[]; err: string[]; events: string[] }> {
  const server = await startZookeeper({ config: { tickTime: 2000 } })
  try {
    const { code, stdout, stderr } = await run(cli, ['-server', server.address], { input: commands.map((line) => `${line}\n`).join(''), env: { JVMFLAGS: '-Xmx128m -XX:TieredStopAtLevel=1' } })
    const lines = (text: string) =>
      text.split('\n').filter((line) => !/^(WATCHER::|SLF4J:.*|)$/.test(line)).map((line) => line.replace(/time = .*/, 'time').replace(/(ephemeralOwner = 0x)[1-9a-f]\w+/, '$1SESSION').replace(server.address, 'SERVER'))
    const out = lines(stdout)
    return { code, out: out.filter((line) => !line.startsWith('WatchedEvent')), err: lines(stderr), events: out.filter((line) => line.startsWith('WatchedEvent') && !line.includes('type:None')).sort() }
  } finally {
    await server.dispose()
  }
}
/** Ours has two options of 3.9 more than Debian's 3.8.0. */
const usages = (lines: readonly string[]) => lines.map((line) => line.replace('[-s] [-w] [-b] [-x] path', '[-s] [-w] path').replace('[-s] [-v version] [-b] path data', '[-s] [-v version] path data'))

describeWith(['zkCli'], 'our zkCli.sh beside Debian’s', () => {
  test('the same commands print the same', async () => {
    const theirs = await session(where('zkCli'))
    const ours = await session(program('zkCli.sh'))
    expect(ours.out).toEqual(theirs.out)
    expect(usages(ours.err)).toEqual(theirs.err)
    expect(ours.events).toEqual(theirs.events)
    expect(ours.code).toBe(theirs.code)
  })

  test.each([['ls', '/'], ['get', '/none'], ['bogus'], ['create', '/one', 'x'], ['get']])('a single command ends with the same code: %s %s', async (...words: string[]) => {
    const codes: number[] = []
    for (const cli of [where('zkCli'), program('zkCli.sh')]) {
      const server = await startZookeeper()
      codes.push((await run(cli, ['-server', server.address, ...words])).code)
      await server.dispose()
    }
    expect(codes[1]).toBe(codes[0])
  })
})

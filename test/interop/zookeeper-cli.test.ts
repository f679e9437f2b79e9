/** What people type: ZooKeeper's Java command line and cli_mt of the C client, both as Debian has them. */
import { expect, test } from 'vitest'
import { describeWith, unique, where } from './programs.ts'
import { run } from './process.ts'
import { useZookeeper } from './target.ts'

describeWith(['zkCli'], 'zkCli.sh of Debian', () => {
  const servers = useZookeeper()
  /** Commands typed one after the other in one session; what came out, without greetings, logs and the end of the session. */
  const type = async (...commands: string[]): Promise<{ out: string[]; err: string[]; events: string[] }> => {
    const { stdout, stderr } = await run(where('zkCli'), ['-server', servers.zookeeper.address], { input: [...commands, 'quit', ''].join('\n'), env: { JVMFLAGS: '-Xmx128m -XX:TieredStopAtLevel=1' } })
    const noise = /^$|^Connecting to|^Welcome|^JLine|^WATCHER::|state:SyncConnected type:None|state:Closed|^SLF4J|^log4j/
    const lines = (text: string) => text.split('\n').map((line) => line.trim()).filter((line) => !noise.test(line))
    // Events are printed by a thread of their own: what stands before and behind them is chance.
    const isEvent = (line: string): boolean => line.startsWith('WatchedEvent')
    return { out: lines(stdout).filter((line) => !isEvent(line)), err: lines(stderr), events: lines(stdout).filter(isEvent) }
  }

  test('create, get, set, ls, stat, delete and their refusals', async () => {
    const parent = `/${unique('cli')}`
    const { out, err } = await type(
      `create ${parent}`,
      `create ${parent}/a one`,
      `get ${parent}/a`,
      `set -v 0 ${parent}/a two`,
      `set -v 0 ${parent}/a three`,
      `get ${parent}/a`,
      `create -s ${parent}/s- x`,
      `create -e ${parent}/e x`,
      `ls ${parent}`,
      `getAllChildrenNumber ${parent}`,
      `delete ${parent}`,
      `delete ${parent}/none`,
      `ls -R ${parent}`,
      `deleteall ${parent}`,
      `ls ${parent}`,
    )
    expect(out).toEqual(['one', 'two', '[a, e, s-0000000001]', '3', parent, `${parent}/a`, `${parent}/e`, `${parent}/s-0000000001`])
    expect(err).toEqual([
      `Created ${parent}`,
      `Created ${parent}/a`,
      `version No is not valid : ${parent}/a`,
      `Created ${parent}/s-0000000001`,
      `Created ${parent}/e`,
      `Node not empty: ${parent}`,
      `Node does not exist: ${parent}/none`,
      `Node does not exist: ${parent}`,
    ])
  })

  test('stat shows what the server keeps', async () => {
    const parent = `/${unique('cli')}`
    const { out } = await type(`create ${parent} data`, `create ${parent}/child`, `stat ${parent}`)
    const facts = Object.fromEntries(out.filter((line) => line.includes(' = ')).map((line) => line.split(' = ')))
    expect(facts).toMatchObject({ cversion: '1', dataVersion: '0', aclVersion: '0', ephemeralOwner: '0x0', dataLength: '4', numChildren: '1' })
    expect([facts.cZxid === facts.mZxid, facts.pZxid > facts.cZxid]).toEqual([true, true])
  })

  test('ACLs, quotas, whoami, watches', async () => {
    const parent = `/${unique('cli')}`
    const { out, err, events } = await type(
      `create ${parent} x`,
      `setquota -n 2 ${parent}`,
      `listquota ${parent}`,
      `delquota ${parent}`,
      'addauth digest me:secret',
      `setAcl ${parent} auth::rw`,
      `getAcl ${parent}`,
      `setAcl ${parent} world:anyone:cdrwa`,
      'whoami',
      `addWatch -m PERSISTENT ${parent}`,
      `set ${parent} y`,
      `get ${parent}`,
    )
    expect(out).toEqual([
      expect.stringMatching(/^Output quota for .* count=2,bytes=-1/),
      expect.stringMatching(/^Output stat for .* count=1,bytes=1$/),
      // Who may not administer a node does not see the digests of those who may use it.
      "'digest,'me:x",
      ': rw',
      'Auth scheme: User',
      // Apache keeps identities in the order of a hash.
      expect.stringMatching(/^(digest: me|ip: 127\.0\.0\.1)$/),
      expect.stringMatching(/^(digest: me|ip: 127\.0\.0\.1)$/),
      'y',
    ])
    expect(events).toEqual([`WatchedEvent state:SyncConnected type:NodeDataChanged path:${parent}`])
    expect(out.slice(5, 7).sort()).toEqual(['digest: me', 'ip: 127.0.0.1'])
    expect(err).toEqual([`Created ${parent}`, `absolute path is /zookeeper/quota${parent}/zookeeper_limits`, `Insufficient permission : ${parent}`])
  })

  test('one command on the command line', async () => {
    const { code, stdout } = await run(where('zkCli'), ['-server', servers.zookeeper.address, 'ls', '/zookeeper'])
    expect([code, stdout.trim().split('\n').at(-1)]).toEqual([0, '[config, quota]'])
  })
})

describeWith(['cli_mt'], 'cli_mt of Debian', () => {
  const servers = useZookeeper()
  /** One command each, in a session of its own. */
  const type = async (command: string): Promise<string> => {
    const { stdout, stderr } = await run(where('cli_mt'), ['-h', servers.zookeeper.address, '-c', command])
    return stdout + stderr
  }

  test('creates, writes, reads, lists and deletes', async () => {
    const parent = `/${unique('cli_mt')}`
    expect(await type(`create ${parent}`)).toContain(`Creating [${parent}] node`)
    await type(`set ${parent} data`)
    expect(await type(`get ${parent}`)).toContain('value_len = 4\ndata')
    await type(`create ${parent}/child`)
    expect(await type(`ls ${parent}`)).toContain('child')
    await type(`delete ${parent}/child`)
    await type(`delete ${parent}`)
    expect(await type(`get ${parent}`)).toContain('rc = -101')
  })
})

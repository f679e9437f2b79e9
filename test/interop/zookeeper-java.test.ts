/** ZooKeeper's own Java client, 3.9. */
import { expect, test } from 'vitest'
import { describeWith, java, unique } from './programs.ts'
import { useZookeeper } from './target.ts'

describeWith(['zookeeper-java'], "ZooKeeper's Java client", () => {
  const servers = useZookeeper()
  const client = (name: string) => java('zookeeper-java', 'ZooKeeperClient', name, servers.zookeeper.address, `/${unique('java')}`)

  test('znodes and every refusal', async () => {
    expect(await client('nodes')).toEqual({
      created: [0, 3, true, true],
      null: [true, 0],
      stale: 'BADVERSION',
      set: 1,
      children: [100, 100, 'c0000000099'],
      ephemerals: ['/e'],
      barren: 'NOCHILDRENFOREPHEMERALS',
      full: 'NOTEMPTY',
      none: 'NONODE',
      root: 'BADARGUMENTS',
      large: null,
      who: ['ip'],
      acl: ['31 world anyone'],
    })
  })

  test('containers and nodes with a time to live show clients no owner', async () => {
    expect(await client('kinds')).toEqual({ ttl: '0', container: '0', sequential: '/brief-0000000002' })
  })

  test('multi writes all or nothing; multi reads answer one by one', async () => {
    expect(await client('multi')).toEqual({
      done: ['/a', '/a/s-0000000000', 'version 1', 'CheckResult', 'DeleteResult'],
      refused: 'BADVERSION',
      results: [0, -103, -2],
      left: ['a'],
      read: ['data', ['a', 'd'], -101],
    })
  })

  test('persistent, recursive and one-shot watches, and their removal', async () => {
    expect(await client('watches')).toEqual({
      'persistent': ['NodeDataChanged /p', 'NodeDataChanged /p', 'NodeChildrenChanged /p', 'NodeChildrenChanged /p', 'NodeDeleted /p', 'NodeCreated /p'],
      'removed': ['PersistentWatchRemoved /p'],
      'no watch': 'NOWATCHER',
      'recursive': ['NodeCreated /r', 'NodeCreated /r/x', 'NodeDataChanged /r/x', 'NodeDeleted /r/x', 'PersistentWatchRemoved '],
      'one-shot': ['NodeCreated /new', 'NodeChildrenChanged ', 'NodeDeleted /new'],
    })
  })

  test('sessions: negotiated timeouts, taken over, expired, refused to a wrong password', async () => {
    expect(await client('sessions')).toEqual({
      'timeouts': [30_000, 1_000, 60_000],
      'moved': true,
      'expired': true,
      'gone': true,
      'refused': 'SESSIONEXPIRED',
      'wrong password': true,
      'still there': true,
    })
  })

  test('a chroot', async () => {
    expect(await client('chroot')).toEqual({ path: '/x', children: ['x'], event: 'NodeCreated /x' })
  })
})

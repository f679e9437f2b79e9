/** go-zookeeper. */
import { expect, test } from 'vitest'
import { describeWith, go, unique } from './programs.ts'
import { useZookeeper } from './target.ts'

describeWith(['go'], 'go-zookeeper', () => {
  const servers = useZookeeper()
  const zk = (name: string, parent = `/${unique('go')}`) => go('zk', name, servers.zookeeper.address, parent)

  test('znodes of every kind', async () => {
    const parent = `/${unique('go')}`
    expect(await zk('nodes', parent)).toEqual({
      created: `${parent}/a`,
      again: 'zk: node already exists',
      get: ['one', 0, 3, 0, 0],
      set: 1,
      stale: 'zk: version conflict',
      sequence: ['/a/s0000000000', '/a/s0000000001', '/a/s0000000002'],
      full: 'zk: node has children',
      children: ['s0000000000', 's0000000001', 's0000000002'],
      container: '/box',
      ttl: '/brief',
      exists: false,
      protected: true,
      sync: true,
    })
  })

  test('multi is all or nothing', async () => {
    const parent = `/${unique('go')}`
    expect(await zk('multi', parent)).toEqual({
      done: [`${parent}/a`, 1, 5],
      error: 'zk: node does not exist',
      errors: ['', 'zk: node does not exist', 'unknown error: -2'],
      left: ['a'],
    })
  })

  test('watches', async () => {
    expect(await zk('watches')).toEqual(['EventNodeCreated /w', 'EventNodeDataChanged /w', 'EventNodeChildrenChanged /w', 'EventNodeDeleted /w/c'])
  })

  test('locks', async () => {
    expect(await zk('locks')).toEqual([20, 1])
  })

  test('ACLs', async () => {
    expect(await zk('acls')).toEqual(['zk: not authenticated', '', 'x', 'digest', 'user:smGaoVKd/cQkjm7b88GyorAUz20=', 31])
  })

  test('a cut connection moves its session, ephemerals and watches', async () => {
    expect(await zk('move')).toEqual({ 'moved': true, 'same session': true, 'ephemeral': true, 'event': 'EventNodeDataChanged' })
  })
})

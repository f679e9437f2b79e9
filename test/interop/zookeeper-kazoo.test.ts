/** kazoo, the Python client, and its recipes. */
import { expect, test } from 'vitest'
import { describeWith, python, unique } from './programs.ts'
import { useZookeeper } from './target.ts'

describeWith(['python'], 'kazoo', () => {
  const servers = useZookeeper()
  const kazoo = (name: string, parent = `/${unique('kazoo')}`) => python('kazoo_client', name, servers.zookeeper.address, parent)

  test('znodes: versions, sequences, ephemerals and every refusal', async () => {
    const parent = `/${unique('kazoo')}`
    expect(await kazoo('nodes', parent)).toEqual({
      'created': `${parent}/a`,
      'again': 'NodeExistsError',
      'orphan': 'NoNodeError',
      'get': ['one', 0, 0, 0, 3, 0, 0],
      'fresh': true,
      'set': 1,
      'stale': 'BadVersionError',
      'moved': true,
      'sequence': ['s-0000000000', 's-0000000001', 's-0000000002', 's-0000000003'],
      'children': ['s-0000000000', 's-0000000002', 's-0000000003'],
      'parent': [3, 3, 5, 1],
      'full': 'NotEmptyError',
      'ephemeral': true,
      'barren': 'NoChildrenForEphemeralsError',
      'none': ['NoNodeError', 'NoNodeError', 'NoNodeError', null],
      'wrong version': 'BadVersionError',
      'big': 900_000,
      'empty': [`${parent}/nothing`, ''],
      'unicode': [`${parent}/jégmező`, 'ä'],
      'left': ['big', 'e', 'jégmező', 'nothing'],
    })
  })

  test('watches: each event once and in order, and the recipes built on them', async () => {
    expect(await kazoo('watches')).toEqual({
      'one-shot': [
        ['CREATED', '/w', 'CONNECTED'],
        ['CHANGED', '/w', 'CONNECTED'],
        ['CHILD', '/w', 'CONNECTED'],
        ['DELETED', '/w', 'CONNECTED'],
      ],
      'DataWatch': [null, '1', '2', null],
      'ChildrenWatch': [[], ['z']],
    })
  })

  test('transactions: all or nothing, one zxid', async () => {
    const parent = `/${unique('kazoo')}`
    expect(await kazoo('transactions', parent)).toEqual({
      'done': [`${parent}/b`, 1, true, true, `${parent}/c`],
      'undone': ['RolledBackError', 'RolledBackError', 'BadVersionError', 'RuntimeInconsistency'],
      'state': ['1', ['a', 'c']],
      'one zxid': true,
      'empty': [],
    })
  })

  test('ACLs: digest, auth, ip and world, enforced', async () => {
    expect(await kazoo('acls')).toEqual({
      'acl': [[31, 'digest', 'me:016djjlksVQS5RgX3M7biBGyYwY=']],
      'stranger': ['NoAuthError', 'NoAuthError', 'NoAuthError', 'NoAuthError'],
      'exists': 'NoAuthError',
      'invalid': 'InvalidACLError',
      'auth': [[31, 'digest', 'me:016djjlksVQS5RgX3M7biBGyYwY=']],
      'nobody': 'InvalidACLError',
      'now': 'x',
      'read only': [1, 'NoAuthError', 'x'],
      'ip': ['', 'NoAuthError'],
    })
  })

  test('recipe lock: one at a time, and everybody gets a turn', async () => {
    expect(await kazoo('lock')).toEqual({
      'counter': 20,
      'at once': 1,
      'turns': [0, 1, 2, 3].flatMap((i) => [i, i, i, i, i]),
      'left': [],
      'taken': false,
      'holder': ['holder'],
      'freed': [true, true],
    })
  })

  test('recipe election: leaders follow each other in the order they came', async () => {
    expect(await kazoo('election')).toEqual({ contenders: ['candidate 0', 'candidate 1', 'candidate 2'], led: [0, 1, 2] })
  })

  test('recipes queue and locking queue', async () => {
    expect(await kazoo('queues')).toEqual({ length: 5, queue: ['1', '0', '2', '3', '4'], empty: null, locking: ['x', 'y', true, true, true, 0] })
  })

  test('recipes barrier, double barrier, semaphore, party and counter', async () => {
    expect(await kazoo('barriers')).toEqual({
      closed: false,
      open: true,
      double: [['in', 'in', 'in'], 6],
      semaphore: [true, true, false, true, true],
      party: ['0', '1'],
      count: 3,
    })
  })

  test('a session closed elsewhere has expired for its owner, and its ephemerals are gone', async () => {
    expect(await kazoo('expiry')).toEqual({
      'same session': true,
      'watch': true,
      'ephemeral': null,
      'states': ['LOST', 'CONNECTED'],
      'new session': true,
      'works': true,
    })
  })

  test('a silent session expires after its timeout', async () => {
    expect(await kazoo('silence')).toEqual({ 'kept by pings': true, 'gone': true, 'not early': true })
  })

  test('a cut connection moves its session, ephemerals and watches to the next one', async () => {
    expect(await kazoo('move')).toEqual({
      'same session': true,
      'ephemeral': true,
      'states': ['SUSPENDED', 'CONNECTED', 'SUSPENDED', 'CONNECTED', 'SUSPENDED', 'CONNECTED'],
      'events': ['', '0', '1', '2'],
    })
  })

  test('a session is not given to a wrong password', async () => {
    expect(await kazoo('wrong_password')).toEqual({ 'other session': true, 'ephemeral': true })
  })

  test('the four-letter words kazoo can ask', async () => {
    expect(await kazoo('words')).toEqual({
      ruok: 'imok',
      srvr: ['Zookeeper version', 'Latency min/avg/max', 'Received', 'Sent', 'Connections', 'Outstanding', 'Zxid', 'Mode', 'Node count'],
      mode: ['Mode: standalone'],
      stat: true,
      isro: 'rw',
      dump: true,
      wchs: 'Total watches:1',
      cons: true,
      mntr: ['zk_approximate_data_size', 'zk_ephemerals_count', 'zk_num_alive_connections', 'zk_open_file_descriptor_count', 'zk_outstanding_requests', 'zk_packets_received', 'zk_server_state', 'zk_version', 'zk_watch_count', 'zk_znode_count'],
      envi: 'Environment:',
      conf: ['tickTime=500', 'maxClientCnxns=0', 'minSessionTimeout=1000', 'maxSessionTimeout=60000'],
    })
  })
})

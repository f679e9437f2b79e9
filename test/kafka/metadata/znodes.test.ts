import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { decodeBroker, encodeBroker } from '../../../src/kafka/metadata/broker-znode.ts'
import { decodeClusterId, decodeController, decodeControllerEpoch, decodeLogDirEvent, decodePartitions, decodeProducerIds, encodeClusterId, encodeController, encodeFeature, encodeLogDirEvent, encodePartitions, encodeProducerIds } from '../../../src/kafka/metadata/cluster-znodes.ts'
import { decodeConfigChange, decodeEntityConfig, encodeConfigChange, encodeEntityConfig } from '../../../src/kafka/metadata/config-znodes.ts'
import { decodePartitionState, encodePartitionState } from '../../../src/kafka/metadata/partition-state-znode.ts'
import { decodeTopic, encodeTopic } from '../../../src/kafka/metadata/topic-znode.ts'
import { desanitize, sanitize, sequenceOf } from '../../../src/kafka/metadata/znode-paths.ts'

// From the tree of an Apache Kafka 3.9.1 cluster of three brokers on Apache ZooKeeper 3.8.4; one node of each kind.
const recorded = `
/brokers/ids/2 {"features":{},"listener_security_protocol_map":{"PLAINTEXT":"PLAINTEXT"},"endpoints":["PLAINTEXT://127.0.0.1:23072"],"jmx_port":-1,"port":23072,"host":"127.0.0.1","version":5,"timestamp":"1795234842514"}
/brokers/topics/a {"partitions":{"0":[3,1],"1":[3,1,2],"2":[1,2,3],"3":[3,2],"4":[1,3]},"topic_id":"w9kn2776QcC5HpZLtF_HjA","adding_replicas":{},"removing_replicas":{},"version":3}
/brokers/topics/a/partitions/0/state {"controller_epoch":1,"leader":3,"version":1,"leader_epoch":2,"isr":[3,1]}
/cluster/id {"version":"1","id":"frJjE1plRoejvYXeK1Sx8Q"}
/config/brokers/<default> {"version":1,"config":{"log.retention.ms":"200000000"}}
/config/topics/c {"version":1,"config":{"cleanup.policy":"compact","segment.ms":"1000","min.cleanable.dirty.ratio":"0.01"}}
/config/changes/config_change_0000000001 {"version":2,"entity_path":"brokers/<default>"}
/controller {"version":2,"brokerid":2,"timestamp":"1795234842737","kraftControllerEpoch":-1}
/feature {"features":{},"version":2,"status":1}
/latest_producer_id_block {"version":1,"broker":1,"block_start":"2000","block_end":"2999"}`

/** What is written again of what was read from a path; undefined for nodes without data of their own. */
function again(path: string, text: string): Buffer | undefined {
  const data = Buffer.from(text)
  const [, first, second, third, , index] = path.split('/')
  if (/^\/brokers\/ids\/\d+$/.test(path)) return encodeBroker(decodeBroker(Number(third), data))
  if (/^\/brokers\/topics\/[^/]+$/.test(path)) return encodeTopic(decodeTopic(third, data))
  if (path.endsWith('/state')) return encodePartitionState(decodePartitionState(third, Number(index), data, 0))
  if (path === '/cluster/id') return encodeClusterId(decodeClusterId(data))
  if (path === '/controller') return encodeController(decodeController(data))
  if (path === '/controller_epoch') return Buffer.from(String(decodeControllerEpoch(data)))
  if (path === '/feature') return encodeFeature(2)
  if (path === '/latest_producer_id_block') return encodeProducerIds(decodeProducerIds(data)!)
  if (path.startsWith('/config/changes/')) return encodeConfigChange(decodeConfigChange(third, data))
  if (first === 'config' && third) return encodeEntityConfig(decodeEntityConfig(path, data))
  expect(['kafka-acl', 'kafka-acl-changes', 'zookeeper', ''].includes(first) || second === undefined).toBe(true)
  return undefined
}

test('znodes that Apache wrote are read, and written again to the same bytes', () => {
  for (const line of recorded.trim().split('\n')) {
    const [path, text] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]
    expect(again(path, text)?.toString(), path).toBe(text)
  }
})

const whole = new URL('../../../../shared/fixtures/kafka-znodes.txt', import.meta.url)
test.skipIf(!existsSync(whole))('the whole recorded tree reads and writes the same', () => {
  let checked = 0
  for (const line of readFileSync(whole, 'utf8').trim().split('\n')) {
    const [path, , , text] = line.split(' | ')
    if (!text || text === 'null') continue
    const written = again(path, text)
    if (written === undefined) continue
    expect(written.toString(), path).toBe(text)
    checked++
  }
  expect(checked).toBeGreaterThan(40)
})

test('registrations of all versions are read', () => {
  expect(decodeBroker(1, Buffer.from('{"version":1,"host":"h","port":9092,"jmx_port":9999,"timestamp":"1"}')).endpoints).toEqual([{ listener: 'PLAINTEXT', host: 'h', port: 9092, securityProtocol: 'PLAINTEXT' }])
  expect(decodeBroker(1, Buffer.from('{"version":3,"host":"h","port":9092,"jmx_port":9999,"timestamp":"1","endpoints":["SSL://h:1","PLAINTEXT://[::1]:2"],"rack":"r"}'))).toMatchObject({
    rack: 'r',
    endpoints: [{ listener: 'SSL', securityProtocol: 'SSL' }, { host: '::1', port: 2 }],
  })
  const named = decodeBroker(1, Buffer.from('{"version":4,"endpoints":["INSIDE://h:1"],"listener_security_protocol_map":{"INSIDE":"SASL_SSL"},"unknown":[1]}'))
  expect(named.endpoints).toEqual([{ listener: 'INSIDE', host: 'h', port: 1, securityProtocol: 'SASL_SSL' }])
  expect(JSON.parse(encodeBroker({ ...named, rack: 'r1' }).toString())).toMatchObject({ host: null, port: -1, rack: 'r1' })
})

test('topics of older releases, reassignments and recovering leaders', () => {
  expect(decodeTopic('t', Buffer.from('{"version":1,"partitions":{"1":[2],"0":[1]}}'))).toEqual({
    topicId: undefined,
    partitions: new Map([[1, { replicas: [2], adding: [], removing: [] }], [0, { replicas: [1], adding: [], removing: [] }]]),
  })
  const moving = '{"partitions":{"0":[1,2,3]},"topic_id":"w9kn2776QcC5HpZLtF_HjA","adding_replicas":{"0":[3]},"removing_replicas":{"0":[1]},"version":3}'
  expect(encodeTopic(decodeTopic('t', Buffer.from(moving))).toString()).toBe(moving)
  expect(encodePartitionState({ leader: 1, leaderEpoch: 2, isr: [1], leaderRecoveryState: 1, controllerEpoch: 3 }).toString()).toBe('{"controller_epoch":3,"leader":1,"version":1,"leader_epoch":2,"isr":[1],"leader_recovery_state":1}')
})

test('notifications: both versions of configuration changes, partitions, log dirs', () => {
  expect(decodeConfigChange('config_change_0000000003', Buffer.from('{"version":1,"entity_type":"topics","entity_name":"t"}'))).toEqual({ type: 'topics', entity: 't' })
  expect(decodeConfigChange('c', Buffer.from('{"version":2,"entity_path":"users/u/clients/c"}'))).toEqual({ type: 'users', entity: 'u/clients/c' })
  expect(() => decodeConfigChange('c', Buffer.from('{"version":2,"entity_path":"planets/x"}'))).toThrow("/config/changes/c names 'planets/x'")
  expect(decodePartitions('/p', encodePartitions([{ topic: 't', partition: 3 }]))).toEqual([{ topic: 't', partition: 3 }])
  expect(decodeLogDirEvent('/l', encodeLogDirEvent(4))).toEqual({ brokerId: 4, event: 1 })
  expect(sequenceOf('config_change_0000000042')).toBe(42)
})

test('what is no znode of its kind is named with its path', () => {
  expect(() => decodeTopic('t', Buffer.from('{"partitions":[1]}'))).toThrow("znode /brokers/topics/t has [1] where 'partitions' should be an object")
  expect(() => decodePartitionState('t', 0, null, 0)).toThrow('znode /brokers/topics/t/partitions/0/state holds no JSON: ""')
  expect(() => decodeControllerEpoch(Buffer.from('x'))).toThrow('znode /controller_epoch holds "x" in place of a number of 32 bits')
  expect(decodeProducerIds(null)).toBeUndefined()
})

test('names of users and clients in paths are escaped as by Java', () => {
  expect(sanitize("User:a b*c~d'(é)")).toBe('User%3Aa%20b%2Ac%7Ed%27%28%C3%A9%29')
  expect(desanitize('User%3Aa%20b')).toBe('User:a b')
})

import { expect, test } from 'vitest'
import { problemsOf, statusText, type ClusterStatus, type PartitionStatus } from '../../src/cli/cluster-status.ts'

const partition = (name: number, leader: number | undefined, isr: number[], minIsr = 1, replicas = [0, 1, 2]): PartitionStatus => ({ topic: 't', partition: name, leader, replicas, isr, minIsr })
const servers = (...modes: (string | undefined)[]): ClusterStatus['coordinators'] =>
  modes.map((mode, index) => ({ address: `h:${index}`, mode, ...(mode === undefined ? { trouble: `nothing listens on h:${index}` } : { zxid: '0x1', connections: index }) }))
const brokers = (...addresses: (string | undefined)[]): NonNullable<ClusterStatus['kafka']>['brokers'] => addresses.map((address, id) => ({ id, address, isController: id === 0, leads: 0, holds: 0 }))
const ensemble = servers('follower', 'leader', 'follower')
const texts = (status: ClusterStatus): string[] => problemsOf(status).map(({ text }) => text)

test('a cluster in order', () => {
  const status: ClusterStatus = { coordinators: ensemble, kafka: { controllerId: 0, brokers: brokers('a:1', 'b:1', 'c:1'), topicCount: 1, partitions: [partition(0, 1, [1, 2, 0], 2)] } }
  expect(problemsOf(status)).toEqual([])
  expect(statusText(status, [])).toBe(`ZooKeeper
  h:0  follower  zxid 0x1  0 connections
  h:1  leader    zxid 0x1  1 connection
  h:2  follower  zxid 0x1  2 connections

Brokers
  0  a:1  leads 0 of 0 replicas  controller
  1  b:1  leads 0 of 0 replicas
  2  c:1  leads 0 of 0 replicas

Partitions
  1  in 1 topic
  0  under-replicated
  0  offline
  0  under min.insync.replicas

Everything is in order.
`)
})

test.each<[string, ClusterStatus['coordinators'], RegExp[]]>([
  ['one of three', servers('leader', undefined, 'follower'), [/^ZooKeeper server h:1 does not serve: nothing listens on h:1\. The others do, but no further one may fail\./]],
  ['one of five', servers('leader', undefined, 'follower', 'follower', 'follower'), [/The others do, and 1 more may fail\./]],
  ['two of three, which the third has not noticed', servers('follower', undefined, undefined), [/^Only 1 of 3 ZooKeeper servers answers \(nothing listens on h:1; nothing listens on h:2\): nothing about the cluster can change until 1 more is back\.$/]],
  ['three of four', servers('follower', undefined, undefined, undefined), [/^Only 1 of 4 .* until 2 more are back\.$/]],
  ['all of three', servers(undefined, undefined, undefined), [/^No ZooKeeper server serves \(nothing listens on h:0; .*\): .* until 2 of the 3 are back\.$/]],
  ['the only one', servers(undefined), [/until it is back\.$/]],
  ['two that do not know of each other', servers('standalone', 'leader'), [/^h:0 \(standalone\) and h:1 \(leader\) do not belong to one ensemble/]],
  ['the leader is not named', servers('follower', 'follower'), [/the leader is not among those asked/]],
])('coordinators: %s', (_, coordinators, words) => {
  expect(texts({ coordinators, kafka: undefined })).toEqual(words.map((one) => expect.stringMatching(one)))
})

test('a broker away, partitions without leader, without enough copies, with a copy too few: each partition is told once', () => {
  const partitions = [partition(0, undefined, [2]), partition(1, 0, [0], 2), partition(2, 0, [0, 1]), partition(3, 0, [0, 1, 2]), partition(4, 0, [0], 1), partition(5, undefined, [2], 1, [2])]
  const kafka = { controllerId: undefined, brokers: brokers('a:1', 'b:1', undefined), topicCount: 1, partitions }
  expect(texts({ coordinators: ensemble, kafka })).toEqual([
    'Broker 2 is away; it holds replicas of 6 partitions. Start it again, or look at its log.',
    'No broker is controller: leaders are not elected and topics cannot change. Is ZooKeeper there, and reachable from the brokers?',
    '2 partitions have no leader and can be neither written nor read (t-0, t-5). What was in sync last is on broker 2: start it again. kafka-leader-election.sh --election-type unclean makes another replica leader, without what only those hold.',
    '1 partition has fewer replicas in sync than min.insync.replicas: writes with acks=all are refused (t-1).',
    '2 partitions are under-replicated (t-2, t-4): broker 1 is registered, but not in sync; it catches up, or its log says why not.',
  ])
  expect(texts({ coordinators: ensemble, kafka: { ...kafka, trouble: 'nobody answers' } })).toEqual(['Kafka cannot be asked: nobody answers.'])
})

test('a broker that is registered and gives no answer', () => {
  const kafka = { controllerId: 0, brokers: brokers('a:1', 'b:1'), topicCount: 1, partitions: [partition(0, 1, [1, 0], 2, [1, 0])] }
  kafka.brokers[0].trouble = 'no answer within 5000 ms'
  const status: ClusterStatus = { coordinators: ensemble, kafka }
  expect(texts(status)).toEqual(['Broker 0 is registered at a:1, but cannot be asked: no answer within 5000 ms. Look at its log, and whether its process is stopped or overloaded.'])
  expect(statusText(status, [])).toContain('\n  0  a:1  leads 0 of 0 replicas  controller, no answer\n')
})
test('what the brokers cannot say without ZooKeeper is not guessed', () => {
  const partitions = [{ ...partition(0, 0, [0]), minIsr: undefined }]
  const kafka = { controllerId: 0, brokers: brokers('a:1', 'b:1', 'c:1'), topicCount: 1, partitions }
  expect(texts({ coordinators: ensemble, kafka })).toEqual([
    'The brokers cannot say what min.insync.replicas is for 1 partition (t-0): ZooKeeper does not answer them, or a node below /config/topics is damaged; their logs say which.',
    expect.stringMatching(/^1 partition is under-replicated/),
  ])
})

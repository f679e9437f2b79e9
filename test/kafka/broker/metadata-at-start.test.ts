/** What a broker says of topics that the controller has not told it of yet, or deletes while it is asked. */
import { expect, test } from 'vitest'
import type { RequestContext } from '../../../src/kafka/broker/handler.ts'
import { metadata } from '../../../src/kafka/broker/handlers/metadata.ts'
import { MetadataCache } from '../../../src/kafka/metadata/metadata-cache.ts'
import { leaderDuringDelete } from '../../../src/kafka/metadata/partition-state-znode.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { hostOn } from '../log/bench.ts'

const endpoints = [{ listener: 'PLAINTEXT', host: 'here', port: 9092, securityProtocol: 0 }]
const partition = { partitionIndex: 0, controllerEpoch: 1, leader: 1, leaderEpoch: 0, isr: [1], zkVersion: 0, replicas: [1], offlineReplicas: [] }
function started({ topics = ['t'], autoCreate = async (names: string[]) => new Map<string, number>(names.map((name) => [name, errors.unknownTopicOrPartition.code])), cache = new MetadataCache() } = {}) {
  const host = hostOn(new SimulatedDisk())
  const context = { version: 8, listener: 'PLAINTEXT', broker: { host, metadata: cache, clusterId: 'c', topics: { autoCreate } } } as unknown as RequestContext
  const request = { topics: topics.map((name) => ({ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' })), allowAutoTopicCreation: false, includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
  const asked = Promise.resolve(metadata.answer(request, context)).then((answer) => ('topics' in (answer as object) ? (answer as unknown as { topics: { name: string; errorCode: number }[] }).topics.map(({ name, errorCode }) => [name, errorCode]) : answer))
  return { host, cache, asked }
}

const told = (cache: MetadataCache, state: object) =>
  cache.update({ controllerId: 1, liveBrokers: [{ id: 1, rack: null, endpoints }], topicStates: [{ topicName: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionStates: [state] }] } as unknown as Parameters<MetadataCache['update']>[0])

test('who asks for a topic before the controller has spoken is answered when it has', async () => {
  const { cache, asked } = started()
  told(cache, partition)
  expect(await asked).toEqual([['t', 0]])
})

test('where no controller speaks the answer comes after three seconds all the same', async () => {
  const { host, asked } = started()
  host.pass(3_000)
  expect(await asked).toEqual([['t', errors.unknownTopicOrPartition.code]])
})

test('a topic that is deleted while another one is made for who asks is answered as it was when it was asked for', async () => {
  const cache = new MetadataCache()
  told(cache, partition)
  const { asked } = started({
    cache,
    topics: ['t', 'new'],
    autoCreate: async (names) => {
      told(cache, { ...partition, leader: leaderDuringDelete })
      return new Map<string, number>(names.map((name) => [name, errors.leaderNotAvailable.code]))
    },
  })
  expect(await asked).toEqual([['t', 0], ['new', errors.leaderNotAvailable.code]])
  expect(cache.topic('t')).toBeUndefined()
})

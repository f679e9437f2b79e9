/** What a broker says of topics that the controller has not told it of yet. */
import { expect, test } from 'vitest'
import type { RequestContext } from '../../../src/kafka/broker/handler.ts'
import { metadata } from '../../../src/kafka/broker/handlers/metadata.ts'
import { MetadataCache } from '../../../src/kafka/metadata/metadata-cache.ts'
import { errors } from '../../../src/kafka/protocol/errors.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { hostOn } from '../log/bench.ts'

const endpoints = [{ listener: 'PLAINTEXT', host: 'here', port: 9092, securityProtocol: 0 }]
const partition = { partitionIndex: 0, controllerEpoch: 1, leader: 1, leaderEpoch: 0, isr: [1], zkVersion: 0, replicas: [1], offlineReplicas: [] }
function started() {
  const host = hostOn(new SimulatedDisk())
  const cache = new MetadataCache()
  const autoCreate = async (names: string[]) => new Map(names.map((name) => [name, errors.unknownTopicOrPartition.code]))
  const context = { version: 8, listener: 'PLAINTEXT', broker: { host, metadata: cache, clusterId: 'c', topics: { autoCreate } } } as unknown as RequestContext
  const request = { topics: [{ name: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], allowAutoTopicCreation: false, includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
  const asked = Promise.resolve(metadata.answer(request, context)).then((answer) => ('topics' in (answer as object) ? (answer as unknown as { topics: { name: string; errorCode: number }[] }).topics.map(({ name, errorCode }) => [name, errorCode]) : answer))
  return { host, cache, asked }
}

test('who asks for a topic before the controller has spoken is answered when it has', async () => {
  const { cache, asked } = started()
  cache.update({ controllerId: 1, liveBrokers: [{ id: 1, rack: null, endpoints }], topicStates: [{ topicName: 't', topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitionStates: [partition] }] } as unknown as Parameters<MetadataCache['update']>[0])
  expect(await asked).toEqual([['t', 0]])
})

test('where no controller speaks the answer comes after three seconds all the same', async () => {
  const { host, asked } = started()
  host.pass(3_000)
  expect(await asked).toEqual([['t', errors.unknownTopicOrPartition.code]])
})

import { afterEach, expect, test } from 'vitest'
import { AddressError, parseAddresses } from '../../../src/kafka/client/addresses.ts'
import { KafkaClient } from '../../../src/kafka/client/client.ts'
import { ConnectionError } from '../../../src/kafka/client/connection.ts'
import { listOffsets } from '../../../src/kafka/client/offsets.ts'
import { DeleteTopics } from '../../../src/kafka/protocol/delete-topics.ts'
import { DescribeGroups } from '../../../src/kafka/protocol/describe-groups.ts'
import { RefusedError } from '../../../src/kafka/protocol/errors.ts'
import { uuidZero } from '../../../src/wire/schema.ts'
import { fakeBroker, host, metadataOf, type FakeBroker } from './fake-broker.ts'

const clients: KafkaClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})
const clientOf = (servers: string, options: Partial<ConstructorParameters<typeof KafkaClient>[0]> = {}) => {
  const client = new KafkaClient({ host, bootstrapServers: servers, clientId: 't', retryBackoffMs: 1, callTimeoutMs: 60_000, ...options })
  clients.push(client)
  return client
}
const deletion = { topics: [{ name: 't', topicId: uuidZero }], timeoutMs: 1 }
const inResponses = { errorsIn: (response: { responses: { errorCode: number }[] }) => response.responses }

test('a request for the controller follows it when it has moved', async () => {
  const brokers: FakeBroker[] = []
  let controllerId = 0
  const deleted = (errorCode: number) => ({ responses: [{ name: 't', errorCode }] })
  const metadata = () => metadataOf(brokers, 't', [], controllerId)
  brokers.push(await fakeBroker({ Metadata: metadata, DeleteTopics: () => ((controllerId = 1), deleted(41)) }))
  brokers.push(await fakeBroker({ Metadata: metadata, DeleteTopics: () => deleted(0) }))
  const told: string[] = []
  const client = clientOf(brokers[0].address, { onRetry: ({ message }) => told.push(message) })
  expect((await client.call({ kind: 'controller' }, DeleteTopics, deletion, inResponses)).responses[0].errorCode).toBe(0)
  expect(brokers.map((broker) => broker.requests('DeleteTopics').length)).toEqual([1, 1])
  expect(told).toEqual(['this broker is not the controller (NOT_CONTROLLER)'])
})
test('an error that retrying does not cure is thrown at once, with the words of the broker', async () => {
  const brokers: FakeBroker[] = []
  brokers.push(await fakeBroker({ Metadata: () => metadataOf(brokers, 't', []), DeleteTopics: () => ({ responses: [{ name: 't', errorCode: 73, errorMessage: 'deletion is off' }] }) }))
  const failed = clientOf(brokers[0].address).call({ kind: 'controller' }, DeleteTopics, deletion, inResponses)
  await expect(failed).rejects.toThrow(new RefusedError(73, 'deletion is off'))
  expect(brokers[0].requests('DeleteTopics')).toHaveLength(1)
})
test('a coordinator that is not there yet is asked for again, on a connection of its own', async () => {
  let asked = 0
  const broker: FakeBroker = await fakeBroker({
    FindCoordinator: () => ({ coordinators: [asked++ === 0 ? { key: 'g', nodeId: -1, host: '', port: -1, errorCode: 15, errorMessage: null } : { key: 'g', nodeId: 0, host: '127.0.0.1', port: broker.port, errorCode: 0, errorMessage: null }] }),
    DescribeGroups: () => ({ groups: [{ errorCode: 0, groupId: 'g', groupState: 'Stable', protocolType: 'consumer', protocolData: 'range', members: [] }] }),
  })
  const answer = await clientOf(broker.address).call({ kind: 'coordinator', of: 'group', key: 'g' }, DescribeGroups, { groups: ['g'] })
  expect(answer.groups[0].groupState).toBe('Stable')
  expect(asked).toBe(2)
  expect(broker.connections).toHaveLength(2)
})
test('offsets are asked of the leaders, and again of the new one', async () => {
  const brokers: FakeBroker[] = []
  let leader = 0
  const offsets = (errorCode: number) => () => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, errorCode, offset: errorCode ? -1 : 42 }] }] })
  brokers.push(await fakeBroker({ Metadata: () => metadataOf(brokers, 't', [leader]), ListOffsets: () => ((leader = 1), offsets(6)()) }))
  brokers.push(await fakeBroker({ Metadata: () => metadataOf(brokers, 't', [leader]), ListOffsets: offsets(0) }))
  expect(await listOffsets(clientOf(brokers[0].address), [{ topic: 't', partition: 0, timestamp: -1n }])).toEqual(new Map([['t-0', 42]]))
})
test('the second bootstrap server serves when the first is down, and all are named when none is up', async () => {
  const broker: FakeBroker = await fakeBroker({ Metadata: () => metadataOf([broker], 't', [0]) })
  const dead = await host.network.listen({ host: '127.0.0.1', port: 0 }, () => {})
  await dead.close()
  expect((await clientOf(`127.0.0.1:${dead.port},${broker.address}`).metadata(['t'])).topics[0].name).toBe('t')
  const nobody = clientOf(`127.0.0.1:${dead.port},localhost:${dead.port}`, { callTimeoutMs: 20 })
  await expect(nobody.topic('t')).rejects.toThrow(/none of \S+, \S+ could be reached; the last one: no connection to .* ECONNREFUSED/)
  await expect(nobody.topic('t')).rejects.toThrow(ConnectionError)
})
test('a topic that does not come to exist is named when the time is up', async () => {
  const broker = await fakeBroker({ Metadata: () => ({ brokers: [], topics: [{ errorCode: 3, name: 'nope', partitions: [] }] }) })
  await expect(clientOf(broker.address, { callTimeoutMs: 20 }).topic('nope')).rejects.toThrow(/topic nope: no such topic or partition.*UNKNOWN_TOPIC_OR_PARTITION/)
})
test('a partition that is not there is refused by name', async () => {
  const broker: FakeBroker = await fakeBroker({ Metadata: () => metadataOf([broker], 't', [0, 0]) })
  await expect(clientOf(broker.address).leaderOf('t', 5)).rejects.toThrow('topic t has no partition 5; it has 2')
})

test('lists of servers are read as people write them', () => {
  expect(parseAddresses(' a:1, [::1]:9092 ,PLAINTEXT://b.c:65535,')).toEqual([{ host: 'a', port: 1 }, { host: '::1', port: 9092 }, { host: 'b.c', port: 65535 }])
  for (const bad of ['a', 'a:', ':1', 'a:70000', 'a:1:2', 'a b:1', '']) expect(() => parseAddresses(bad), bad).toThrow(AddressError)
})

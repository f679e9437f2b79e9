import { afterEach, expect, test } from 'vitest'
import { AlterPartitionReassignments } from '../../../src/kafka/protocol/alter-partition-reassignments.ts'
import { InitProducerId } from '../../../src/kafka/protocol/init-producer-id.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

test.each(['2.8', '3.0', '3.2', '3.5-IV0'])('a cluster whose brokers speak the protocol of %s among themselves elects, replicates, moves and gives out producer ids', async (version) => {
  brokers = await Brokers.start([1, 2, 3], { settings: { 'inter.broker.protocol.version': version } })
  await brokers.createTopic('t', { replicas: [2, 3], configs: { 'min.insync.replicas': '2' } })
  const sent: string[] = []
  const produce = async (value: string): Promise<void> => {
    sent.push(value)
    await brokers.produce('t', value)
  }
  for (let index = 0; index < 5; index++) await produce(`before ${index}`)
  await brokers.stop(2)
  await until(() => brokers.leaderOf('t') === 3)
  await brokers.start(2)
  await until(() => brokers.view('t', 0, 1)?.isr.length === 2)
  for (let index = 0; index < 5; index++) await produce(`after ${index}`)
  await brokers.ask(brokers.controllerId, AlterPartitionReassignments, 0, { timeoutMs: 60_000, topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [1, 2] }] }] })
  await until(() => brokers.leaderOf('t') === 1 && brokers.view('t', 0, 1)?.replicas.join() === '1,2')
  await produce('moved')
  expect([...new Set(await brokers.values('t'))]).toEqual(sent)
  const ids = await Promise.all([1, 2, 3].map(async (id) => {
    let producerId = -1
    await until(async () => (producerId = (await brokers.ask(id, InitProducerId, 4, { transactionalId: null, transactionTimeoutMs: 1_000, producerId: -1, producerEpoch: -1 })).producerId) >= 0)
    return producerId
  }))
  expect(new Set(ids).size).toBe(3)
})

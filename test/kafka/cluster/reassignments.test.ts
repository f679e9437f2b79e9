import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { AlterPartitionReassignments } from '../../../src/kafka/protocol/alter-partition-reassignments.ts'
import { ListPartitionReassignments } from '../../../src/kafka/protocol/list-partition-reassignments.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())
const replicasOf = (topic: string): string => (brokers.view(topic, 0, brokers.controllerId)?.replicas ?? []).join()
async function move(topic: string, replicas: number[] | null): Promise<number> {
  const answer = await brokers.ask(brokers.controllerId, AlterPartitionReassignments, 0, { timeoutMs: 60_000, topics: [{ name: topic, partitions: [{ partitionIndex: 0, replicas }] }] })
  return answer.errorCode || answer.responses[0].partitions[0].errorCode
}
const folder = (id: number, topic: string): string => join(brokers.directory, `kafka-${id}`, `${topic}-0`)

test('a partition moves to other brokers while records come: all are kept, the old copies are gone, the new ones lead', async () => {
  brokers = await Brokers.start([1, 2, 3, 4])
  await brokers.createTopic('t', { replicas: [1, 2], configs: { 'min.insync.replicas': '2' } })
  const sent: string[] = []
  const produce = async (value: string): Promise<void> => {
    sent.push(value)
    await brokers.produce('t', value)
  }
  for (let index = 0; index < 30; index++) await produce(`before ${index}`)
  expect(await move('t', [3, 4])).toBe(0)
  for (let index = 0; index < 30; index++) await produce(`meanwhile ${index}`)
  await until(() => replicasOf('t') === '3,4')
  await until(() => brokers.leaderOf('t') === 3)
  for (let index = 0; index < 5; index++) await produce(`after ${index}`)
  expect([...new Set(await brokers.values('t'))]).toEqual(sent)
  await until(() => !existsSync(folder(1, 't')) && !existsSync(folder(2, 't')))
  expect((await brokers.ask(brokers.controllerId, ListPartitionReassignments, 0, { timeoutMs: 60_000, topics: null })).topics).toEqual([])
  expect(brokers.broker(1).services.replicas.find('t', 0)).toBeUndefined()
})

test('a move survives the death of the controller; one that cannot end is taken back', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [2] })
  await brokers.createTopic('u', { replicas: [2] })
  await brokers.produce('t', 'one')
  const first = brokers.controllerId
  // The controller has not noticed yet: a broker it knows to be away would not be added.
  await brokers.cut(3)
  expect(await move('t', [3, 1])).toBe(0)
  expect(await move('u', [3])).toBe(0)
  const list = async () => (await brokers.ask(brokers.controllerId, ListPartitionReassignments, 0, { timeoutMs: 60_000, topics: null })).topics.map(({ name }) => name).sort()
  expect(await list()).toEqual(['t', 'u'])
  expect(first).toBe(1)
  await brokers.stop(1)
  await until(() => brokers.controllerId === 2)
  expect(await list()).toEqual(['t', 'u'])
  expect(await move('u', null)).toBe(0)
  await brokers.start(1)
  await brokers.expire(3)
  await until(() => !brokers.broker(2).services.metadata.brokers.has(3))
  await brokers.start(3)
  await until(() => replicasOf('t') === '3,1')
  // Broker 2 leads until it hears of the end.
  await until(() => [1, 3].includes(brokers.leaderOf('t')))
  expect(replicasOf('u')).toBe('2')
  expect(await brokers.values('t')).toEqual(['one'])
})

import { afterEach, expect, test } from 'vitest'
import { AlterPartitionReassignments } from '../../../src/kafka/protocol/alter-partition-reassignments.ts'
import { IncrementalAlterConfigs } from '../../../src/kafka/protocol/incremental-alter-configs.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

async function configure(id: number, resourceType: number, resourceName: string, configs: Record<string, string | null>): Promise<void> {
  const list = Object.entries(configs).map(([name, value]) => ({ name, value, configOperation: value === null ? 1 : 0 }))
  const { responses } = await brokers.ask(id, IncrementalAlterConfigs, 1, { validateOnly: false, resources: [{ resourceType, resourceName, configs: list }] })
  expect(responses[0]).toMatchObject({ errorCode: 0 })
}

test.each(['leader', 'follower'] as const)('a new replica is copied no faster than the bound of the %s allows; without it at once', async (side) => {
  brokers = await Brokers.start([1, 2])
  await brokers.createTopic('t', { replicas: [1] })
  const value = 'v'.repeat(400_000)
  for (let index = 0; index < 6; index++) await brokers.produce('t', value)
  const throttled = side === 'leader' ? 1 : 2
  await configure(1, 2, 't', { [`${side}.replication.throttled.replicas`]: side === 'leader' ? '0:1' : '*' })
  await configure(throttled, 4, String(throttled), { [`${side}.replication.throttled.rate`]: '10000' })
  const log = () => brokers.broker(2).services.replicas.find('t', 0)?.log.logEndOffset ?? 0
  await brokers.ask(1, AlterPartitionReassignments, 0, { timeoutMs: 60_000, topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [1, 2] }] }] })
  // One fetch may take a mebibyte: then the bound holds the rest back for a hundred seconds.
  await until(() => log() > 0)
  const first = log()
  expect(first).toBeLessThan(6)
  // Records to another topic come through while the first is held back.
  await brokers.createTopic('u', { replicas: [1, 2] })
  await brokers.produce('u', 'not held back')
  expect(log()).toBe(first)
  await configure(throttled, 4, String(throttled), { [`${side}.replication.throttled.rate`]: null })
  await until(() => log() === 6)
  await until(() => brokers.view('t', 0, 1)?.isr.length === 2)
})

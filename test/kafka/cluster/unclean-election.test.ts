import { afterEach, expect, test } from 'vitest'
import { ElectLeaders } from '../../../src/kafka/protocol/elect-leaders.ts'
import { IncrementalAlterConfigs } from '../../../src/kafka/protocol/incremental-alter-configs.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

const elections = {
  'the configuration of the topic, changed at a broker that is not controller': () => configure(2, 't'),
  'the default of the cluster, changed at a broker that is not controller': () => configure(4, ''),
  'an administrator': () => brokers.ask(brokers.controllerId, ElectLeaders, 2, { electionType: 1, topicPartitions: [{ topic: 't', partitions: [0] }], timeoutMs: 60_000 }),
}
const configure = (resourceType: number, resourceName: string) =>
  brokers.ask(3, IncrementalAlterConfigs, 1, { validateOnly: false, resources: [{ resourceType, resourceName, configs: [{ name: 'unclean.leader.election.enable', configOperation: 0, value: 'true' }] }] })

test.each(Object.entries(elections))('a partition whose only replica in sync is gone gets another leader only by %s', async (_, allow) => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [2, 3] })
  await brokers.produce('t', 'on both')
  await brokers.stop(3)
  await brokers.produce('t', 'on 2 alone')
  await brokers.kill(2)
  await until(() => brokers.view('t', 0, 1)?.leader === -1)
  await brokers.start(3)
  await until(() => brokers.view('t', 0, 3) !== undefined)
  expect(brokers.view('t', 0, 1)?.leader).toBe(-1)
  await allow()
  await until(() => brokers.leaderOf('t') === 3)
  await brokers.produce('t', 'on 3')
  expect(await brokers.values('t')).toEqual(['on both', 'on 3'])
  // The old leader cuts what the new one does not have.
  await brokers.start(2)
  await until(() => brokers.view('t', 0, 1)?.isr.length === 2)
  expect(brokers.broker(2).services.replicas.find('t', 0)?.log.logEndOffset).toBe(2)
})

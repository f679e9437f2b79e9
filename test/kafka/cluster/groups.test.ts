import { afterEach, expect, test } from 'vitest'
import { FindCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts'
import { OffsetCommit } from '../../../src/kafka/protocol/offset-commit.ts'
import { OffsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

async function coordinator(group: string, other = -1): Promise<number> {
  let id = -1
  await until(async () => {
    const answer = await brokers.ask(brokers.ids[0], FindCoordinator, 4, { keyType: 0, coordinatorKeys: [group] })
    id = answer.coordinators[0].nodeId
    return id >= 0 && id !== other && brokers.ids.includes(id)
  })
  return id
}

test('committed offsets move with their coordinator', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t')
  const first = await coordinator('g')
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: 'seven' }] }]
  // A coordinator that has just been found reads its partition first.
  await until(async () => (await brokers.ask(first, OffsetCommit, 8, { groupId: 'g', memberId: '', topics })).topics[0].partitions[0].errorCode === 0)
  await brokers.stop(first)
  const second = await coordinator('g', first)
  const ask = () => brokers.ask(second, OffsetFetch, 8, { groups: [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }] })
  await until(async () => (await ask()).groups[0].errorCode === 0)
  expect((await ask()).groups[0].topics[0].partitions[0]).toMatchObject({ committedOffset: 7, metadata: 'seven', errorCode: 0 })
})

import { afterEach, expect, test } from 'vitest'
import { FindCoordinator } from '../../../src/kafka/protocol/find-coordinator.ts'
import { OffsetCommit } from '../../../src/kafka/protocol/offset-commit.ts'
import { OffsetFetch } from '../../../src/kafka/protocol/offset-fetch.ts'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())

const coordinatorOf = async (group: string): Promise<number> => {
  const answer = await brokers.ask(brokers.ids[0], FindCoordinator, 4, { keyType: 0, coordinatorKeys: [group] })
  return answer.coordinators[0].nodeId
}
async function coordinator(group: string, other = -1): Promise<number> {
  let id = -1
  let asking = false
  await until(() => {
    if (!asking && (id < 0 || id === other || !brokers.ids.includes(id))) {
      asking = true
      void coordinatorOf(group).then((found) => {
        id = found
        asking = false
      }, () => (asking = false))
    }
    return id >= 0 && id !== other && brokers.ids.includes(id)
  })
  return id
}

test('committed offsets move with their coordinator', async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t')
  const first = await coordinator('g')
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: 'seven' }] }]
  let errorCode = -1
  for (let left = 100; errorCode !== 0 && left > 0; left--) {
    const answer = await brokers.ask(first, OffsetCommit, 8, { groupId: 'g', memberId: '', topics })
    errorCode = answer.topics[0].partitions[0].errorCode
  }
  expect(errorCode).toBe(0)
  await brokers.stop(first)
  const second = await coordinator('g', first)
  for (let left = 100; left > 0; left--) {
    const { groups } = await brokers.ask(second, OffsetFetch, 8, { groups: [{ groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }] })
    if (groups[0].errorCode !== 0 && left > 1) continue
    expect(groups[0].topics[0].partitions[0]).toMatchObject({ committedOffset: 7, metadata: 'seven', errorCode: 0 })
    break
  }
})

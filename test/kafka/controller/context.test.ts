import { expect, test } from 'vitest'
import { ControllerContext } from '../../../src/kafka/controller/controller-context.ts'
import { assigned } from '../../../src/kafka/metadata/topic-znode.ts'

test('a controller that has only had another session does not take itself for restarted', () => {
  const context = new ControllerContext()
  for (const [id, epoch] of [[1, 20n], [2, 30n], [3, 5n]] as const) context.brokers.set(id, { epoch, registration: { id, endpoints: [], rack: undefined, jmxPort: -1, timestampMs: 0 } })
  const { partitions } = context.addTopic('t', { topicId: 'l6eYaCzdRvid3t-1JT-3_g', partitions: new Map([[0, assigned([1, 2, 3])]]) })
  const partition = partitions.get(0)!
  partition.foundZxid = 10n
  partition.state = { leader: 1, leaderEpoch: 4, isr: [1, 2, 3], controllerEpoch: 1, partitionEpoch: 0, leaderRecoveryState: 0 }
  const ids = (own: number, wasTold: boolean): number[] => context.restartedUnseen(own, () => wasTold).map(({ brokerId }) => brokerId)
  expect(ids(1, false)).toEqual([1, 2])
  expect(ids(1, true)).toEqual([2])
  expect(ids(3, true)).toEqual([1, 2])
})

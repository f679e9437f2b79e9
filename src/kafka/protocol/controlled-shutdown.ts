/** ControlledShutdown: a broker asks the controller to move its leaderships away. v0 comes with request header 0. */
import { array, bigint64, int16, int32, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ControlledShutdown = api({
  key: 7, name: 'ControlledShutdown', versions: [0, 3], flexible: 3,
  request: { brokerId: int32, brokerEpoch: bigint64.since(2).or(-1n) },
  response: { errorCode: int16, remainingPartitions: array({ topicName: string, partitionIndex: int32 }) },
})
export type ControlledShutdownRequest = RequestOf<typeof ControlledShutdown>
export type ControlledShutdownResponse = ResponseOf<typeof ControlledShutdown>

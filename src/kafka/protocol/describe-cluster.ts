/** DescribeCluster. v1 asks for brokers (1) or controllers (2). */
import { array, bool, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const DescribeCluster = api({
  key: 60, name: 'DescribeCluster', versions: [0, 1], flexible: 0,
  request: { includeClusterAuthorizedOperations: bool, endpointType: int8.since(1).or(1) },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull().or(null),
    endpointType: int8.since(1).or(1),
    clusterId: string,
    controllerId: int32.or(-1),
    brokers: array({ brokerId: int32, host: string, port: int32, rack: string.orNull().or(null) }),
    clusterAuthorizedOperations: int32.or(-0x8000_0000),
  },
})
export type DescribeClusterRequest = RequestOf<typeof DescribeCluster>
export type DescribeClusterResponse = ResponseOf<typeof DescribeCluster>

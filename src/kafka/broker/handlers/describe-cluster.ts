/** DescribeCluster: brokers and controller. v1 may ask for controllers, which a ZooKeeper-mode broker does not list. */
import { DescribeCluster } from '../../protocol/describe-cluster.ts'
import { errors } from '../../protocol/errors.ts'
import { operationsOn } from '../authorized-operations.ts'
import { nodesFor } from '../endpoints.ts'
import { handler } from '../handler.ts'

const endpointTypes = { brokers: 1, controllers: 2 } as const

export const describeCluster = handler({
  api: DescribeCluster,
  refuse: (errorCode) => ({ throttleTimeMs: 0, errorCode, clusterId: '', brokers: [] }),
  answer({ includeClusterAuthorizedOperations, endpointType }, context) {
    const { broker } = context
    if (endpointType !== endpointTypes.brokers) {
      const { code, message } = endpointType === endpointTypes.controllers ? errors.mismatchedEndpointType : errors.unsupportedEndpointType
      return { throttleTimeMs: 0, errorCode: code, errorMessage: message, endpointType, clusterId: '', brokers: [] }
    }
    return {
      throttleTimeMs: 0,
      errorCode: 0,
      endpointType,
      clusterId: broker.clusterId,
      controllerId: broker.metadata.controllerId,
      brokers: nodesFor(context).map(({ nodeId, ...node }) => ({ brokerId: nodeId, ...node })),
      clusterAuthorizedOperations: includeClusterAuthorizedOperations ? operationsOn.cluster : operationsOn.notAsked,
    }
  },
})

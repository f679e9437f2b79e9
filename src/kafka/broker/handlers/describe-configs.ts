/** DescribeConfigs: values with where they come from. v0 says only whether one is a default, v1 adds synonyms, v3 types and documentation. */
import type { RequestOf, ResponseTo } from '../../protocol/api.ts'
import { DescribeConfigs } from '../../protocol/describe-configs.ts'
import { errors, type KafkaError } from '../../protocol/errors.ts'
import { configSources, type DescribedConfig } from '../../config/broker-settings.ts'
import { topicNameFault } from '../../metadata/topic-names.ts'
import { ZnodeError } from '../../metadata/znode-json.ts'
import { brokerOf, nameOfType, resourceTypes } from '../config-resources.ts'
import { handler, type RequestContext } from '../handler.ts'

type Request = RequestOf<typeof DescribeConfigs>
type Answer = ResponseTo<typeof DescribeConfigs>['results'][number]

export const describeConfigs = handler({
  api: DescribeConfigs,
  refuse: (errorCode, { resources }) => ({
    throttleTimeMs: 0,
    results: resources.map(({ resourceType, resourceName }) => ({ errorCode, errorMessage: null, resourceType, resourceName, configs: [] })),
  }),
  async answer(request, context) {
    return { throttleTimeMs: 0, results: await Promise.all(request.resources.map((resource) => describe(resource, request, context))) }
  },
})

async function describe(resource: Request['resources'][number], request: Request, { broker }: RequestContext): Promise<Answer> {
  const { resourceType, resourceName, configurationKeys } = resource
  const { settings, metadata, zookeeper } = broker
  const refused = ({ code, message }: Pick<KafkaError, 'code' | 'message'>): Answer => ({ errorCode: code, errorMessage: message, resourceType, resourceName, configs: [] })
  const found = (configs: readonly DescribedConfig[]): Answer => ({ errorCode: 0, errorMessage: '', resourceType, resourceName, configs: configs.map((config) => shown(config, request)) })
  switch (resourceType) {
    case resourceTypes.topic: {
      const fault = topicNameFault(resourceName)
      if (fault !== undefined) return refused({ code: errors.invalidTopicException.code, message: `Topic name is invalid: ${fault}` })
      if (!metadata.topic(resourceName)) return refused({ code: errors.unknownTopicOrPartition.code, message: `The topic '${resourceName}' does not exist.` })
      try {
        return found(settings.describeTopic(Object.entries(await zookeeper.entityConfig('topics', resourceName)), configurationKeys))
      } catch (error) {
        if (!(error instanceof ZnodeError)) throw error
        return refused({ code: errors.invalidConfig.code, message: `${error.message}. Correct the node, or delete it: the topic has no configuration of its own then` })
      }
    }
    case resourceTypes.broker: {
      const which = brokerOf(resourceName, broker.brokerId)
      if (typeof which !== 'string') return refused(which)
      return found(which === 'clusterDefault' ? settings.describeClusterDefault(configurationKeys) : settings.describeBroker(configurationKeys))
    }
    default:
      return refused({ code: errors.invalidRequest.code, message: `Unsupported resource type ${nameOfType(resourceType)}: this broker describes topics (2) and brokers (4)` })
  }
}

function shown({ name, value, readOnly, source, sensitive, synonyms, type, documentation }: DescribedConfig, { includeSynonyms, includeDocumentation }: Request): Answer['configs'][number] {
  return {
    name,
    value,
    readOnly,
    isDefault: source === configSources.default,
    configSource: source,
    isSensitive: sensitive,
    synonyms: includeSynonyms ? synonyms.map((synonym) => ({ name: synonym.name, value: synonym.value, source: synonym.source })) : [],
    configType: type,
    documentation: includeDocumentation ? documentation : null,
  }
}

/** Both ways of altering configurations: resource by resource, each answered by itself; one that is named twice is refused. */
import { RequestTooLargeError } from '../../zookeeper/client/errors.ts'
import { errors, type KafkaError } from '../protocol/errors.ts'
import { alterResource, type ConfigWish } from './config-resources.ts'
import type { BrokerServices } from './services.ts'

export interface AlterWish {
  readonly resourceType: number
  readonly resourceName: string
  readonly wishes: readonly ConfigWish[]
  readonly refusal?: Pick<KafkaError, 'code' | 'message'>
}
export interface AlterAnswer {
  readonly throttleTimeMs: number
  readonly responses: { errorCode: number; errorMessage: string | null; resourceType: number; resourceName: string }[]
}

export async function alterAll(broker: BrokerServices, resources: readonly AlterWish[], how: { replaceAll: boolean; validateOnly: boolean }): Promise<AlterAnswer> {
  const responses: AlterAnswer['responses'] = []
  // One after the other: two of them may read and write the same node.
  for (const { resourceType, resourceName, wishes, refusal } of resources) {
    const same = resources.filter((other) => other.resourceType === resourceType && other.resourceName === resourceName)
    const { code, message } =
      same.length > 1
        ? { code: errors.invalidRequest.code, message: 'Each resource must appear at most once' }
        : (refusal ?? (await alterResource(broker, { type: resourceType, name: resourceName }, wishes, how).catch(tooLarge)))
    responses.push({ errorCode: code, errorMessage: code === 0 ? null : message, resourceType, resourceName })
  }
  return { throttleTimeMs: 0, responses }
}
function tooLarge(error: unknown): Pick<KafkaError, 'code' | 'message'> {
  if (!(error instanceof RequestTooLargeError)) throw error
  return { code: errors.invalidConfig.code, message: error.message }
}

/** The topics in a consumer's subscription: all the coordinator ever reads of what members tell each other. */
import { Reader } from '../../wire/reader.ts'

/** The protocol type whose subscriptions can be read. */
export const consumerProtocolType = 'consumer'

/**
 * Topics of one subscription (`version:int16 topics:[string] userData:bytes …`), read as version 0, which begins every later
 * one; undefined when the bytes are something else (a client with a protocol of its own).
 */
export function subscribedTopics(subscription: Uint8Array): string[] | undefined {
  try {
    const reader = new Reader(subscription)
    if (reader.int16() < 0) return undefined
    const count = reader.claim(reader.int32(), 2)
    const topics: string[] = []
    for (let index = 0; index < count; index++) topics.push(reader.utf8(reader.int16()))
    const userDataSize = reader.int32()
    if (userDataSize >= 0) reader.skip(userDataSize)
    return topics
  } catch {
    return undefined
  }
}

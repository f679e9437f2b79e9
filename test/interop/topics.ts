/**
 * Topics, and who knows them. A controller tells brokers one after the other, and a client asks whichever it likes: what one of them has told it the next may not
 * have heard of yet.
 */
import type { Admin, ITopicConfig } from 'kafkajs'
import { Metadata, type MetadataResponse } from '../../src/kafka/protocol/metadata.ts'
import { askBroker } from './ask-broker.ts'
import { asking, kafkaAt } from './kafkajs.ts'
import { until } from './process.ts'

/** Metadata as the broker at `host:port` tells it of these topics; undefined when it does not answer. */
export async function viewOf(address: string, topics: readonly string[] = []): Promise<MetadataResponse | undefined> {
  const [host, port] = address.split(':')
  const request = { topics: topics.map((name) => ({ name })), allowAutoTopicCreation: false }
  return askBroker({ host, port: Number(port) }, Metadata, request, { version: 7, timeoutMs: 10_000 }).catch(() => undefined)
}

/** Waits until every broker at these addresses tells of a leader of every partition, of which there are at least so many. */
export async function everyoneKnows(addresses: readonly string[], topic: string, partitions = 1): Promise<void> {
  for (const address of addresses)
    await until(`${address} knows ${topic}`, async () => {
      const found = (await viewOf(address, [topic]))?.topics[0]
      return found?.errorCode === 0 && found.partitions.length >= partitions && found.partitions.every(({ leaderId, errorCode }) => leaderId >= 0 && errorCode === 0)
    })
}

/**
 * Makes topics, and waits until every broker at these addresses knows them. kafkajs gives up creating when whom it takes for the controller is not (any more), or does
 * not know of a broker yet; the one that is asked may die, or be late with its answer, after it has made them.
 */
export async function createTopics(admin: Admin, addresses: readonly string[], ...topics: readonly ITopicConfig[]): Promise<void> {
  let missing = topics
  await asking(`${topics.map(({ topic }) => topic).join(', ')}: made`, async () => {
    const there = await admin.listTopics()
    missing = missing.filter(({ topic }) => !there.includes(topic))
    if (missing.length > 0) await admin.createTopics({ waitForLeaders: false, topics: [...missing] })
  })
  for (const { topic, numPartitions = 1, replicaAssignment } of topics) await everyoneKnows(addresses, topic, replicaAssignment?.length ?? Math.max(1, numPartitions))
}

/** The same by an administrator of its own. */
export async function makeTopics(addresses: readonly string[], ...topics: readonly ITopicConfig[]): Promise<void> {
  const admin = kafkaAt(addresses).admin()
  try {
    await asking('an administrator connects', () => admin.connect())
    await createTopics(admin, addresses, ...topics)
  } finally {
    await admin.disconnect()
  }
}

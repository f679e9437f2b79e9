/** Questions to a controller that answers nothing any more, and to the one after it. */
import { expect, test } from 'vitest'
import { ControllerLink } from '../../../src/kafka/broker/controller-link.ts'
import type { Controller } from '../../../src/kafka/controller/controller.ts'
import { MetadataCache } from '../../../src/kafka/metadata/metadata-cache.ts'
import { fakeBroker, host, type FakeBroker, type Handlers, type Reaction } from '../client/fake-broker.ts'

const block = { errorCode: 0, producerIdStart: 7_000, producerIdLen: 1_000 }
const never = new Promise<Reaction>(() => {})

/** The link of broker 9, and what tells it who is controller: one of brokers 0, 1, …. An answer is waited for 20 s. */
function linkAmong(brokers: readonly FakeBroker[]): { link: ControllerLink; ruledBy: (controllerId: number) => void } {
  const metadata = new MetadataCache()
  const ruledBy = (controllerId: number): void =>
    metadata.update({
      controllerId,
      liveBrokers: brokers.map(({ port }, id) => ({ id, rack: null, endpoints: [{ listener: 'PLAINTEXT', host: '127.0.0.1', port, securityProtocol: 0 }] })),
      topicStates: [],
    } as never)
  const link = new ControllerLink(host, { brokerId: 9, controller: { isActive: false } as Controller, metadata, interBrokerListener: 'PLAINTEXT', timeoutMs: 20_000 })
  return { link, ruledBy }
}

test.each<[string, string, Handlers, string]>([
  ['a question to it', 'AllocateProducerIds', { AllocateProducerIds: () => 'silence' }, 'was closed'],
  ['a connection to it that is being made', 'ApiVersions', { ApiVersions: () => never, AllocateProducerIds: () => block }, 'broker 0 is asked no more'],
])('who is controller no more is not waited for, and the new one is asked next: %s', async (_, reached, reactions, refusal) => {
  const former = await fakeBroker(reactions)
  const next = await fakeBroker({ AllocateProducerIds: () => block })
  const { link, ruledBy } = linkAmong([former, next])
  ruledBy(0)
  const refused = expect(link.allocateProducerIds(1n)).rejects.toThrow(refusal)
  while (former.requests(reached).length === 0) await host.timers.sleep(1)
  ruledBy(1)
  await refused
  expect(await link.allocateProducerIds(1n)).toEqual({ start: 7_000, length: 1_000 })
  link.close()
})

test('other news of the cluster leaves a question where it is', async () => {
  let answer!: (reaction: Reaction) => void
  const slow = await fakeBroker({ AllocateProducerIds: () => new Promise((resolve) => (answer = resolve)) })
  const { link, ruledBy } = linkAmong([slow])
  ruledBy(0)
  const asked = link.allocateProducerIds(1n)
  while (slow.requests('AllocateProducerIds').length === 0) await host.timers.sleep(1)
  ruledBy(0)
  answer(block)
  expect(await asked).toEqual({ start: 7_000, length: 1_000 })
  expect(slow.connections).toHaveLength(1)
  link.close()
})

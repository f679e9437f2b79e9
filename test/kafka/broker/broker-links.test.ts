/** Questions to a broker that answers nothing any more, and what becomes of them when the cluster goes on without it. */
import { expect, test } from 'vitest'
import type { Host } from '../../../src/host/host.ts'
import { BrokerLinks } from '../../../src/kafka/broker/broker-links.ts'
import { MetadataCache } from '../../../src/kafka/metadata/metadata-cache.ts'
import { WriteTxnMarkers } from '../../../src/kafka/protocol/write-txn-markers.ts'
import { fakeBroker, host, type FakeBroker, type Reaction } from '../client/fake-broker.ts'

const markers = { markers: [] }

/** The links of one broker, and what tells it who is there and at which port. An answer is waited for 20 s. */
function linksAmong(on: Host = host): { links: BrokerLinks; alive: (ports: Readonly<Record<number, number>>) => void; ask: (brokerId: number) => Promise<unknown> } {
  const metadata = new MetadataCache()
  const alive = (ports: Readonly<Record<number, number>>): void =>
    metadata.update({
      controllerId: 0,
      liveBrokers: Object.entries(ports).map(([id, port]) => ({ id: Number(id), rack: null, endpoints: [{ listener: 'PLAINTEXT', host: '127.0.0.1', port, securityProtocol: 0 }] })),
      topicStates: [],
    } as never)
  const links = new BrokerLinks(on, { clientId: 'broker-9-test', metadata, interBrokerListener: 'PLAINTEXT', timeoutMs: 20_000 })
  return { links, alive, ask: (brokerId) => links.send(brokerId, WriteTxnMarkers, markers, 1) }
}
async function asked(broker: FakeBroker): Promise<void> {
  while (broker.requests('WriteTxnMarkers').length === 0) await host.timers.sleep(1)
}

test.each<[string, boolean]>([['is gone', false], ['is back at another address', true]])('a broker that %s is not waited for', async (_, isBack) => {
  const silent = await fakeBroker({ WriteTxnMarkers: () => 'silence' })
  const next = await fakeBroker({ WriteTxnMarkers: () => markers })
  const { links, alive, ask } = linksAmong()
  alive({ 1: silent.port, 2: next.port })
  const refused = expect(ask(1)).rejects.toThrow('was closed')
  await asked(silent)
  alive(isBack ? { 1: next.port, 2: next.port } : { 2: next.port })
  await refused
  expect(await ask(isBack ? 1 : 2)).toEqual(markers)
  if (!isBack) await expect(ask(1)).rejects.toThrow('broker 1 is not there')
  links.close()
})

test('nor is a connection that is being made', async () => {
  const { links, alive, ask } = linksAmong({ ...host, network: { ...host.network, connect: () => new Promise<never>(() => {}) } })
  alive({ 1: 9092 })
  const refused = expect(ask(1)).rejects.toThrow('broker 1 is not waited for any more')
  alive({})
  await refused
  links.close()
})

test('other news of the cluster leaves a question where it is', async () => {
  let answer!: (reaction: Reaction) => void
  const slow = await fakeBroker({ WriteTxnMarkers: () => new Promise((resolve) => (answer = resolve)) })
  const { links, alive, ask } = linksAmong()
  alive({ 1: slow.port })
  const told = ask(1)
  await asked(slow)
  alive({ 1: slow.port, 2: slow.port })
  answer(markers)
  expect(await told).toEqual(markers)
  expect(slow.connections).toHaveLength(1)
  links.close()
})

import { Kafka, logLevel } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { Ottla } from '../../src/ottla.ts'

let ottla: Ottla | undefined
afterEach(async () => {
  await ottla?.stop()
  ottla = undefined
})

test('a compacted topic of a client keeps the newest record of each key, and takes none without a key', async () => {
  ottla = await Ottla.start({ broker: { 'log.cleaner.backoff.ms': '50' } })
  const kafka = new Kafka({ brokers: [ottla.bootstrapServers], connectionTimeout: 30_000, logLevel: logLevel.NOTHING, retry: { retries: 30, maxRetryTime: 1_000 } })
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = Object.entries({ 'cleanup.policy': 'compact', 'segment.bytes': '1000', 'min.cleanable.dirty.ratio': '0.01' }).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ timeout: 25_000, topics: [{ topic: 'kept', configEntries }, { topic: 'whole' }] })
  await admin.disconnect()

  const producer = kafka.producer()
  // What is refused for good kafkajs would send again and again.
  const impatient = kafka.producer({ retry: { retries: 0 } })
  await Promise.all([producer.connect(), impatient.connect()])
  for (let round = 1; round <= 6; round++)
    for (let from = 0; from < 20; from += 10)
      for (const topic of ['kept', 'whole'])
        await producer.send({ topic, messages: Array.from({ length: 10 }, (_, index) => ({ key: `k${from + index}`, value: `v${round}` })) })
  await expect(impatient.send({ topic: 'kept', messages: [{ value: 'no key' }] })).rejects.toThrow()
  await Promise.all([producer.disconnect(), impatient.disconnect()])

  const { logs } = ottla.broker.services
  await expect.poll(() => logs.get('kept', 0)?.size).toBeLessThan(logs.get('whole', 0)?.size ?? 0)

  const consumer = kafka.consumer({ groupId: 'readers' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'kept', fromBeginning: true })
  const values = new Map<string, string>()
  const offsets = new Set<string>()
  await new Promise<void>((done) => {
    void consumer.run({
      eachMessage: async ({ message }) => {
        values.set(String(message.key), String(message.value))
        offsets.add(message.offset)
        if (message.offset === '119') done()
      },
    })
  })
  await consumer.disconnect()
  expect(values.size).toBe(20)
  expect(new Set(values.values())).toEqual(new Set(['v6']))
  expect(offsets.size).toBeLessThan(120)
})

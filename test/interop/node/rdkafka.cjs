/**
 * node-rdkafka's transactions: FOLDER HOST:PORT TOPIC, where FOLDER has the package and TOPIC two partitions. Prints what was told as
 * one JSON document: offsets committed with transactions, how a producer that was replaced hears of it, and what is committed.
 */
'use strict'
const { createRequire } = require('node:module')
const { join } = require('node:path')

const [folder, server, topic] = process.argv.slice(2)
const kafka = createRequire(join(folder, 'package.json'))('node-rdkafka')
const timeoutMs = 120_000
const common = { 'metadata.broker.list': server, 'log_level': 0 }

/** One call with a callback. */
const call = (object, method, ...args) => new Promise((resolve, reject) => object[method](...args, (error, result) => (error ? reject(error) : resolve(result))))
const told = ({ message, isFatal, isTxnRequiresAbort, isRetriable, code }) => ({ message, code, isFatal, isTxnRequiresAbort, isRetriable })

async function producer() {
  const client = new kafka.Producer({ ...common, 'transactional.id': topic, 'transaction.timeout.ms': timeoutMs, 'linger.ms': 0 })
  client.setPollInterval(20)
  await call(client, 'connect', {})
  await call(client, 'initTransactions', timeoutMs)
  return client
}
async function consumer(group) {
  const client = new kafka.KafkaConsumer({ ...common, 'group.id': group, 'enable.auto.commit': false, 'isolation.level': 'read_committed' }, { 'auto.offset.reset': 'earliest' })
  await call(client, 'connect', {})
  return client
}
async function send(client, name) {
  for (const partition of [0, 1]) for (let index = 0; index < 50; index++) client.produce(topic, partition, Buffer.from(`${name}-${index}`), null)
  await call(client, 'flush', timeoutMs)
}
/** Everything that is committed, in order, by partition. */
async function committed() {
  const client = await consumer(`${topic}-reader`)
  const ends = await Promise.all([0, 1].map((partition) => call(client, 'queryWatermarkOffsets', topic, partition, timeoutMs)))
  client.assign([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
  client.setDefaultConsumeTimeout(200)
  const found = { 0: [], 1: [] }
  // A position counts markers and what is aborted, too.
  while (client.position([0, 1].map((partition) => ({ topic, partition }))).some(({ partition, offset }) => !(offset >= ends[partition].highOffset)))
    for (const { partition, value } of await call(client, 'consume', 100)) found[partition].push(String(value))
  await call(client, 'disconnect')
  return found
}

async function main() {
  const member = await consumer(`${topic}-group`)
  const first = await producer()
  for (const round of [0, 1, 2, 3]) {
    await call(first, 'beginTransaction')
    await send(first, `round${round}`)
    await call(first, 'sendOffsetsToTransaction', [{ topic, partition: 0, offset: 10 + round }], member, timeoutMs)
    await call(first, round % 2 ? 'abortTransaction' : 'commitTransaction', timeoutMs)
  }
  const [{ offset }] = await call(member, 'committed', [{ topic, partition: 0 }], timeoutMs)
  await call(first, 'beginTransaction')
  await send(first, 'fenced')
  const second = await producer()
  const fenced = await call(first, 'commitTransaction', timeoutMs).then(() => 'committed', told)
  await call(second, 'beginTransaction')
  await send(second, 'second')
  await call(second, 'commitTransaction', timeoutMs)
  const values = await committed()
  const rounds = (found) => [...new Set(found.map((value) => value.split('-')[0]))]
  process.stdout.write(`${JSON.stringify({ offset, fenced, read: [rounds(values[0]), rounds(values[1])], counts: [values[0].length, values[1].length] })}\n`)
}
main().then(() => process.exit(0), (error) => {
  console.error(error)
  process.exit(1)
})

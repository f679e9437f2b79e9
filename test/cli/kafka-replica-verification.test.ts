import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaReplicaVerification } from '../../src/cli/kafka-replica-verification.ts'
import { crc32c } from '../../src/wire/crc32c.ts'
import { Brokers } from '../kafka/cluster/brokers.ts'
import { runTool } from './tool-run.ts'

let brokers: Brokers
beforeAll(async () => {
  brokers = await Brokers.start([1, 2, 3])
})
afterAll(() => brokers?.stopAll())

const list = (): string => {
  const { host, port } = brokers.broker(1).listeners[0]
  return `${host}:${port}`
}
const verify = (topic: string, until: (out: string) => boolean) =>
  runTool(kafkaReplicaVerification, ['--broker-list', list(), '--topics-include', topic, '--time', '-2', '--max-wait-ms', '100', '--report-interval-ms', '100'], { until })

test('replicas that are alike are followed to their end; a record that one has otherwise is found', async () => {
  await brokers.createTopic('alike')
  for (let index = 0; index < 5; index++) await brokers.produce('alike', `value ${index}`)
  const alike = await verify('alike', (out) => out.includes('at offset 5'))
  expect(alike.code).toBe(130)
  expect(alike.out).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}: verification process is started\n(.* max lag is \d+ .*\n)*.*: max lag is 0 for partition alike-0 at offset 5 among 1 partitions\n$/)
  expect(alike.out).not.toContain('mismatched')

  // A record of one follower is changed in its file, checksum and all: no broker can notice that.
  const follower = [1, 2, 3].find((id) => id !== brokers.leaderOf('alike'))!
  const file = join(brokers.broker(follower).services.logs.get('alike', 0)!.directory, '00000000000000000000.log')
  const bytes = readFileSync(file)
  const size = 12 + bytes.readInt32BE(8)
  bytes[size + size - 2] ^= 1
  bytes.writeUInt32BE(crc32c(bytes.subarray(size + 21, size + 12 + bytes.readInt32BE(size + 8))) >>> 0, size + 17)
  writeFileSync(file, bytes)
  const differs = await verify('alike', (out) => out.includes('at offset 5'))
  expect(differs.out).toMatch(/: partition alike-0 has mismatched checksum at offset 1; replica \d's checksum \d+; replica \d's checksum \d+\n/)
})

test('no topic, no verification', async () => {
  expect(await verify('nope', () => false)).toEqual({ code: 1, out: '', err: 'No topics found. --topics-include, if specified, is either filtering out all topics or there is no topic.\n' })
})

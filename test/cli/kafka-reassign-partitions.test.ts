import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaReassignPartitions } from '../../src/cli/kafka-reassign-partitions.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'
import { Brokers, until } from '../kafka/cluster/brokers.ts'

let brokers: Brokers
beforeAll(async () => {
  brokers = await Brokers.start([1, 2, 3])
})
afterAll(() => brokers?.stopAll())

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const { host: address, port } = brokers.broker(1).listeners[0]
  const code = await kafkaReassignPartitions(['--bootstrap-server', `${address}:${port}`, ...argv], {
    host: nodeHost({ logger: silentLogger }),
    input: (async function* () {})(),
    interactive: false,
    out: (data) => ((out += String(data)), true),
    err: (line) => void (err += `${line}\n`),
    onStop: () => {},
  })
  return { code, out, err }
}
let files = 0
function fileOf(json: unknown): string {
  const path = join(brokers.directory, `wish-${++files}.json`)
  writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json))
  return path
}
const wish = (topic: string, replicas: number[], more: object = {}): string => fileOf({ version: 1, partitions: [{ topic, partition: 0, replicas, ...more }] })
const moved = (topic: string, replicas: string): Promise<void> => until(() => brokers.ids.every((id) => brokers.view(topic, 0, id)?.replicas.join() === replicas))
const shown = (topic: string, replicas: number[]): string => JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, replicas, log_dirs: replicas.map(() => 'any') }] })
const rateOf = (id: number): number => brokers.broker(id).services.settings.values['leader.replication.throttled.rate']

test('a partition is moved, followed and verified; throttles are set for it and taken back', async () => {
  await brokers.createTopic('t', { replicas: [1, 2] })
  const file = wish('t', [2, 3])
  expect(await run('--execute', '--reassignment-json-file', file, '--throttle', '5000000')).toEqual({
    code: 0,
    err: '',
    out:
      `Current partition replica assignment\n\n${shown('t', [1, 2])}\n\nSave this to use as the --reassignment-json-file option during rollback\n` +
      'Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.\n' +
      'The inter-broker throttle limit was set to 5000000 B/s\nSuccessfully started partition reassignment for t-0\n',
  })
  await until(() => brokers.ids.every((id) => rateOf(id) === 5_000_000))
  await moved('t', '2,3')
  expect(await run('--verify', '--reassignment-json-file', file)).toEqual({
    code: 0,
    err: '',
    out: 'Status of partition reassignment:\nReassignment of partition t-0 is completed.\n\nClearing broker-level throttles on brokers 1,2,3\nClearing topic-level throttles on topic t\n',
  })
  await until(() => brokers.ids.every((id) => rateOf(id) > 5_000_000))
  expect((await run('--verify', '--preserve-throttles', '--reassignment-json-file', wish('t', [1]))).out).toBe('Status of partition reassignment:\nThere is no active reassignment of partition t-0, but replica set is 2,3 rather than 1.\n\n')
  expect((await run('--list')).out).toBe('No partition reassignments found.\n')
})

test('what moves is listed, stands in the way of another wish, and is cancelled', async () => {
  await brokers.createTopic('slow', { replicas: [1] })
  await brokers.produce('slow', 'v'.repeat(900_000))
  await brokers.produce('slow', 'w'.repeat(900_000))
  const file = wish('slow', [1, 2])
  expect((await run('--execute', '--reassignment-json-file', file, '--throttle', '1')).code).toBe(0)
  expect((await run('--list')).out).toBe('Current partition reassignments:\nslow-0: replicas: 1,2. adding: 2.\n')
  expect((await run('--verify', '--reassignment-json-file', file)).out).toBe('Status of partition reassignment:\nReassignment of partition slow-0 is still in progress.\n\n')
  const again = await run('--execute', '--reassignment-json-file', file)
  expect([again.code, again.err.slice(0, 75)]).toEqual([1, 'Cannot execute because there is an existing partition assignment.  Use --ad'])
  expect(await run('--execute', '--additional', '--reassignment-json-file', file, '--throttle', '2')).toMatchObject({ code: 0 })
  await until(() => rateOf(1) === 2)
  const cancelled = await run('--cancel', '--reassignment-json-file', file)
  expect(cancelled.out).toBe('Successfully cancelled partition reassignment for: slow-0\nNone of the specified partition moves are active.\nClearing broker-level throttles on brokers 1,2,3\nClearing topic-level throttles on topic slow\n')
  await moved('slow', '1')
  expect((await run('--cancel', '--reassignment-json-file', file, '--preserve-throttles')).out).toBe('None of the specified partition reassignments are active.\nNone of the specified partition moves are active.\n')
})

test('a proposal names the brokers asked for, and can be executed', async () => {
  await brokers.createTopic('p', { replicas: [1, 2] })
  const topics = fileOf({ version: 1, topics: [{ topic: 'p' }] })
  const { out } = await run('--generate', '--topics-to-move-json-file', topics, '--broker-list', '3,2')
  const [, current, , , proposed] = out.split('\n')
  expect(current).toBe(shown('p', [1, 2]))
  const { partitions } = JSON.parse(proposed) as { partitions: { replicas: number[] }[] }
  expect([...partitions[0].replicas].sort()).toEqual([2, 3])
  expect((await run('--execute', '--reassignment-json-file', fileOf(proposed))).code).toBe(0)
  await moved('p', partitions[0].replicas.join())
})

test.each([
  [['--list', '--verify'], 'Command must include exactly one action'],
  [['--execute'], 'Missing required argument "[reassignment-json-file]"'],
  [['--list', '--throttle', '5'], `Option "[throttle]" can't be used with action "[list]"`],
])('a command line that means nothing is refused: %s', async (argv, message) => {
  expect(await run(...argv)).toMatchObject({ code: 1, err: expect.stringContaining(message) })
})
test.each([
  ['', 'holds no JSON'],
  ['[]', 'holds no JSON object'],
  [{ version: 2 }, 'Not supported version field value 2'],
  [{ partitions: 7 }, 'should be a list of objects'],
  [{ partitions: [{ topic: 't', partition: 0 }] }, 'should have a topic, a partition and a list of replicas'],
  [{ partitions: [] }, 'Partition reassignment list cannot be empty'],
  [{ partitions: [{ topic: 't', partition: 0, replicas: [] }] }, 'Partition replica list cannot be empty'],
  [{ partitions: [{ topic: 't', partition: 0, replicas: [1, 1] }] }, 'Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1'],
  [{ partitions: [{ topic: 't', partition: 0, replicas: [1] }, { topic: 't', partition: 0, replicas: [2] }] }, 'Partition reassignment contains duplicate topic partitions: t-0'],
  [{ partitions: [{ topic: 't', partition: 0, replicas: [1, 2], log_dirs: ['any'] }] }, 'Size of replicas list [1, 2] is different from size of log dirs list [any] for partition t-0'],
  [{ partitions: [{ topic: 't', partition: 0, replicas: [9] }] }, 'Unknown broker id 9'],
  [{ partitions: [{ topic: 'nope', partition: 0, replicas: [1] }] }, 'Topic nope not found.'],
  [{ partitions: [{ topic: 't', partition: 5, replicas: [1] }] }, 'Unable to find partition: t-5'],
])('a file that cannot be carried out is refused: %j', async (json, message) => {
  expect(await run('--execute', '--reassignment-json-file', fileOf(json))).toMatchObject({ code: 1, out: '', err: expect.stringContaining(message) })
})

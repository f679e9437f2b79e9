/** kcat: librdkafka 2.0 of Debian on the command line. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeWith, unique, where } from './programs.ts'
import { run, succeed } from './process.ts'
import { brokerIds, useCluster } from './target.ts'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

describeWith(['kcat'], 'kcat', () => {
  const cluster = useCluster({ kafka: { config: { 'num.partitions': 2 } } })
  const kcat = (args: string[], input?: string) => succeed(where('kcat'), ['-b', cluster.kafka.address, ...args], input === undefined ? {} : { input })
  const produce = (topic: string, args: string[], input: string) => kcat(['-P', '-t', topic, ...args], input)
  /** Everything in a topic's partition from its beginning, formatted. */
  const consume = async (topic: string, partition: number, format: string, args: string[] = []) =>
    (await kcat(['-C', '-t', topic, '-p', String(partition), '-e', '-q', '-o', 'beginning', '-f', format, ...args])).stdout

  /**
   * Of lines `OFFSET VALUE` the former as they come, the latter sorted: what librdkafka is given before it knows the partitions it may put behind what it is given at that
   * moment, and kcat does not wait. Order is a matter of confluent-kafka's tests.
   */
  const inTurn = (text: string) => {
    const lines = text.split('\n').slice(0, -1).map((line) => /^(\S+) (.*)$/.exec(line)!)
    return { offsets: lines.map(([, offset]) => offset), values: lines.map(([, , value]) => value).toSorted() }
  }

  test('lists the broker and the controller', async () => {
    const metadata = JSON.parse((await kcat(['-L', '-J'])).stdout)
    expect(metadata.brokers.toSorted((one: { id: number }, other: { id: number }) => one.id - other.id)).toEqual(cluster.brokers.map(({ address }, index) => ({ id: index + 1, name: address })))
    expect(brokerIds).toContain(metadata.controllerid)
  })

  test.each(codecs.flatMap((codec) => ['0', '1', 'all'].map((acks) => ({ codec, acks }))))('carries 2,000 keyed records with codec $codec and acks=$acks', async ({ codec, acks }) => {
    const topic = unique('kcat')
    const lines = Array.from({ length: 2_000 }, (_, i) => `k${i}:value ${i} ${'x'.repeat(i % 100)}`)
    await produce(topic, ['-p', '1', '-K', ':', '-z', codec, '-X', `acks=${acks}`, '-X', 'linger.ms=20'], lines.map((line) => `${line}\n`).join(''))
    expect(inTurn(await consume(topic, 1, '%o %k:%s\n'))).toEqual({ offsets: lines.map((_, i) => String(i)), values: lines.toSorted() })
    expect(await consume(topic, 0, '%o %k:%s\n')).toBe('')
  })

  test('keeps null keys, empty values, tombstones and headers apart', async () => {
    const topic = unique('kcat')
    await produce(topic, ['-p', '0', '-K', ':', '-H', 'first=1', '-H', 'second=two', '-H', 'first=again'], 'a:b\n')
    await produce(topic, ['-p', '0'], 'no key\n')
    await produce(topic, ['-p', '0', '-K', ':', '-Z'], 'tombstone:\n')
    await produce(topic, ['-p', '0', '-K', ':'], 'empty:\n')
    expect(await consume(topic, 0, '%o|%K|%k|%S|%s|%h\n')).toBe('0|1|a|1|b|first=1,second=two,first=again\n1|-1||6|no key|\n2|9|tombstone|-1||\n3|5|empty|0||\n')
  })

  test('an idempotent producer writes each record once', async () => {
    const topic = unique('kcat')
    const lines = Array.from({ length: 5_000 }, (_, i) => `record ${i}`)
    await produce(topic, ['-p', '0', '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50'], lines.map((line) => `${line}\n`).join(''))
    expect(inTurn(await consume(topic, 0, '%o %s\n'))).toEqual({ offsets: lines.map((_, i) => String(i)), values: lines.toSorted() })
  })

  test('a record of 900 KB arrives byte for byte, one above message.max.bytes is refused by name', async () => {
    const topic = unique('kcat')
    const large = 'abcdefghij'.repeat(90_000)
    await produce(topic, ['-p', '0', '-D', '\\x01'], large)
    const sum = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(sum(await consume(topic, 0, '%s'))).toBe(sum(large))
    const refused = await run(where('kcat'), ['-b', cluster.kafka.address, '-P', '-t', topic, '-p', '0', '-D', '\\x01', '-X', 'message.max.bytes=3000000'], { input: large + large })
    expect(refused.stdout + refused.stderr).toContain('Message size too large')
    expect(await consume(topic, 0, '%o')).toBe('0')
  })

  test('offsets are found by time', async () => {
    const topic = unique('kcat')
    await produce(topic, ['-p', '0'], 'early\n')
    const between = Number(await consume(topic, 0, '%T')) + 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    await produce(topic, ['-p', '0'], 'late\nlater\n')
    const at = async (time: number) => (await kcat(['-Q', '-t', `${topic}:0:${time}`])).stdout.trim()
    expect(await at(-2)).toBe(`${topic} [0] offset 0`)
    expect(await at(between)).toBe(`${topic} [0] offset 1`)
    expect(await at(-1)).toBe(`${topic} [0] offset 3`)
    expect(await at(between + 3_600_000)).toBe(`${topic} [0] offset -1`)
    expect((await kcat(['-C', '-t', topic, '-p', '0', '-e', '-q', '-o', `s@${between}`, '-f', '%s\n'])).stdout).toBe('late\nlater\n')
    expect((await kcat(['-C', '-t', topic, '-p', '0', '-e', '-q', '-o', '-1', '-f', '%s\n'])).stdout).toBe('later\n')
  })

  test('a consumer waiting at the end is given a record as soon as it is written', async () => {
    const topic = unique('kcat')
    await produce(topic, ['-p', '0'], 'first\n')
    const waiting = kcat(['-C', '-t', topic, '-p', '0', '-o', 'end', '-c', '1', '-q', '-u', '-f', '%o %s', '-X', 'fetch.wait.max.ms=10000'])
    // Whether it waits already or comes later, it begins at an end: keep writing until it has one.
    let done = false
    const answered = waiting.finally(() => (done = true))
    while (!done) {
      await produce(topic, ['-p', '0'], 'next\n')
      await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 200))])
    }
    expect((await answered).stdout).toMatch(/^[1-9][0-9]* next$/)
  })

  test('a group takes over where it had stopped', async () => {
    const topic = unique('kcat')
    const group = unique('group')
    const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i}`)
    await produce(topic, [], lines(0, 100).join('\n'))
    const take = async () => {
      const { stdout } = await kcat(['-G', group, '-e', '-q', '-X', 'auto.offset.reset=earliest', '-f', '%s\n', topic])
      return stdout.split('\n').filter(Boolean).map(Number).sort((a, b) => a - b).map(String)
    }
    expect(await take()).toEqual(lines(0, 100))
    await produce(topic, [], lines(100, 130).join('\n'))
    expect(await take()).toEqual(lines(100, 130))
  })
})

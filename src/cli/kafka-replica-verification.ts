/** kafka-replica-verification.sh: reads every replica and compares them, batch by batch, up to the high watermark. */
import { KafkaClient, type TopicMetadata } from '../kafka/client/client.ts'
import { byTopic, listOffsets, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { errorByCode } from '../kafka/protocol/errors.ts'
import { Fetch } from '../kafka/protocol/fetch.ts'
import { Batch } from '../kafka/records/batch.ts'
import { uuidZero } from '../wire/schema.ts'
import { clusterClient } from './cluster-client.ts'
import { Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'
import { topicPattern } from './topic-pattern.ts'

export const verificationAbout = 'Validate that all replicas for a set of topics have the same data.'
export const verificationOptions: readonly OptionSpec[] = [
  { name: 'broker-list', takes: 'String', value: 'hostname:port,...,hostname:port', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'fetch-size', takes: 'Integer', value: 'bytes', byDefault: '1048576', help: 'Bytes asked of a partition at a time.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'max-wait-ms', takes: 'Integer', value: 'ms', byDefault: '1000', help: 'How long a broker may wait for something to answer.' },
  { name: 'report-interval-ms', takes: 'Long', value: 'ms', byDefault: '30000', help: 'How often the greatest lag is told.' },
  { name: 'time', takes: 'Long', value: 'timestamp/-1(latest)/-2(earliest)', byDefault: '-1', help: 'Where to begin.' },
  { name: 'topics-include', takes: 'String', value: 'Java regex (String)', byDefault: '.*', help: 'Topics whose whole name matches.' },
  { name: 'version', help: 'Display the version.' },
]

interface Verified extends TopicPartition {
  replicas: readonly number[]
  /** All replicas are the same below it. */
  offset: number
  highWatermark: number
}
/** A batch as a replica has it. */
interface Seen {
  baseOffset: number
  nextOffset: number
  crc: number
}

export const kafkaReplicaVerification: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, verificationAbout, verificationOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let matches: (name: string) => boolean
  try {
    options = new Options(verificationOptions, argv)
    options.require('broker-list')
    matches = topicPattern(options.value('topics-include')!)
  } catch (error) {
    return refuseCommandLine(error, verificationOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('broker-list'), clientId: 'ReplicaVerification' })
    const { topics } = await client.retrying('Metadata', () => client!.metadata(null))
    const chosen = topics.filter(({ name, errorCode }) => errorCode === 0 && matches(name!))
    if (chosen.length === 0) {
      io.err('No topics found. --topics-include, if specified, is either filtering out all topics or there is no topic.')
      return 1
    }
    return await verify(client, chosen, options, io)
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

async function verify(client: KafkaClient, topics: readonly TopicMetadata[], options: Options, io: ToolIo): Promise<number> {
  const { clock, timers } = io.host
  let exitCode: number | undefined
  io.onStop((code) => (exitCode = code))
  const say = (text: string): boolean => io.out(`${timeText(clock.now())}: ${text}\n`)
  const timestamp = BigInt(options.value('time')!)
  const places = topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex, replicaNodes }) => ({ topic: name!, partition: partitionIndex, replicas: replicaNodes })))
  const starts = await listOffsets(client, places.map(({ topic, partition }) => ({ topic, partition, timestamp })))
  const ends = timestamp < 0n ? starts : await listOffsets(client, places.map(({ topic, partition }) => ({ topic, partition, timestamp: -1n })))
  const verified: Verified[] = places.map((place) => {
    const start = starts.get(partitionName(place))!
    return { ...place, offset: start < 0 ? ends.get(partitionName(place))! : start, highWatermark: -1 }
  })
  const ids = new Map(topics.map(({ name, topicId }) => [name!, topicId]))
  const reportMs = options.number('report-interval-ms')!
  say('verification process is started')
  let reported = clock.monotonic()
  while (exitCode === undefined) {
    const found = await fetchAll(client, verified, ids, options, io)
    for (const partition of verified) compare(partition, found, say)
    if (clock.monotonic() - reported >= reportMs) {
      reported = clock.monotonic()
      const lag = ({ highWatermark, offset }: Verified): number => Math.max(0, highWatermark - offset)
      const worst = verified.reduce((most, each) => (lag(each) > lag(most) ? each : most))
      if (!say(`max lag is ${lag(worst)} for partition ${partitionName(worst)} at offset ${worst.offset} among ${verified.length} partitions`)) return 0
    }
    // Who has nothing new answers at once where a batch waits at another replica.
    await timers.sleep(Math.min(100, reportMs))
  }
  return exitCode
}

/** One fetch of each broker for all its partitions; a broker that is away is waited for. By broker and partition. */
async function fetchAll(client: KafkaClient, wanted: readonly Verified[], ids: ReadonlyMap<string, string>, options: Options, io: ToolIo): Promise<Map<string, Seen[]>> {
  const found = new Map<string, Seen[]>()
  const brokers = [...new Set(wanted.flatMap(({ replicas }) => replicas))]
  await Promise.all(brokers.map(async (id) => {
    const own = wanted.filter(({ replicas }) => replicas.includes(id))
    try {
      const connection = await client.connectionTo({ kind: 'broker', id })
      const version = connection.versionOf(Fetch, [...ids.values()].includes(uuidZero) ? 12 : undefined)
      const topics = [...byTopic(own)].map(([topic, list]) => ({ topic, topicId: ids.get(topic)!, partitions: list.map(({ partition, offset }) => ({ partition, fetchOffset: offset, partitionMaxBytes: options.number('fetch-size')! })) }))
      const maxWaitMs = options.number('max-wait-ms')!
      // A consumer's fetch of a version from which followers answer too.
      const answer = await connection.send(Fetch, { maxWaitMs, minBytes: 1, topics }, { version, timeoutMs: maxWaitMs + 30_000 })
      for (const { topic, topicId, partitions } of answer.responses)
        for (const { partitionIndex, errorCode, records, highWatermark } of partitions) {
          const name = version >= 13 ? topics.find((one) => one.topicId === topicId)?.topic : topic
          const place = own.find((one) => one.topic === name && one.partition === partitionIndex)
          if (!place) continue
          if (errorCode !== 0) io.err(`WARN broker ${id}, ${partitionName(place)}: ${errorByCode(errorCode).message} (${errorByCode(errorCode).name})`)
          else {
            place.highWatermark = Math.max(place.highWatermark, highWatermark)
            found.set(`${id} ${partitionName(place)}`, batchesIn(records ?? Buffer.alloc(0), highWatermark))
          }
        }
    } catch (error) {
      io.err(`WARN broker ${id}: ${(error as Error).message}`)
    }
  }))
  return found
}
/** The last one may be cut off; what consumers cannot read yet does not count. */
function batchesIn(bytes: Buffer, highWatermark: number): Seen[] {
  const batches: Seen[] = []
  for (let at = 0; at + 61 <= bytes.length; ) {
    const batch = new Batch(bytes, at)
    if (at + batch.size > bytes.length || batch.nextOffset > highWatermark) break
    batches.push({ baseOffset: batch.baseOffset, nextOffset: batch.nextOffset, crc: batch.crc >>> 0 })
    at += batch.size
  }
  return batches
}

/** Moves on over what all replicas have alike. A difference is told once, and what follows it is compared again. */
function compare(partition: Verified, found: ReadonlyMap<string, Seen[]>, say: (text: string) => boolean): void {
  const name = partitionName(partition)
  const copies = partition.replicas.map((id) => found.get(`${id} ${name}`)?.filter(({ nextOffset }) => nextOffset > partition.offset))
  if (copies.some((copy) => copy === undefined)) return
  const common = Math.min(...copies.map((copy) => copy!.length))
  for (let index = 0; index < common; index++) {
    const [first] = copies
    const one = first![index]
    for (const [at, copy] of copies.entries()) {
      const other = copy![index]
      if (other.baseOffset !== one.baseOffset || other.nextOffset !== one.nextOffset)
        say(`partition ${name}: replica ${partition.replicas[0]}'s offset ${one.baseOffset} doesn't match replica ${partition.replicas[at]}'s offset ${other.baseOffset}`)
      else if (other.crc !== one.crc)
        say(`partition ${name} has mismatched checksum at offset ${one.baseOffset}; replica ${partition.replicas[0]}'s checksum ${one.crc}; replica ${partition.replicas[at]}'s checksum ${other.crc}`)
    }
    partition.offset = Math.min(...copies.map((copy) => copy![index].nextOffset))
  }
}

/** `2026-01-31 12:00:00,000`, of this machine's time zone. */
function timeText(now: number): string {
  const date = new Date(now)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())},${String(date.getMilliseconds()).padStart(3, '0')}`
}

runAsProgram(import.meta.url, kafkaReplicaVerification)

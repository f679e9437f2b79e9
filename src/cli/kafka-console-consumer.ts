/** kafka-console-consumer.sh: prints the records of topics. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { Fetcher } from '../kafka/client/fetcher.ts'
import { GroupMember } from '../kafka/client/group-member.ts'
import { CorruptBatchError } from '../kafka/records/corrupt-batch-error.ts'
import { numberIn } from './client-properties.ts'
import { clusterClient, warnOnce } from './cluster-client.ts'
import { consumerAbout, consumerOptions, consumerSettings, type ConsumerSettings } from './console-consumer-options.ts'
import { Options } from './options.ts'
import { GroupPositions, SinglePartition } from './position-sources.ts'
import { RecordConsumer, type Chunk, type PositionSource } from './record-consumer.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'
import { topicPattern } from './topic-pattern.ts'
import { ZooKeeperPositions } from './zookeeper-positions.ts'

/** A topic that has just been made, or a leader that moves, takes a moment even when no record is waited for that long. */
const callTimeoutLeastMs = 3000
/** An unreachable coordinator must not keep the tool from ending. */
const leaveTimeoutMs = 5000

export const kafkaConsoleConsumer: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, consumerAbout, consumerOptions, io)
  if (shown !== undefined) return shown
  let settings: ConsumerSettings
  try {
    settings = consumerSettings(new Options(consumerOptions, argv), io.host.random)
  } catch (error) {
    return refuseCommandLine(error, consumerOptions, io)
  }
  const onTrouble = warnOnce(io)
  const client = await clusterClient(io, { ...settings, onTrouble, clientId: 'console-consumer', callTimeoutMs: settings.timeoutMs === undefined ? Infinity : Math.max(settings.timeoutMs, callTimeoutLeastMs) })
  let taken = 0
  try {
    return await consume(client, settings, io, onTrouble, (count) => (taken += count))
  } catch (error) {
    io.err(`Error processing message, terminating consumer process: ${(error as Error).message}`)
    return 1
  } finally {
    io.err(`Processed a total of ${taken} messages`)
    await client.close()
  }
}

async function consume(client: KafkaClient, settings: ConsumerSettings, io: ToolIo, onTrouble: (error: Error) => void, count: (taken: number) => void): Promise<number> {
  const { host } = io
  const { properties, readCommitted } = settings
  const source = await sourceOf(client, settings, io)
  const fetcher = new Fetcher({
    host,
    client,
    readCommitted,
    offsetReset: settings.reset,
    maxWaitMs: numberIn(properties, 'fetch.max.wait.ms'),
    minBytes: numberIn(properties, 'fetch.min.bytes'),
    maxBytes: numberIn(properties, 'fetch.max.bytes'),
    partitionMaxBytes: numberIn(properties, 'max.partition.fetch.bytes'),
    onTrouble,
  })
  const consumer = new RecordConsumer({ host, fetcher, source, readCommitted, autoCommitMs: settings.autoCommitMs, onTrouble })
  let stopCode: number | undefined
  const stop = new Promise<'stopped'>((done) =>
    io.onStop((code) => {
      stopCode = code
      done('stopped')
    }),
  )
  let left = settings.maxMessages ?? Infinity
  let idleSince = host.clock.monotonic()
  try {
    while (left > 0) {
      // Time spent on joining the group does not count as time without messages.
      const assigned = await Promise.race([consumer.assign(), stop])
      if (assigned === 'stopped') break
      if (assigned) idleSince = host.clock.monotonic()
      const waitMs = settings.timeoutMs === undefined ? Infinity : idleSince + settings.timeoutMs - host.clock.monotonic()
      if (waitMs <= 0) break
      let polled: Chunk[] | 'stopped'
      try {
        polled = await Promise.race([consumer.poll(Math.min(waitMs, 60_000)), stop])
      } catch (error) {
        if (!(error instanceof CorruptBatchError) || !settings.skipsErrors) throw error
        io.err(`Error processing message, skipping this message: ${error.message}`)
        for (const position of fetcher.positions) consumer.taken(position, position.offset + 1)
        continue
      }
      if (polled === 'stopped') break
      for (const chunk of polled) {
        if (left <= 0) break
        const records = chunk.records.slice(0, left)
        const written = show(records, settings, io)
        if (!written) {
          io.err('Unable to write to standard out, closing consumer.')
          return 0
        }
        left -= records.length
        count(records.length)
        consumer.taken(chunk, records.length < chunk.records.length ? records[records.length - 1].record.offset + 1 : chunk.nextOffset)
        idleSince = host.clock.monotonic()
      }
    }
    return stopCode ?? 0
  } finally {
    fetcher.close()
    await leave(consumer, source, io)
  }
}
/** Commits and gives up the partitions; trouble with that is told, but does not hide what came before. */
async function leave(consumer: RecordConsumer, source: PositionSource, io: ToolIo): Promise<void> {
  const leaving = (async () => {
    await consumer.commit()
    await source.close()
    return undefined
  })().catch((error: Error) => error.message)
  const trouble = await Promise.race([leaving, io.host.timers.sleep(leaveTimeoutMs).then(() => `no answer within ${leaveTimeoutMs} ms`)])
  if (trouble !== undefined) io.err(`WARN the consumer did not leave cleanly: ${trouble}`)
}

function show(records: Chunk['records'], { formatter, skipsErrors }: ConsumerSettings, io: ToolIo): boolean {
  const pieces: Uint8Array[] = []
  for (const record of records) {
    try {
      const piece = formatter(record)
      if (piece.length > 0) pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece)
    } catch (error) {
      if (!skipsErrors) throw error
      io.err(`Error processing message, skipping this message: ${(error as Error).message}`)
    }
  }
  return pieces.length === 0 || io.out(Buffer.concat(pieces))
}

async function sourceOf(client: KafkaClient, settings: ConsumerSettings, io: ToolIo): Promise<PositionSource> {
  const { host } = io
  const { topic, include, partition, properties, reset } = settings
  if (partition !== undefined) return new SinglePartition(client, { topic: topic!, partition }, settings.from)
  const topics = async (): Promise<string[]> => {
    if (topic !== undefined) {
      await client.topic(topic, { allowAutoTopicCreation: true, refresh: true })
      return [topic]
    }
    const matches = topicPattern(include!)
    const answer = await client.retrying('Metadata', () => client.metadata(null))
    const internalToo = properties.get('exclude.internal.topics') === 'false'
    return answer.topics.filter(({ name, isInternal }) => name !== null && matches(name) && (internalToo || !isInternal)).map(({ name }) => name!)
  }
  if (settings.zookeeper !== undefined) return ZooKeeperPositions.open({ host, client, connect: settings.zookeeper, groupId: settings.groupId, keepsGroup: settings.groupIsNamed, topics, reset })
  const member = new GroupMember({
    host,
    client,
    groupId: settings.groupId,
    groupInstanceId: properties.get('group.instance.id') ?? null,
    sessionTimeoutMs: numberIn(properties, 'session.timeout.ms'),
    rebalanceTimeoutMs: numberIn(properties, 'max.poll.interval.ms'),
    heartbeatIntervalMs: numberIn(properties, 'heartbeat.interval.ms'),
    assignorNames: settings.assignorNames,
  })
  return new GroupPositions({ host, client, member, topics, metadataMaxAgeMs: numberIn(properties, 'metadata.max.age.ms') ?? 300_000, reset })
}

runAsProgram(import.meta.url, kafkaConsoleConsumer)

/** kafka-console-producer.sh: sends lines of standard input to a topic. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { codecNames } from '../kafka/records/compression.ts'
import type { NewRecord } from '../kafka/records/record.ts'
import { clientProperties, numberIn, wordIn, type ClientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { LineReader, linesOf } from './line-reader.ts'
import { keyValues, OptionError, Options, type OptionSpec } from './options.ts'
import { readPropertiesFile } from './properties.ts'
import { RecordProducer } from './record-producer.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const producerAbout = 'This tool helps to read data from standard input and publish it to Kafka.'
export const producerOptions: readonly OptionSpec[] = [
  { name: 'batch-size', takes: 'Integer', value: 'size', byDefault: '16384', help: 'Bytes of records that are gathered into one batch (batch.size).' },
  { name: 'bootstrap-server', takes: 'String', value: 'server to connect to', help: 'REQUIRED unless --broker-list is given: the Kafka servers, HOST1:PORT1,HOST2:PORT2.' },
  { name: 'broker-list', takes: 'String', value: 'broker-list', help: 'DEPRECATED: the old name of --bootstrap-server, which goes first when both are given.' },
  { name: 'compression-codec', takes: 'String', value: 'compression-codec', valueIsOptional: true, help: "'none', 'gzip', 'snappy', 'lz4' or 'zstd'; 'gzip' when no value is given." },
  { name: 'help', help: 'Print usage information.' },
  { name: 'line-reader', takes: 'String', value: 'reader_class', help: 'The class that reads lines; only the default one exists here.' },
  { name: 'max-block-ms', takes: 'Long', value: 'max block on send', byDefault: '60000', help: 'How long to wait for the topic to be known (max.block.ms).' },
  { name: 'max-memory-bytes', takes: 'Long', value: 'total memory in bytes', byDefault: '33554432', help: 'How much may be queued before reading pauses (buffer.memory).' },
  { name: 'max-partition-memory-bytes', takes: 'Integer', value: 'memory in bytes per partition', byDefault: '16384', help: 'Another name for --batch-size; goes first when both are given.' },
  { name: 'message-send-max-retries', takes: 'Integer', byDefault: '3', help: 'How often a batch is sent again after a passing error (retries).' },
  { name: 'metadata-expiry-ms', takes: 'Long', value: 'metadata expiration interval', byDefault: '300000', help: 'Accepted and without effect: metadata is asked for anew when a leader has moved.' },
  { name: 'producer-property', takes: 'String', value: 'producer_prop', help: 'A setting of the producer, key=value; may be given several times.' },
  { name: 'producer.config', takes: 'String', value: 'config file', help: 'A properties file with settings of the producer; --producer-property goes first.' },
  {
    name: 'property', takes: 'String', value: 'prop',
    help: 'How lines are read, key=value; may be given several times:\n parse.key=false\n parse.headers=false\n ignore.error=false\n key.separator=\\t\n headers.delimiter=\\t\n headers.separator=,\n headers.key.separator=:\n null.marker= (a text that stands for null)\nWith parse.headers and parse.key a line is\n h1:v1,h2:v2\\tkey\\tvalue',
  },
  { name: 'reader-config', takes: 'String', value: 'config file', help: 'A properties file with what --property can say; --property goes first.' },
  { name: 'request-required-acks', takes: 'String', value: 'request required acks', byDefault: '-1', help: 'Who has to have a batch before it counts as sent: 0 nobody, 1 the leader, -1 or all the in-sync replicas.' },
  { name: 'request-timeout-ms', takes: 'Integer', value: 'request timeout ms', byDefault: '1500', help: 'How long the leader may wait for the other replicas.' },
  { name: 'retry-backoff-ms', takes: 'Long', byDefault: '100', help: 'How long to wait before sending again.' },
  { name: 'socket-buffer-size', takes: 'Integer', value: 'size', byDefault: '102400', help: 'Accepted and without effect: the operating system chooses.' },
  { name: 'sync', help: 'Send every line by itself and wait for its answer.' },
  { name: 'timeout', takes: 'Long', value: 'timeout_ms', byDefault: '1000', help: 'How long a batch may wait for more lines, ms (linger.ms).' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'REQUIRED: the topic to send to.' },
  { name: 'version', help: 'Display the version.' },
]

interface Settings {
  bootstrapServers: string
  topic: string
  sync: boolean
  reader: LineReader
  properties: ClientProperties
  producer: Omit<ConstructorParameters<typeof RecordProducer>[0], 'host' | 'client' | 'topic' | 'onError'>
}

function settingsOf(options: Options): Settings {
  options.require('topic')
  if (!options.has('bootstrap-server') && !options.has('broker-list')) throw new OptionError('Missing required argument "[bootstrap-server]"', { showsUsage: true })
  if (options.has('line-reader') && !options.value('line-reader')!.endsWith('LineMessageReader'))
    throw new OptionError(`--line-reader ${options.value('line-reader')}: Java classes cannot be loaded here; only the default reader exists`)
  const properties = clientProperties(options.value('producer.config'), keyValues(options.values('producer-property'), 'producer-property'))
  /** An option that was given, else the property, else the option's default. */
  const number = (option: string, key: string): number => (options.has(option) ? undefined : numberIn(properties, key)) ?? options.number(option)!
  const codecOption = options.has('compression-codec') ? (options.value('compression-codec') ?? 'gzip') : undefined
  const compression = wordIn(new Map([['compression.type', codecOption ?? properties.get('compression.type') ?? 'none']]), 'compression.type', codecNames)!
  const acksText = options.has('request-required-acks') ? options.value('request-required-acks')! : (properties.get('acks') ?? '-1')
  const acks = wordIn(new Map([['acks', acksText]]), 'acks', ['all', '-1', '0', '1'])!
  const readerFile = options.value('reader-config')
  const readerProperties = new Map(readerFile === undefined ? [] : readPropertiesFile(readerFile).map(({ key, value }) => [key, value]))
  for (const [key, value] of keyValues(options.values('property'), 'property')) readerProperties.set(key, value)
  const memoryOption = options.has('max-partition-memory-bytes') ? 'max-partition-memory-bytes' : 'batch-size'
  return {
    bootstrapServers: options.value('bootstrap-server') ?? options.value('broker-list')!,
    topic: options.value('topic')!,
    sync: options.has('sync'),
    reader: new LineReader(readerProperties),
    properties,
    producer: {
      acks: acks === 'all' ? -1 : (Number(acks) as -1 | 0 | 1),
      compression,
      batchSize: Math.max(1, number(memoryOption, 'batch.size')),
      lingerMs: number('timeout', 'linger.ms'),
      bufferMemory: number('max-memory-bytes', 'buffer.memory'),
      requestTimeoutMs: number('request-timeout-ms', 'request.timeout.ms'),
      maxBlockMs: number('max-block-ms', 'max.block.ms'),
      maxRequestSize: numberIn(properties, 'max.request.size') ?? 1_048_576,
      retries: number('message-send-max-retries', 'retries'),
      retryBackoffMs: number('retry-backoff-ms', 'retry.backoff.ms'),
    },
  }
}

export const kafkaConsoleProducer: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, producerAbout, producerOptions, io)
  if (shown !== undefined) return shown
  let settings: Settings
  try {
    settings = settingsOf(new Options(producerOptions, argv))
  } catch (error) {
    return refuseCommandLine(error, producerOptions, io)
  }
  const client = await clusterClient(io, {
    bootstrapServers: settings.bootstrapServers,
    clientId: 'console-producer',
    properties: settings.properties,
    callTimeoutMs: settings.producer.maxBlockMs,
  })
  try {
    return await produce(client, settings, io)
  } finally {
    await client.close()
  }
}

async function produce(client: KafkaClient, { topic, reader, sync, producer: options }: Settings, io: ToolIo): Promise<number> {
  let failures = 0
  const producer = new RecordProducer({
    ...options,
    host: io.host,
    client,
    topic,
    onError: ({ key, value }, error) => {
      failures++
      io.err(`Error when sending message to topic ${topic} with key: ${sizeText(key)}, value: ${sizeText(value)} with error: ${error.message}`)
    },
  })
  let stopCode: number | undefined
  const stop = new Promise<undefined>((done) =>
    io.onStop((code) => {
      stopCode = code
      done(undefined)
    }),
  )
  const prompt = (): boolean => io.interactive && io.out('>')
  prompt()
  const chunks = linesOf(io.input)
  let bad: Error | undefined
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), stop])
      if (next === undefined || next.done) break
      for (const line of next.value) {
        await producer.send(reader.record(line))
        if (sync) await producer.flush()
        prompt()
      }
    }
  } catch (error) {
    bad = error as Error
  }
  // What was read before goes out, whatever ended the reading.
  await producer.flush()
  if (bad) throw bad
  return failures > 0 ? 1 : (stopCode ?? 0)
}
function sizeText(part: NewRecord['key']): string {
  return part === null ? 'null' : `${part.length} bytes`
}

runAsProgram(import.meta.url, kafkaConsoleProducer)

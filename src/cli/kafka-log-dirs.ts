/** kafka-log-dirs.sh: what lies in the log directories of the brokers, as JSON. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { DescribeLogDirs, type DescribeLogDirsResponse } from '../kafka/protocol/describe-log-dirs.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { javaException } from './java-exception.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool } from './tool.ts'

export const logDirsAbout = 'This tool helps to query log directory usage on the specified brokers.'
export const logDirsOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'The server(s) to use for bootstrapping', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'broker-list', takes: 'String', value: 'Broker list', byDefault: '', help: 'The brokers to be queried, as "0,1,2"; all when none is named.' },
  { name: 'command-config', takes: 'String', value: 'Admin client property file', help: 'A properties file with settings of the client.' },
  { name: 'describe', help: 'REQUIRED: describe the log directories.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'topic-list', takes: 'String', value: 'Topic list', byDefault: '', help: 'The topics to be queried, as "topic1,topic2"; all when none is named.' },
  { name: 'version', help: 'Display the version.' },
]

const parts = (text: string): string[] => text.split(',').filter((part) => part !== '')

export const kafkaLogDirs: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, logDirsAbout, logDirsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let asked: number[]
  try {
    options = new Options(logDirsOptions, argv)
    options.require('bootstrap-server', 'describe')
    asked = [...new Set(parts(options.value('broker-list')!).map((text) => {
      if (!/^\d+$/.test(text)) throw new OptionError(`For input string: "${text}" (--broker-list takes broker ids, as in 0,1,2)`)
      return Number(text)
    }))]
  } catch (error) {
    return refuseCommandLine(error, logDirsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'log-dirs-tool', properties: clientProperties(options.value('command-config')) })
    const there = await client.retrying('Metadata', () => client!.metadata([])).then(({ brokers }) => brokers.map(({ nodeId }) => nodeId).sort((a, b) => a - b))
    const away = asked.filter((id) => !there.includes(id))
    if (away.length > 0) throw new Error(`ERROR: The given brokers do not exist from --broker-list: ${away.join(',')}. Current existent brokers: ${there.join(',')}`)
    const brokers = asked.length > 0 ? asked : there
    io.out('Querying brokers for log directories information\n')
    const topics = new Set(parts(options.value('topic-list')!))
    const described = []
    for (const id of brokers) {
      const { results } = await client.call({ kind: 'broker', id }, DescribeLogDirs, { topics: null })
      described.push({ broker: id, logDirs: results.map((result) => directory(result, topics)) })
    }
    io.out(`Received log directory information from brokers ${brokers.join(',')}\n`)
    io.out(`${JSON.stringify({ brokers: described, version: 1 })}\n`)
    return 0
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

function directory({ errorCode, logDir, topics }: DescribeLogDirsResponse['results'][number], wanted: ReadonlySet<string>): object {
  const partitions = topics.filter(({ name }) => wanted.size === 0 || wanted.has(name)).flatMap(({ name, partitions: all }) =>
    all.map(({ partitionIndex, partitionSize, offsetLag, isFutureKey }) => ({ partition: `${name}-${partitionIndex}`, size: partitionSize, offsetLag, isFuture: isFutureKey })))
  return { partitions, error: errorCode === 0 ? null : javaException(errorCode), logDir }
}

runAsProgram(import.meta.url, kafkaLogDirs)

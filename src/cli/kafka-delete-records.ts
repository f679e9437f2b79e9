/** kafka-delete-records.sh: deletes the records of partitions below given offsets. */
import { readFileSync } from 'node:fs'
import type { KafkaClient } from '../kafka/client/client.ts'
import { byLeader, byTopic, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { DeleteRecords } from '../kafka/protocol/delete-records.ts'
import { errorByCode, RefusedError } from '../kafka/protocol/errors.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { javaException } from './java-exception.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const deleteRecordsAbout = 'This tool helps to delete records of the given partitions down to the specified offset.'
export const deleteRecordsOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'server(s) to use for bootstrapping', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'command-config', takes: 'String', value: 'command config property file path', help: 'A properties file with settings of the client.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'offset-json-file', takes: 'String', value: 'Offset json file path', help: 'REQUIRED: what is to be deleted: {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}. Records below the offset go; -1: all that consumers can read.' },
  { name: 'version', help: 'Display the version.' },
]
interface Wish extends TopicPartition {
  offset: number
}

export const kafkaDeleteRecords: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, deleteRecordsAbout, deleteRecordsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  let wishes: Wish[]
  try {
    options = new Options(deleteRecordsOptions, argv)
    options.require('bootstrap-server', 'offset-json-file')
    wishes = wishesIn(options.value('offset-json-file')!)
  } catch (error) {
    return refuseCommandLine(error, deleteRecordsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'adminclient-1', properties: clientProperties(options.value('command-config')) })
    io.out('Executing records delete operation\n')
    return await remove(client, wishes, io)
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

function wishesIn(file: string): Wish[] {
  let content: { partitions?: Wish[]; version?: number }
  try {
    content = JSON.parse(readFileSync(file, 'utf8')) as typeof content
  } catch (cause) {
    throw new OptionError(cause instanceof SyntaxError ? `The input string is not a valid JSON: ${file}: ${cause.message}` : `Unable to read file ${file}: ${(cause as Error).message}`)
  }
  if ((content.version ?? 1) !== 1) throw new OptionError(`Not supported version field value ${content.version}`)
  if (!Array.isArray(content.partitions)) throw new OptionError('Missing partitions field')
  const wrong = content.partitions.find(({ topic, partition, offset }) => typeof topic !== 'string' || !Number.isSafeInteger(partition) || !Number.isSafeInteger(offset))
  if (wrong) throw new OptionError(`${file}: ${JSON.stringify(wrong)} does not name "topic", "partition" and "offset"`)
  const names = content.partitions.map(partitionName)
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
  if (twice.length > 0) throw new OptionError(`Offset json file contains duplicate topic partitions: ${twice.join(',')}`)
  return content.partitions
}

/** Each leader in one request; what one refuses does not keep the others. */
async function remove(client: KafkaClient, wishes: readonly Wish[], io: ToolIo): Promise<number> {
  const results = new Map<string, string>()
  let left = [...wishes]
  let isWrong = false
  const { topics } = await client.retrying('Metadata', () => client.metadata([...byTopic(wishes).keys()]))
  for (const one of wishes) {
    const topic = topics.find(({ name }) => name === one.topic)
    if (topic?.partitions.some(({ partitionIndex }) => partitionIndex === one.partition)) continue
    left = left.filter((other) => other !== one)
    isWrong = true
    results.set(partitionName(one), `error: ${javaException(3)}: ${topic?.errorCode === 0 ? `topic ${one.topic} has ${topic.partitions.length} partitions` : errorByCode(topic?.errorCode ?? 3).message}`)
  }
  await client.retrying('DeleteRecords', async () => {
    for (const [leader, list] of await byLeader(client, left)) {
      const request = { topics: [...byTopic(list)].map(([name, each]) => ({ name, partitions: each.map(({ partition, offset }) => ({ partitionIndex: partition, offset })) })), timeoutMs: 30_000 }
      const answer = await client.call({ kind: 'broker', id: leader }, DeleteRecords, request, { timeoutMs: 40_000 })
      for (const { name, partitions } of answer.topics)
        for (const { partitionIndex: partition, errorCode, lowWatermark } of partitions) {
          const error = errorByCode(errorCode)
          if (error.retriable) {
            client.forget({ kind: 'leader', topic: name, partition })
            throw new RefusedError(error, `${partitionName({ topic: name, partition })}: ${error.message}`)
          }
          isWrong ||= errorCode !== 0
          left = left.filter((one) => one.topic !== name || one.partition !== partition)
          results.set(partitionName({ topic: name, partition }), errorCode === 0 ? `low_watermark: ${lowWatermark}` : `error: ${javaException(errorCode)}: ${error.message}`)
        }
    }
  })
  io.out('Records delete operation completed:\n')
  for (const name of wishes.map(partitionName)) io.out(`partition: ${name}\t${results.get(name)}\n`)
  return isWrong ? 1 : 0
}

runAsProgram(import.meta.url, kafkaDeleteRecords)

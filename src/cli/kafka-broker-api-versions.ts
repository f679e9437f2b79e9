/** kafka-broker-api-versions.sh: what each broker serves, and which version this client would use. */
import type { KafkaClient } from '../kafka/client/client.ts'
import { apis } from '../kafka/protocol/apis.ts'
import { clientProperties } from './client-properties.ts'
import { clusterClient } from './cluster-client.ts'
import { Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool } from './tool.ts'

export const apiVersionsAbout = 'This tool helps to retrieve broker version information.'
export const apiVersionsOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'server(s) to use for bootstrapping', help: 'REQUIRED: the Kafka servers, HOST:PORT[,HOST:PORT...].' },
  { name: 'command-config', takes: 'String', value: 'command config property file', help: 'A properties file with settings of the client.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'version', help: 'Display the version.' },
]

const rangeText = ([low, high]: readonly [number, number]): string => (low === high ? `${low}` : `${low} to ${high}`)

export const kafkaBrokerApiVersions: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, apiVersionsAbout, apiVersionsOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  try {
    options = new Options(apiVersionsOptions, argv)
    options.require('bootstrap-server')
  } catch (error) {
    return refuseCommandLine(error, apiVersionsOptions, io)
  }
  let client: KafkaClient | undefined
  try {
    client = await clusterClient(io, { bootstrapServers: options.value('bootstrap-server'), clientId: 'admin', properties: clientProperties(options.value('command-config')) })
    await client.retrying('Metadata', () => client!.metadata([]))
    let isWrong = false
    for (const { id, host, port, rack } of [...client.brokers.values()].sort((a, b) => a.id - b.id)) {
      const broker = `${host}:${port} (id: ${id} rack: ${rack})`
      try {
        const { ranges } = await client.connectionTo({ kind: 'broker', id })
        io.out(`${broker} -> (\n${apiLines(ranges).join(',\n')}\n)\n`)
      } catch (error) {
        isWrong = true
        io.out(`${broker} -> ERROR: ${(error as Error).message}\n`)
      }
    }
    return isWrong ? 1 : 0
  } catch (error) {
    io.err((error as Error).message)
    return 1
  } finally {
    await client?.close()
  }
}

/** All that either knows, by key. */
function apiLines(ranges: ReadonlyMap<number, readonly [number, number]>): string[] {
  const known = new Map(apis.map((api) => [api.key, api] as const))
  return [...new Set([...known.keys(), ...ranges.keys()])].sort((a, b) => a - b).map((key) => {
    const api = known.get(key)
    const served = ranges.get(key)
    if (!served) return `\t${api!.name}(${key}): UNSUPPORTED`
    if (!api) return `\tUNKNOWN(${key}): ${rangeText(served)}`
    const usable = Math.min(served[1], api.versions[1])
    return `\t${api.name}(${key}): ${rangeText(served)} [usable: ${usable < Math.max(served[0], api.versions[0]) ? 'NONE' : usable}]`
  })
}

runAsProgram(import.meta.url, kafkaBrokerApiVersions)

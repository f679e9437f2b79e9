/** The command line of kafka-server-start.sh: [-daemon] FILE [--override key=value]… */
import type { PropertyEntry } from '../wire/properties.ts'
import { readOverride, readPropertiesFile } from './properties.ts'
import { UsageError } from './usage-error.ts'

export const kafkaServerUsage = 'USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*'

export interface KafkaServerOptions {
  kind: 'start'
  daemon: boolean
  file: string
  /** The file's entries, then the overrides. */
  entries: PropertyEntry[]
}

export function parseKafkaServerOptions(args: readonly string[]): KafkaServerOptions | { kind: 'help' } | { kind: 'version' } {
  if (args.length === 0) throw new UsageError(kafkaServerUsage)
  if (args.includes('--help') || args.includes('-h')) return { kind: 'help' }
  if (args.includes('--version')) return { kind: 'version' }
  let daemon = false
  let file: string | undefined
  const overrides: PropertyEntry[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]
    // -loggc and -name NAME are the JVM's; Apache's own scripts of services pass them.
    if (argument === '-daemon') daemon = true
    else if (argument === '-loggc') continue
    else if (argument === '-name') index++
    else if (argument === '--override') {
      if (args[index + 1] === undefined) throw new UsageError(`--override needs property=value\n${kafkaServerUsage}`)
      overrides.push(readOverride(args[++index]))
    } else if (argument.startsWith('--override=')) overrides.push(readOverride(argument.slice('--override='.length)))
    else if (argument.startsWith('-')) throw new UsageError(`Unknown option ${argument}\n${kafkaServerUsage}`)
    else if (file === undefined) file = argument
    else throw new UsageError(`Found non argument parameters: ${argument}\n${kafkaServerUsage}`)
  }
  if (file === undefined) throw new UsageError(`No properties file named\n${kafkaServerUsage}`)
  return { kind: 'start', daemon, file, entries: [...readPropertiesFile(file), ...overrides] }
}

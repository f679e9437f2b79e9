/** kafka-server-stop.sh: asks every broker of this user that kafka-server-start.sh started to stop cleanly. */
import { isAbsolute, join } from 'node:path'
import { parseKafkaServerOptions } from './kafka-server-options.ts'
import { processesRunning, type FoundProcess } from './processes.ts'

const usage = 'USAGE: kafka-server-stop.sh [--process-role=broker] [--node-id=N]'

function main(args: readonly string[]): number {
  let nodeId: number | undefined
  for (const argument of args) {
    const [, name, value] = /^--(process-role|node-id)=(.+)$/.exec(argument) ?? []
    if (name === 'process-role' && value === 'controller') return refuse('No kafka server to stop: no process here is a KRaft controller')
    if (name === 'node-id' && /^[0-9]+$/.test(value)) nodeId = Number(value)
    else if (!(name === 'process-role' && value === 'broker')) return refuse(`Unknown option ${argument}\n${usage}`)
  }
  const found = processesRunning('/cli/kafka-server-start.js').filter((candidate) => nodeId === undefined || brokerIdOf(candidate) === nodeId)
  if (found.length === 0) return refuse(`No kafka server to stop${nodeId === undefined ? '' : ` with broker.id ${nodeId}`}`)
  for (const { id } of found) process.kill(id, (process.env['SIGNAL'] ?? 'SIGTERM').replace(/^(?!SIG)/, 'SIG') as NodeJS.Signals)
  return 0
}

/** From the file and the overrides on its command line. */
function brokerIdOf({ arguments: words, folder }: FoundProcess): number | undefined {
  const script = words.findIndex((word) => word.endsWith('/cli/kafka-server-start.js'))
  const args = words.slice(script + 1).map((word) => (folder !== undefined && !word.startsWith('-') && !isAbsolute(word) && !word.includes('=') ? join(folder, word) : word))
  try {
    const options = parseKafkaServerOptions(args)
    if (options.kind !== 'start') return undefined
    const entry = options.entries.findLast(({ key }) => key === 'broker.id' || key === 'node.id')
    return entry && Number(entry.value)
  } catch {
    return undefined // Its file is gone or unreadable: without a number it is not the one that was asked for.
  }
}

function refuse(sentence: string): number {
  process.stderr.write(`${sentence}\n`)
  return 1
}

process.exitCode = main(process.argv.slice(2))

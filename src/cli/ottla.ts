/** The `ottla` command. */
import { nearest } from '../kafka/config/near.ts'
import { fail } from './failure.ts'
import { commands, helpText } from './help.ts'
import { parseUpOptions } from './up-options.ts'
import { shapeOf } from './up-shape.ts'
import { packageVersion } from './version.ts'

async function main([command, ...args]: readonly string[]): Promise<void> {
  if (command === undefined || command === 'help' || command === '--help' || command === '-h') return void process.stdout.write(helpText())
  if (command === 'version' || command === '--version') return void process.stdout.write(`${packageVersion()}\n`)
  if (command === 'up') {
    if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(helpText())
    const options = parseUpOptions(args)
    const shape = shapeOf(options)
    if (shape === undefined) return (await import('./up.ts')).up(options)
    return (await import('./up-cluster.ts')).upCluster(options, shape)
  }
  if (command === 'status') {
    if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(helpText())
    const [{ status }, { runTool }] = await Promise.all([import('./status.ts'), import('./tool.ts')])
    return runTool(status, args)
  }
  const near = nearest(command, commands.map(({ name }) => name))
  process.stderr.write(`Unknown command ${command}${near ? `; did you mean ${near}?` : '; `ottla help` shows what there is'}\n`)
  process.exitCode = 1
}

main(process.argv.slice(2)).catch((error: unknown) => fail(error, { portOption: '--kafka-port and --zookeeper-port', folderOption: '--data-dir' }))

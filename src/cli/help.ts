/** What `ottla help` prints. */
import { statusOptions } from './status-options.ts'
import { upOptions } from './up-options.ts'

export interface Command {
  name: string
  about: string
}
export const commands: readonly Command[] = [
  { name: 'up', about: 'start a Kafka broker and its ZooKeeper in this process, or a cluster of processes, until Ctrl-C' },
  { name: 'status', about: 'show servers, brokers, leaders and what is wrong; ends with 1 when something is' },
  { name: 'help', about: 'show this' },
  { name: 'version', about: 'show the version' },
]

export function helpText(): string {
  const options = Object.entries(upOptions).map(([name, { value, about }]) => [value === undefined ? name : `${name} ${value}`, about])
  return `Usage: ottla COMMAND [OPTION]…

Commands
${columns(commands.map(({ name, about }) => [name, about]))}

Options of up
${columns(options)}

Options of status
${columns(statusOptions.map(({ name, takes, value, help, byDefault }) => [takes ? `--${name} ${(value ?? takes).toUpperCase()}` : `--${name}`, `${help}${byDefault === undefined ? '' : ` (default: ${byDefault})`}`]))}

Tools with Apache's names lie beside this one: kafka-topics.sh, kafka-configs.sh, kafka-consumer-groups.sh, zkCli.sh, zkServer.sh and
the others of docs/tools.md, and what starts and stops servers: kafka-server-start.sh, zookeeper-server-start.sh and their -stop.sh.
`
}

function columns(rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

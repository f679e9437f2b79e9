/** The options of `ottla up`, as a table: parsing, help and suggestions read it. */
import { nearest } from '../kafka/config/near.ts'
import type { PropertyEntry } from '../wire/properties.ts'
import { readOverride } from './properties.ts'
import { UsageError } from './usage-error.ts'

export interface UpOptions {
  dataDir: string
  kafkaPort: number
  zookeeperPort: number
  /** Address to listen on; '': every interface. */
  host: string
  /** HOST:PORT told to clients instead of the local address of their connection. */
  advertise: string | undefined
  overrides: PropertyEntry[]
  verbose: boolean
  /** Servers as processes of their own; undefined: not asked for. */
  brokers: number | undefined
  coordinators: number | undefined
  /** A server that ended is started again. */
  restart: boolean
}

interface Option {
  /** What stands after the name, or undefined for a switch. */
  value?: string
  about: string
  set(options: UpOptions, value: string): void
}

export const upOptions: Readonly<Record<string, Option>> = {
  '--data-dir': { value: 'DIR', about: 'folder for everything that is kept (default: ./data)', set: (options, value) => (options.dataDir = value) },
  '--kafka-port': { value: 'N', about: 'port of the broker (default: 9092; 0: any free port)', set: (options, value) => (options.kafkaPort = port('--kafka-port', value)) },
  '--zookeeper-port': { value: 'N', about: 'port of ZooKeeper (default: 2181; 0: any free port)', set: (options, value) => (options.zookeeperPort = port('--zookeeper-port', value)) },
  '--host': { value: 'ADDRESS', about: 'address to listen on (default: every interface)', set: (options, value) => (options.host = value) },
  '--advertise': { value: 'HOST:PORT', about: 'address told to clients, for what translates addresses (default: the one they came to)', set: (options, value) => (options.advertise = address(value)) },
  '--override': { value: 'KEY=VALUE', about: 'a broker configuration, as in server.properties; may be repeated', set: (options, value) => options.overrides.push(readOverride(value)) },
  '--brokers': { value: 'N', about: 'so many brokers, as supervised processes with ports from --kafka-port on (default: 1; 0 with --coordinators alone)', set: (options, value) => (options.brokers = count('--brokers', value, 0)) },
  '--coordinators': { value: 'N', about: 'a ZooKeeper ensemble of so many servers, as supervised processes with ports from --zookeeper-port on (default: 1)', set: (options, value) => (options.coordinators = count('--coordinators', value, 1)) },
  '--no-restart': { about: 'a supervised process that ends is not started again', set: (options) => (options.restart = false) },
  '--verbose': { about: 'log what happens, not only what goes wrong', set: (options) => (options.verbose = true) },
}

export function parseUpOptions(args: readonly string[]): UpOptions {
  const options: UpOptions = { dataDir: 'data', kafkaPort: 9092, zookeeperPort: 2181, host: '', advertise: undefined, overrides: [], verbose: false, brokers: undefined, coordinators: undefined, restart: true }
  for (let index = 0; index < args.length; index++) {
    const [, name, inline] = /^(--[^=]+)(?:=(.*))?$/s.exec(args[index]) ?? []
    const option = name !== undefined && Object.hasOwn(upOptions, name) ? upOptions[name] : undefined
    if (name === undefined || option === undefined) throw new UsageError(unknownOption(args[index], name))
    if (option.value === undefined) {
      if (inline !== undefined) throw new UsageError(`${name} takes no value`)
      option.set(options, '')
      continue
    }
    const value = inline ?? args[++index]
    if (value === undefined || (inline === undefined && value.startsWith('--'))) throw new UsageError(`${name} needs a value: ${name} ${option.value}`)
    option.set(options, value)
  }
  return options
}

function unknownOption(argument: string, name: string | undefined): string {
  const near = name === undefined ? undefined : nearest(name, Object.keys(upOptions))
  return `Unknown ${name === undefined ? 'argument' : 'option'} ${name ?? argument}${near ? `; did you mean ${near}?` : '; `ottla help` shows what there is'}`
}

/** What one machine and its ports can hold. */
const countMax = 99
function count(name: string, value: string, least: number): number {
  const number = /^[0-9]{1,3}$/.test(value) ? Number(value) : NaN
  if (!(number >= least && number <= countMax)) throw new UsageError(`${name} ${value}: a number between ${least} and ${countMax} is wanted`)
  return number
}
function port(name: string, value: string): number {
  const number = /^[0-9]{1,5}$/.test(value) ? Number(value) : NaN
  if (!(number <= 65535)) throw new UsageError(`${name} ${value}: a port between 0 and 65535 is wanted`)
  return number
}
function address(value: string): string {
  const match = /^(?:\[[0-9a-fA-F:.%]+\]|[^:\s]+):([0-9]{1,5})$/.exec(value)
  if (!match || !(Number(match[1]) >= 1 && Number(match[1]) <= 65535)) throw new UsageError(`--advertise ${value}: HOST:PORT is wanted, as clients reach it`)
  return value
}

/** Reads zoo.cfg for a server, and the little of it that scripts need to find a server. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, parseZooCfg, type ParsedConfig } from '../zookeeper/server/config.ts'
import { parseProperties } from '../wire/properties.ts'
import { propertiesOfFlags } from './jvm-flags.ts'
import { UsageError } from './usage-error.ts'

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'does not exist' : code === 'EISDIR' ? 'is a folder' : code === 'EACCES' ? 'may not be read by this user' : (cause as Error).message
    throw new UsageError(`The configuration file ${file} ${reason}. Name a zoo.cfg that can be read (config/zoo.cfg is a sample)`, { cause })
  }
}

/** The configuration in the file; `-D` flags of the environment count where the file says nothing, as for Apache's server. */
export function readServerConfig(file: string, environment: Readonly<Record<string, string | undefined>>): ParsedConfig {
  const text = readText(file)
  const said = new Set(parseProperties(text).map(({ key }) => key.replace(/^zookeeper\./, '')))
  const flags = propertiesOfFlags(environment).filter(({ key }) => !said.has(key))
  const lineCount = text.split(/\r\n|\n|\r/).length
  const whole = [text, ...flags.map(({ key, value }) => `${key}=${value.replaceAll('\\', '\\\\')}`)].join('\n')
  // What follows the file's own lines was said elsewhere.
  const named = (message: string): string =>
    message.replace(/^.* line (\d+):/, (found, line: string) => {
      const flag = flags[Number(line) - lineCount - 1]
      return flag ? `${flag.variable}:` : found
    })
  try {
    const { config, notices } = parseZooCfg(whole, file, readText)
    return { config, notices: notices.map(named) }
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(named(error.message), { cause: error })
    throw error
  }
}

/** Where a server with this file is found. What is wrong in the file otherwise must not keep anybody from stopping it. */
export interface ServerPlace {
  readonly dataDir: string | undefined
  readonly clientPort: number | undefined
  readonly clientAddress: string
}
export function readServerPlace(file: string): ServerPlace {
  const values = new Map(parseProperties(readText(file)).map(({ key, value }) => [key, value]))
  let clientPort = numberOf(values.get('clientPort'))
  let clientAddress = values.get('clientPortAddress')
  const dynamic = values.get('dynamicConfigFile')
  // A server line may carry the client's part behind a semicolon: `server.1=host:2888:3888;[host:]2181`.
  const lines = [...values, ...(dynamic ? parseProperties(readText(dynamic)).map(({ key, value }) => [key, value] as const) : [])]
  const servers = lines.filter(([key]) => /^server\.\d+$/.test(key))
  const own = servers.length === 1 ? servers[0] : servers.find(([key]) => key === `server.${ownNumber(values.get('dataDir'))}`)
  const client = own ? /;(?:(.*):)?(\d+)$/.exec(own[1]) : null
  if (clientPort === undefined && client) {
    clientPort = Number(client[2])
    clientAddress ??= client[1]
  }
  return { dataDir: values.get('dataDir'), clientPort, clientAddress: !clientAddress || clientAddress === '0.0.0.0' || clientAddress === '::' ? 'localhost' : clientAddress }
}
const numberOf = (text: string | undefined): number | undefined => (text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined)
/** What `myid` says, if it is there. */
function ownNumber(dataDir: string | undefined): string | undefined {
  try {
    return dataDir === undefined ? undefined : readFileSync(join(dataDir, 'myid'), 'latin1').trim()
  } catch {
    return undefined
  }
}

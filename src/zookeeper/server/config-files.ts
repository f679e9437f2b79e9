/**
 * Where the members of an ensemble stand once they can change (reference §2.3): next to `zoo.cfg`, which then only names them.
 *
 *   zoo.cfg                    static settings, and `dynamicConfigFile=` the file below
 *   zoo.cfg.dynamic.<version>  the configuration in force; its version is the zxid of its transaction, in hexadecimal
 *   zoo.cfg.dynamic.next       proposed and not known to be in force
 *   zoo.cfg.bak                zoo.cfg as it was when the server lines stood in it
 */
import { resolve } from 'node:path'
import type { Disk } from '../../host/host.ts'
import { parseProperties } from '../../wire/properties.ts'
import type { ConfigKeeper } from '../zab/configurations.ts'
import { formatDynamicFile, parseQuorumConfig, QuorumConfigError, type QuorumConfig } from '../zab/quorum-config.ts'
import { ConfigError } from './config-error.ts'

const durable = { durable: true, temporarySuffix: '.tmp' } as const

export class ConfigFiles implements ConfigKeeper {
  readonly #disk: Disk
  readonly #file: string
  readonly #serverId: number

  /** `file`: zoo.cfg. */
  constructor(disk: Disk, file: string, serverId: number) {
    this.#disk = disk
    this.#file = file
    this.#serverId = serverId
  }

  get #next(): string {
    return `${this.#file}.dynamic.next`
  }
  /** Keeps zoo.cfg as it is, before it is rewritten for the first time. */
  async backUp(): Promise<void> {
    await this.#disk.replaceFile(`${this.#file}.bak`, await this.#disk.readFile(this.#file), durable)
  }
  /** The configuration that was proposed when the server stopped. Rejects with ConfigError where the file cannot be understood. */
  async readSeen(): Promise<QuorumConfig | undefined> {
    if (!(await this.#disk.facts(this.#next))) return undefined
    try {
      return parseQuorumConfig((await this.#disk.readFile(this.#next)).toString('utf8'))
    } catch (error) {
      if (!(error instanceof QuorumConfigError)) throw error
      throw new ConfigError(`${this.#next}: ${error.message}. It holds a proposed configuration of the ensemble; restore it, or remove it if the reconfiguration has ended`, { cause: error })
    }
  }

  async writeSeen(config: QuorumConfig): Promise<void> {
    await this.#disk.replaceFile(this.#next, formatDynamicFile(config, true), durable)
  }
  async removeSeen(): Promise<void> {
    if (await this.#disk.facts(this.#next)) await this.#disk.remove(this.#next)
  }
  async write(config: QuorumConfig): Promise<void> {
    const dynamicFile = resolve(`${this.#file}.dynamic.${config.version.toString(16)}`)
    await this.#disk.replaceFile(dynamicFile, formatDynamicFile(config), durable)
    const text = (await this.#disk.readFile(this.#file)).toString('utf8')
    await this.#disk.replaceFile(this.#file, staticLines(text, dynamicFile, config.servers.get(this.#serverId)?.client !== undefined), durable)
  }
}

/** zoo.cfg without what the dynamic file says. */
export function staticLines(text: string, dynamicFile: string, isClientPortDynamic: boolean): string {
  const isMoved = (key: string): boolean => /^(server\.|group|weight|dynamicConfigFile|peerType)/.test(key) || (isClientPortDynamic && key.startsWith('clientPort') && !key.startsWith('clientPortListen'))
  const values = new Map<string, string>()
  for (const { key, value } of parseProperties(text)) if (!isMoved(key)) values.set(key, value.trim())
  values.set('dynamicConfigFile', dynamicFile)
  return [...values].map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`).join('')
}

/** `/config/<type>/<entity>` and the notifications in `/config/changes` (reference §1.7). */
import { configTypes, paths, type ConfigType } from './znode-paths.ts'
import { asInteger, asObject, asText, encodeZnode, parseZnode, ZnodeError } from './znode-json.ts'

/** The entity name that stands for all entities of its type. */
export const defaultEntity = '<default>'
export type ConfigOverrides = Readonly<Record<string, string>>

export function encodeEntityConfig(overrides: ConfigOverrides): Buffer {
  return encodeZnode({ version: 1, config: overrides })
}
/** No data means no overrides. */
export function decodeEntityConfig(path: string, data: Uint8Array | null): Record<string, string> {
  if (data === null || data.length === 0) return {}
  const json = parseZnode(path, data)
  if (asInteger(path, 'version', json.version) !== 1) throw new ZnodeError(path, `has version ${JSON.stringify(json.version)}; 1 is known`)
  return Object.fromEntries(Object.entries(asObject(path, "'config'", json.config)).map(([key, value]) => [key, typeof value === 'string' ? value : asText(path, key, value)]))
}

export interface ConfigChange {
  readonly type: ConfigType
  /** As in the path: `t1`, `1`, `<default>`, `u/clients/c`. */
  readonly entity: string
}
export function encodeConfigChange({ type, entity }: ConfigChange): Buffer {
  return encodeZnode({ version: 2, entity_path: `${type}/${entity}` })
}
/** Version 2, and version 1 of Kafka 0.9. */
export function decodeConfigChange(name: string, data: Uint8Array | null): ConfigChange {
  const path = `${paths.configChanges}/${name}`
  const json = parseZnode(path, data)
  const text = json.version === 1 ? `${asText(path, 'entity_type', json.entity_type)}/${asText(path, 'entity_name', json.entity_name)}` : asText(path, 'entity_path', json.entity_path)
  const slash = text.indexOf('/')
  const type = text.slice(0, slash) as ConfigType
  if (slash <= 0 || slash === text.length - 1 || !configTypes.includes(type)) throw new ZnodeError(path, `names '${text}', which is no entity of ${configTypes.join(', ')}`)
  return { type, entity: text.slice(slash + 1) }
}

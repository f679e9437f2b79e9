/** zoo.cfg: read against the table of keys; what is wrong is refused with key, value, range, file and line. */
import type { StoreConfig } from '../storage/store.ts'
import { isQuorumKey, type QuorumConfig, type QuorumLine } from '../zab/quorum-config.ts'
import { ConfigError } from './config-error.ts'
import { readMembership, type EnsembleConfig } from './config-ensemble.ts'
import { configKeys, ensembleKeys, ensembleRefusalOf, isRefusedKey, quietKeys, refusalOf, type ConfigKey, type ConfigName } from './config-table.ts'
import { parseProperties, type PropertyEntry } from '../../wire/properties.ts'

export { ConfigError, type EnsembleConfig }

/** What a server is started with. Times in ms, sizes in bytes. */
export interface ZooKeeperConfig {
  readonly store: Partial<StoreConfig> & { readonly dataDir: string }
  /** What the server lines say; undefined: this server is alone. */
  readonly ensemble: EnsembleConfig | undefined
  /** 0 takes any free port; also where the own server line of an ensemble says the port. */
  readonly clientPort: number
  /** undefined: all addresses. */
  readonly clientPortAddress: string | undefined
  readonly clientPortListenBacklog: number
  readonly tickTime: number
  readonly minSessionTimeout: number
  readonly maxSessionTimeout: number
  readonly maxClientCnxns: number
  readonly maxCnxns: number
  readonly globalOutstandingLimit: number
  readonly requestSizeMax: number
  readonly requestBytesMax: number
  readonly sessionlessTimeout: number
  readonly digestEnabled: boolean
  readonly closeSessionPaths: boolean
  readonly extendedTypes: boolean
  readonly emulate353: boolean
  readonly containers: { readonly checkIntervalMs: number; readonly maxPerMinute: number; readonly neverUsedMs: number }
  readonly skipACL: boolean
  readonly enforceQuota: boolean
  readonly superDigest: string
  /** Schemes of which a connection needs one; undefined: none. */
  readonly enforcedSchemes: readonly string[] | undefined
  readonly reconfigEnabled: boolean
  /** Words that are answered; '*' alone: all. */
  readonly fourLetterWords: ReadonlySet<string>
  readonly admin: { readonly enabled: boolean; readonly address: string; readonly port: number; readonly commandUrl: string }
}

/** A configuration in code, for embedding and tests: only what differs from the defaults. */
export function zooKeeperConfig(values: { readonly [K in ConfigName]?: string | number | boolean } & { readonly dataDir: string }): ZooKeeperConfig {
  return build(new Map(Object.entries(values).map(([key, value]) => [key, { text: String(value), where: key }])))
}

export interface ParsedConfig {
  readonly config: ZooKeeperConfig
  /** One quiet line for each key that means nothing here. */
  readonly notices: readonly string[]
}
/**
 * Throws ConfigError. `read` answers the text of another file that this one names (dynamicConfigFile). With it, `file` is the path of zoo.cfg;
 * without, it is for messages alone.
 */
export function parseZooCfg(text: string, file: string, read?: (path: string) => string): ParsedConfig {
  const values = new Map<string, Value>()
  const notices: string[] = []
  const lines: QuorumLine[] = []
  const misfits: string[] = []
  const idle: string[] = []
  for (const { key, value: written, line } of entriesOf(text, file)) {
    // Apache's server trims what stands in zoo.cfg.
    const value = written.trim()
    const where = `${file} line ${line}`
    // A property for the JVM may be written with its prefix.
    const name = key.startsWith('zookeeper.') ? key.slice('zookeeper.'.length) : key
    const refusal = refusalOf(name, value)
    if (refusal !== undefined) throw new ConfigError(`${where}: ${key}=${value} is refused: ${refusal}. Remove the line to start without it`)
    const misfit = ensembleRefusalOf(name, value)
    if (misfit !== undefined) misfits.push(`${where}: ${key}=${value} is refused in an ensemble: ${misfit}. Remove the line to start without it`)
    if (isQuorumKey(name)) lines.push({ key: name, value, where })
    else if (name in configKeys) {
      values.set(name, { text: value, where })
      if (ensembleKeys.has(name) && name !== 'initLimit' && name !== 'syncLimit') idle.push(`${where}: ${key} has no effect here`)
    } else if (!isRefusedKey(name) && !quietKeys.some((quiet) => quiet.test(name))) notices.push(`${where}: ${key} is unknown and has no effect`)
    else notices.push(`${where}: ${key} has no effect here`)
  }
  if (!values.get('dataDir')?.text) throw new ConfigError(`${file}: dataDir is missing. Add a line dataDir=FOLDER: snapshots and logs are kept there`)
  const { bool, text: textOf } = settingsOf(values)
  const membership = readMembership({ lines, file, dynamicFile: textOf('dynamicConfigFile'), standaloneEnabled: bool('standaloneEnabled'), peerType: textOf('peerType'), multiAddress: bool('multiAddress.enabled'), ...(read && { read }) })
  if (!membership) {
    if (!values.has('clientPort')) throw new ConfigError(`${file}: clientPort is missing. Add a line clientPort=2181`)
    return { config: build(values), notices: [...notices, ...idle] }
  }
  if (misfits.length > 0) throw new ConfigError(misfits[0])
  for (const name of ['initLimit', 'syncLimit'] as const)
    if (settingsOf(values).int(name) === 0) throw new ConfigError(`${file}: ${name} is missing, and the server lines make this an ensemble. Add a line ${name}=${name === 'initLimit' ? 10 : 5} (in ticks: ${configKeys[name].about})`)
  if (!values.has('clientPort') && ![...membership.quorum.servers.values()].some(({ client }) => client))
    throw new ConfigError(`${file}: clientPort is missing. Add a line clientPort=2181, or a client port to the server lines (server.1=HOST:2888:3888;2181)`)
  return { config: { ...build(values), ensemble: ensembleOf(values, membership.quorum, read && file) }, notices: [...notices, ...membership.notices] }
}
function ensembleOf(values: ReadonlyMap<string, Value>, quorum: QuorumConfig, file: string | undefined): EnsembleConfig {
  const { int, bool, text, yes } = settingsOf(values)
  int('electionAlg')
  const handshake = int('quorumCnxnTimeoutMs')
  return {
    quorum,
    initLimit: int('initLimit'),
    syncLimit: int('syncLimit'),
    listenOnAll: bool('quorumListenOnAllIPs'),
    connectTimeoutMs: int('cnxTimeout'),
    handshakeTimeoutMs: handshake === -1 ? int('tickTime') * int('syncLimit') : handshake,
    bindRetries: int('electionPortBindRetry'),
    minNotificationMs: int('fastleader.minNotificationInterval'),
    maxNotificationMs: int('fastleader.maxNotificationInterval'),
    commitLogCount: int('commitLogCount'),
    forceSnapshot: bool('forceSnapshotSync'),
    readOnly: bool('readonlymode.enabled'),
    localSessions: { enabled: bool('localSessionsEnabled'), upgrading: bool('localSessionsUpgradingEnabled') },
    leaderServes: yes('leaderServes'),
    multiAddress: bool('multiAddress.enabled'),
    isClientPortSaid: values.has('clientPort'),
    standaloneEnabled: bool('standaloneEnabled'),
    file,
    isDynamic: text('dynamicConfigFile') !== '',
  }
}

interface Value {
  readonly text: string
  readonly where: string
}
function settingsOf(values: ReadonlyMap<string, Value>) {
  const int = (name: ConfigName): number => (values.has(name) ? parseInteger(name, values.get(name) as Value) : (configKeys[name].default as number))
  const bool = (name: ConfigName): boolean => (values.has(name) ? parseBoolean(name, values.get(name) as Value) : (configKeys[name].default as boolean))
  const text = (name: ConfigName): string => values.get(name)?.text ?? (configKeys[name].default as string)
  const yes = (name: ConfigName): boolean => parseYes(name, values.get(name) ?? { text: text(name), where: '' })
  return { int, bool, text, yes }
}
function build(values: ReadonlyMap<string, Value>): ZooKeeperConfig {
  const { int, bool, text, yes } = settingsOf(values)
  const tickTime = int('tickTime')
  const minSessionTimeout = int('minSessionTimeout') === -1 ? tickTime * 2 : int('minSessionTimeout')
  const maxSessionTimeout = int('maxSessionTimeout') === -1 ? tickTime * 20 : int('maxSessionTimeout')
  if (minSessionTimeout > maxSessionTimeout) {
    const where = values.get('minSessionTimeout')?.where ?? values.get('maxSessionTimeout')?.where ?? ''
    throw new ConfigError(`${where}: minSessionTimeout (${minSessionTimeout}) is above maxSessionTimeout (${maxSessionTimeout}). Raise one or lower the other`)
  }
  const superDigest = text('DigestAuthenticationProvider.superDigest')
  if (superDigest !== '' && !/^[^:]+:[A-Za-z0-9+/=]+$/.test(superDigest))
    throw new ConfigError(`${values.get('DigestAuthenticationProvider.superDigest')?.where}: DigestAuthenticationProvider.superDigest is not user:base64(sha1(user:password))`)
  const enforced = text('enforce.auth.schemes').split(',').map((scheme) => scheme.trim()).filter(Boolean)
  if (bool('enforce.auth.enabled') && enforced.length === 0)
    throw new ConfigError(`${values.get('enforce.auth.enabled')?.where}: enforce.auth.enabled=true needs enforce.auth.schemes, for instance digest`)
  for (const scheme of enforced)
    if (scheme !== 'digest' && scheme !== 'ip') throw new ConfigError(`${values.get('enforce.auth.schemes')?.where}: enforce.auth.schemes names ${scheme}, which is not available yet: digest and ip are`)
  return {
    store: {
      dataDir: text('dataDir'),
      dataLogDir: text('dataLogDir') || undefined,
      snapCount: int('snapCount'),
      snapSizeLimit: int('snapSizeLimitInKb') * 1024,
      logSizeLimit: int('txnLogSizeLimitInKb') * 1024,
      preallocSize: int('preAllocSize') * 1024,
      forceSync: yes('forceSync'),
      fsyncWarningMs: int('fsync.warningthresholdms'),
      autopurge: { retainCount: Math.max(3, int('autopurge.snapRetainCount')), intervalHours: int('autopurge.purgeInterval') },
      trustEmptySnapshot: bool('snapshot.trust.empty'),
      datadirAutocreate: bool('datadir.autocreate'),
      dbAutocreate: bool('db.autocreate'),
      digestEnabled: bool('digest.enabled'),
      snapshotSizeFactor: parseDecimal('snapshotSizeFactor', values.get('snapshotSizeFactor') ?? { text: text('snapshotSizeFactor'), where: '' }),
    },
    ensemble: undefined,
    clientPort: Math.max(0, int('clientPort')),
    clientPortAddress: text('clientPortAddress') || undefined,
    clientPortListenBacklog: int('clientPortListenBacklog'),
    tickTime,
    minSessionTimeout,
    maxSessionTimeout,
    maxClientCnxns: int('maxClientCnxns'),
    maxCnxns: int('maxCnxns'),
    globalOutstandingLimit: int('globalOutstandingLimit'),
    requestSizeMax: int('jute.maxbuffer'),
    requestBytesMax: int('largeRequestMaxBytes'),
    sessionlessTimeout: int('nio.sessionlessCnxnTimeout'),
    digestEnabled: bool('digest.enabled'),
    closeSessionPaths: bool('closeSessionTxn.enabled'),
    extendedTypes: bool('extendedTypesEnabled'),
    emulate353: bool('emulate353TTLNodes'),
    containers: {
      checkIntervalMs: int('znode.container.checkIntervalMs'),
      maxPerMinute: int('znode.container.maxPerMinute'),
      neverUsedMs: int('znode.container.maxNeverUsedIntervalMs'),
    },
    skipACL: yes('skipACL'),
    enforceQuota: bool('enforceQuota'),
    superDigest,
    enforcedSchemes: bool('enforce.auth.enabled') ? enforced : undefined,
    reconfigEnabled: bool('reconfigEnabled'),
    fourLetterWords: new Set(text('4lw.commands.whitelist').split(',').map((word) => word.trim()).filter(Boolean)),
    admin: { enabled: bool('admin.enableServer'), address: text('admin.serverAddress'), port: int('admin.serverPort'), commandUrl: text('admin.commandURL') },
  }
}

function parseInteger(name: ConfigName, { text, where }: Value): number {
  const key: ConfigKey = configKeys[name]
  if (key.type !== 'int') throw new TypeError(`${name} is no number`)
  const [low, high] = key.range
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  // −1 stands for "not set" where the table says so.
  if (!(value >= low && value <= high) && value !== key.default)
    throw new ConfigError(`${where}: ${name}=${text} is not a whole number from ${low} to ${high}${key.unit ? ` (${key.unit})` : ''}. It is the ${key.about}; the default is ${key.default}`)
  return value
}
function parseDecimal(name: ConfigName, { text, where }: Value): number {
  if (!/^-?\d{1,6}(\.\d{1,6})?$/.test(text)) throw new ConfigError(`${where}: ${name}=${text} is not a decimal number. It says ${configKeys[name].about}; the default is ${configKeys[name].default}`)
  return Number(text)
}
function parseBoolean(name: ConfigName, { text, where }: Value): boolean {
  const value = text.toLowerCase()
  if (value !== 'true' && value !== 'false') throw new ConfigError(`${where}: ${name}=${text} is neither true nor false; the default is ${configKeys[name].default}`)
  return value === 'true'
}
function parseYes(name: ConfigName, { text, where }: Value): boolean {
  const value = text.toLowerCase()
  if (value !== 'yes' && value !== 'no' && value !== 'true' && value !== 'false') throw new ConfigError(`${where}: ${name}=${text} is neither yes nor no; the default is ${configKeys[name].default}`)
  return value === 'yes' || value === 'true'
}

function entriesOf(text: string, file: string): PropertyEntry[] {
  try {
    return parseProperties(text, file)
  } catch (error) {
    if (error instanceof SyntaxError) throw new ConfigError(error.message, { cause: error })
    throw error
  }
}

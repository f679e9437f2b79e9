/** Every key of zoo.cfg that this server knows: what it is, what it may be, and what becomes of it. Documentation is printed from it. */

type Common = { readonly about: string }
export type ConfigKey =
  | (Common & { readonly type: 'int'; readonly default: number; readonly range: readonly [number, number]; readonly unit?: string })
  | (Common & { readonly type: 'boolean'; readonly default: boolean })
  | (Common & { readonly type: 'text'; readonly default: string })

const intMax = 2 ** 31 - 1
const anyInt = [-intMax - 1, intMax] as const
const port = [0, 65535] as const
const int = (fallback: number, range: readonly [number, number], about: string, unit?: string) => ({ type: 'int', default: fallback, range, about, ...(unit !== undefined && { unit }) }) as const
const bool = (fallback: boolean, about: string) => ({ type: 'boolean', default: fallback, about }) as const
const text = (fallback: string, about: string) => ({ type: 'text', default: fallback, about }) as const

/** Keys that do something. A property that Apache's takes from the JVM stands here without its `zookeeper.`. */
export const configKeys = {
  dataDir: text('', 'folder of snapshots, `myid` and, without dataLogDir, of the transaction log; required'),
  dataLogDir: text('', 'folder of the transaction log; a device of its own is best'),
  clientPort: int(-1, port, 'port for clients; 0 takes any free one'),
  clientPortAddress: text('', 'address to listen on; empty: all'),
  clientPortListenBacklog: int(-1, [-1, intMax], 'connections that may wait to be accepted; −1: the system decides'),
  tickTime: int(3000, [1, intMax], 'unit of all other times', 'ms'),
  minSessionTimeout: int(-1, [-1, intMax], 'shortest session timeout that clients get; −1: two ticks', 'ms'),
  maxSessionTimeout: int(-1, [-1, intMax], 'longest session timeout that clients get; −1: twenty ticks', 'ms'),
  maxClientCnxns: int(60, [0, intMax], 'connections from one address; 0: any number'),
  maxCnxns: int(0, [0, intMax], 'connections altogether; 0: any number'),
  globalOutstandingLimit: int(1000, [1, intMax], 'requests in progress before the server stops reading from those who sent them'),
  'jute.maxbuffer': int(0xfffff, [1024, 256 * 1024 * 1024], 'largest request', 'bytes'),
  largeRequestMaxBytes: int(100 * 1024 * 1024, [1, intMax], 'bytes of requests in progress before the server stops reading', 'bytes'),
  'nio.sessionlessCnxnTimeout': int(10_000, [1, intMax], 'how long a connection may be silent before its handshake', 'ms'),
  snapCount: int(100_000, [2, intMax], 'transactions between snapshots, half of it at least'),
  snapSizeLimitInKb: int(4_194_304, anyInt, 'transaction bytes between snapshots; 0 or less: any number', 'KiB'),
  txnLogSizeLimitInKb: int(-1, anyInt, 'size at which a transaction log is closed; 0 or less: at snapshots only', 'KiB'),
  preAllocSize: int(65_536, [0, 4 * 1024 * 1024], 'by how much a transaction log grows ahead of its end', 'KiB'),
  forceSync: text('yes', 'yes or no; whether a write is on the device before it is acknowledged'),
  'fsync.warningthresholdms': int(1000, [0, intMax], 'a sync that takes longer is logged', 'ms'),
  'autopurge.snapRetainCount': int(3, [0, intMax], 'snapshots that a purge keeps, never fewer than 3'),
  'autopurge.purgeInterval': int(0, [0, intMax], 'time between purges; 0: never', 'hours'),
  'snapshot.trust.empty': bool(false, 'start with logs that have no snapshot'),
  'datadir.autocreate': bool(true, 'create missing folders'),
  'db.autocreate': bool(true, 'begin with an empty tree where nothing is on disk'),
  'digest.enabled': bool(true, 'digests of the tree in logs and snapshots'),
  'closeSessionTxn.enabled': bool(true, 'list in the log what dies with a session'),
  extendedTypesEnabled: bool(false, 'TTL znodes'),
  emulate353TTLNodes: bool(false, 'take the TTLs of 3.5.3 for what they are'),
  'znode.container.checkIntervalMs': int(60_000, [1, intMax], 'time between looks for empty containers and TTLs that ran out', 'ms'),
  'znode.container.maxPerMinute': int(10_000, [1, intMax], 'how many of them are deleted in a minute'),
  'znode.container.maxNeverUsedIntervalMs': int(0, [0, intMax], 'age at which a container that never had a child goes; 0: never', 'ms'),
  skipACL: text('no', 'yes or no; whether ACLs are ignored'),
  enforceQuota: bool(false, 'refuse what goes beyond a hard quota'),
  'DigestAuthenticationProvider.superDigest': text('', '`user:base64(sha1(user:password))` of who may do everything'),
  'enforce.auth.enabled': bool(false, 'refuse requests of connections that have not authenticated'),
  'enforce.auth.schemes': text('', 'schemes that count for enforce.auth.enabled, separated by commas'),
  reconfigEnabled: bool(false, 'members of the ensemble may be added, removed and changed while it runs; a server that is alone has none'),
  '4lw.commands.whitelist': text('srvr', 'four-letter words that are answered, separated by commas; * for all'),
  standaloneEnabled: bool(true, 'a single server line makes no ensemble; false: an ensemble of one'),
  initLimit: int(0, [1, intMax], 'how long a member may take to find and copy its leader; required in an ensemble', 'ticks'),
  syncLimit: int(0, [1, intMax], 'how long a member may be silent; required in an ensemble', 'ticks'),
  electionAlg: int(3, [3, 3], 'the way of electing; 3, fast leader election, is the only one'),
  peerType: text('participant', 'participant or observer; what the own server line says counts'),
  dynamicConfigFile: text('', 'file with the server, group and weight lines, in place of this one; with reconfigEnabled, each change writes one and names it here'),
  quorumListenOnAllIPs: bool(false, 'quorum and election ports listen on all addresses'),
  cnxTimeout: int(5000, [1, intMax], 'how long a connection to an election port may take', 'ms'),
  quorumCnxnTimeoutMs: int(-1, [-1, intMax], 'how long a caller at the election port may take to say who it is; −1: syncLimit ticks', 'ms'),
  electionPortBindRetry: int(3, [0, intMax], 'attempts to listen at the election port, a second apart; 0: for ever'),
  'fastleader.minNotificationInterval': int(200, [1, intMax], 'first pause before a vote is sent again; it doubles', 'ms'),
  'fastleader.maxNotificationInterval': int(60_000, [1, intMax], 'longest such pause', 'ms'),
  commitLogCount: int(500, [1, 1_000_000], 'transactions in memory for members that were away for a moment'),
  snapshotSizeFactor: text('0.33', 'how much of the logs a leader reads for a member that was away, in sizes of its newest snapshot; 0: any, below: nothing'),
  'readonlymode.enabled': bool(false, 'a member that sees no quorum serves reads to clients that ask for that'),
  localSessionsEnabled: bool(false, 'a new session is known to its own server alone'),
  localSessionsUpgradingEnabled: bool(false, 'a local session becomes one of the ensemble when it creates an ephemeral znode; false: it may not'),
  'multiAddress.enabled': bool(false, 'server lines may name several addresses of a server, joined by |; all members have to agree on this'),
  leaderServes: text('yes', 'yes or no; whether the leader takes clients'),
  forceSnapshotSync: bool(false, 'the leader sends whole snapshots, never differences'),
  'admin.enableServer': bool(true, 'commands over HTTP'),
  'admin.serverAddress': text('0.0.0.0', 'address of the HTTP server'),
  'admin.serverPort': int(8080, port, 'port of the HTTP server; 0 takes any free one'),
  'admin.commandURL': text('/commands', 'where its commands begin'),
} as const satisfies Readonly<Record<string, ConfigKey>>
export type ConfigName = keyof typeof configKeys
/** Those of them that mean something to members of an ensemble alone. */
export const ensembleKeys: ReadonlySet<string> = new Set([
  'initLimit', 'syncLimit', 'electionAlg', 'peerType', 'quorumListenOnAllIPs', 'cnxTimeout', 'quorumCnxnTimeoutMs', 'electionPortBindRetry',
  'fastleader.minNotificationInterval', 'fastleader.maxNotificationInterval', 'commitLogCount', 'forceSnapshotSync', 'snapshotSizeFactor',
  'readonlymode.enabled', 'localSessionsEnabled', 'localSessionsUpgradingEnabled', 'leaderServes', 'multiAddress.enabled',
] satisfies ConfigName[])

/** Keys that mean nothing to Ottla: accepted, with one quiet line. */
export const quietKeys: readonly RegExp[] = [
  /^(connectToLearnerMasterLimit|syncEnabled|observerMasterPort)$/,
  /^(quorum\.cnxn\.threads\.size|multiAddress\..*|learner\..*|follower\..*|leader\..*|observer\..*|leaderConnectDelayDuringRetryMs)$/,
  /^(flushDelay|maxWriteQueuePollTime|maxBatchSize|serializeLastProcessedZxid\.enabled|commitProcessor\..*)$/,
  /^(maxResponseCacheSize|maxGetChildrenResponseCacheSize|watchManagerName|serverCnxnFactory|nio\..*|netty\..*|tcpKeepAlive|clientTcpKeepAlive|jute\.maxbuffer\.extrasize)$/,
  /^(metricsProvider\..*|jvm\..*|jmx\..*|log4j\..*|admin\.(idleTimeout|rateLimiterIntervalInMS|snapshot\.enabled|restore\.enabled))$/,
  /^(request_throttle_.*|throttled_op_wait_time|connection_throttle_.*|connection_.*|largeRequestThreshold|enableEagerACLCheck|allowSaslFailedClients|fips-mode)$/,
]
/** Values that leave a refused key without effect: those are fine. */
const off = new Set(['', 'false', 'no', '-1', 'none', 'off'])

/** Keys that protect, limit or keep data in a way that does not work yet: refused by name. */
const refusals: readonly { readonly key: RegExp; readonly why: string; readonly harmless?: ReadonlySet<string> }[] = [
  { key: /^secureClientPort(Address)?$/, why: 'TLS for clients is not available yet' },
  { key: /^(client|admin)\.portUnification$|^admin\.(forceHttps|needClientAuth)$|^(sslQuorum|portUnification|sslQuorumReloadCertFiles)$/, why: 'TLS is not available yet', harmless: off },
  { key: /^ssl\./, why: 'TLS is not available yet' },
  { key: /^quorum\.auth\./, why: 'authentication between servers is not available yet', harmless: off },
  { key: /^authProvider(\.|$)/, why: 'plug-in authentication (SASL included) is not available yet' },
  { key: /^(superUser(\.|$)|X509AuthenticationProvider\.|sessionRequireClientSASLAuth$|kerberos\.|java\.security\.)/, why: 'SASL and X.509 authentication are not available yet', harmless: off },
  { key: /^DigestAuthenticationProvider\.(digestAlg|enabled)$/, why: 'digests are always SHA-1, as Apache\'s default', harmless: new Set(['', 'SHA1', 'true']) },
  { key: /^audit\.enable$/, why: 'audit logs are not available yet', harmless: off },
  { key: /^snapshot\.compression\.method$/, why: 'snapshots are written without compression', harmless: new Set(['']) },
  { key: /^oraclePath$/, why: 'an oracle for two servers is not available yet' },
]
/** What a server that is alone may have said in vain, and an ensemble would miss. */
const ensembleRefusals: typeof refusals = [
  { key: /^observerMasterPort$/, why: 'observers connect to the leader; observer masters are not available yet', harmless: new Set([...off, '0']) },
]
/** Why this key with this value is refused; undefined where it is not. */
export function refusalOf(key: string, value: string): string | undefined {
  const found = refusals.find((refusal) => refusal.key.test(key))
  return found && !found.harmless?.has(value) ? found.why : undefined
}
/** The same for a member of an ensemble. */
export function ensembleRefusalOf(key: string, value: string): string | undefined {
  const found = ensembleRefusals.find((refusal) => refusal.key.test(key))
  return found && !found.harmless?.has(value.toLowerCase()) ? found.why : undefined
}
export function isRefusedKey(key: string): boolean {
  return refusals.some((refusal) => refusal.key.test(key))
}

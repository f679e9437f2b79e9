/** What is known of a cluster at a moment, and what is wrong with it, in sentences. Pure. */

export interface CoordinatorStatus {
  address: string
  /** `standalone`, `leader`, `follower`, `observer`; undefined: it does not serve. */
  mode: string | undefined
  zxid?: string
  connections?: number
  /** Why it does not serve. */
  trouble?: string
}
export interface BrokerStatus {
  id: number
  /** Undefined: it is not registered, but holds replicas or was started here. */
  address: string | undefined
  /** Registered, but not to be asked: why. */
  trouble?: string
  isController: boolean
  /** Partitions it leads, and replicas it holds. */
  leads: number
  holds: number
}
export interface PartitionStatus {
  topic: string
  partition: number
  leader: number | undefined
  replicas: number[]
  isr: number[]
  /** Undefined: nobody could say. */
  minIsr: number | undefined
}
export interface ClusterStatus {
  coordinators: CoordinatorStatus[]
  /** Undefined: this is an ensemble without brokers. */
  kafka: { trouble?: string; controllerId: number | undefined; brokers: BrokerStatus[]; topicCount: number; partitions: PartitionStatus[] } | undefined
}
export interface Problem {
  kind: 'coordinator' | 'quorum' | 'kafka' | 'broker' | 'controller' | 'offline' | 'min-isr' | 'under-replicated'
  text: string
}

export const isOffline = ({ leader }: PartitionStatus): boolean => leader === undefined
export const isUnderReplicated = ({ isr, replicas }: PartitionStatus): boolean => isr.length < replicas.length
export const isUnderMinIsr = ({ isr, minIsr }: PartitionStatus): boolean => minIsr !== undefined && isr.length < minIsr

const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`

/** The gravest first. Empty: all is in order. */
export function problemsOf({ coordinators, kafka }: ClusterStatus): Problem[] {
  return [...coordinatorProblems(coordinators), ...(kafka ? kafkaProblems(kafka) : [])]
}

function coordinatorProblems(coordinators: readonly CoordinatorStatus[]): Problem[] {
  const away = coordinators.filter(({ mode }) => mode === undefined)
  const leaders = coordinators.filter(({ mode }) => mode === 'leader' || mode === 'standalone')
  const problems: Problem[] = []
  const total = coordinators.length
  const serving = total - away.length
  const majority = Math.floor(total / 2) + 1
  const mayFail = serving - majority
  if (mayFail < 0) {
    const who = serving === 0 ? 'No ZooKeeper server serves' : `Only ${serving} of ${total} ZooKeeper servers answer${serving === 1 ? 's' : ''}`
    const missing = serving === 0 ? `${majority} of the ${total} are` : `${-mayFail} more ${mayFail === -1 ? 'is' : 'are'}`
    problems.push({ kind: 'quorum', text: `${who} (${away.map(({ address, trouble }) => trouble ?? address).join('; ')}): nothing about the cluster can change until ${total === 1 ? 'it is' : missing} back.` })
  } else
    for (const { address, trouble } of away)
      problems.push({ kind: 'coordinator', text: `ZooKeeper server ${address} does not serve: ${trouble}. The others do${mayFail > 0 ? `, and ${mayFail} more may fail` : ', but no further one may fail'}. Start it again, or look at its log.` })
  if (leaders.length > 1) problems.push({ kind: 'quorum', text: `${leaders.map(({ address, mode }) => `${address} (${mode})`).join(' and ')} do not belong to one ensemble: give all the same server.N lines.` })
  if (leaders.length === 0 && total > 0 && away.length === 0) problems.push({ kind: 'quorum', text: 'None of these ZooKeeper servers leads: the leader is not among those asked. Name all of them.' })
  return problems
}

function kafkaProblems({ trouble, controllerId, brokers, partitions }: NonNullable<ClusterStatus['kafka']>): Problem[] {
  if (trouble !== undefined) return [{ kind: 'kafka', text: `Kafka cannot be asked: ${trouble}.` }]
  const problems: Problem[] = []
  for (const { id } of brokers.filter(({ address }) => address === undefined)) {
    const affected = partitions.filter(({ replicas }) => replicas.includes(id)).length
    problems.push({ kind: 'broker', text: `Broker ${id} is away${affected > 0 ? `; it holds replicas of ${count(affected, 'partition')}` : ''}. Start it again, or look at its log.` })
  }
  for (const { id, address, trouble } of brokers)
    if (trouble !== undefined) problems.push({ kind: 'broker', text: `Broker ${id} is registered at ${address}, but cannot be asked: ${trouble}. Look at its log, and whether its process is stopped or overloaded.` })
  if (controllerId === undefined) problems.push({ kind: 'controller', text: 'No broker is controller: leaders are not elected and topics cannot change. Is ZooKeeper there, and reachable from the brokers?' })
  const offline = partitions.filter(isOffline)
  if (offline.length > 0) {
    const needed = [...new Set(offline.flatMap(({ isr }) => isr))].sort((a, b) => a - b)
    problems.push({ kind: 'offline', text: `${count(offline.length, 'partition has', 'partitions have')} no leader and can be neither written nor read (${named(offline)}). ${needed.length > 0 ? `What was in sync last is on broker ${needed.join(', ')}: start ${needed.length === 1 ? 'it' : 'one that holds each'} again. ` : ''}${offline.some(({ replicas, isr }) => replicas.some((id) => !isr.includes(id))) ? 'kafka-leader-election.sh --election-type unclean makes another replica leader, without what only those hold.' : ''}`.trimEnd() })
  }
  const unknown = partitions.filter(({ minIsr }) => minIsr === undefined)
  if (unknown.length > 0) problems.push({ kind: 'kafka', text: `The brokers cannot say what min.insync.replicas is for ${count(unknown.length, 'partition')} (${named(unknown)}): ZooKeeper does not answer them, or a node below /config/topics is damaged; their logs say which.` })
  const readOnly = partitions.filter((one) => !isOffline(one) && isUnderMinIsr(one))
  if (readOnly.length > 0) problems.push({ kind: 'min-isr', text: `${count(readOnly.length, 'partition has', 'partitions have')} fewer replicas in sync than min.insync.replicas: writes with acks=all are refused (${named(readOnly)}).` })
  const lagging = partitions.filter((one) => !isOffline(one) && !isUnderMinIsr(one) && isUnderReplicated(one))
  if (lagging.length > 0) {
    const away = new Set(brokers.filter(({ address }) => address === undefined).map(({ id }) => id))
    const behind = [...new Set(lagging.flatMap(({ replicas, isr }) => replicas.filter((id) => !isr.includes(id) && !away.has(id))))].sort((a, b) => a - b)
    problems.push({ kind: 'under-replicated', text: `${count(lagging.length, 'partition is', 'partitions are')} under-replicated (${named(lagging)})${behind.length > 0 ? `: broker ${behind.join(', ')} is registered, but not in sync; it catches up, or its log says why not` : ''}.` })
  }
  return problems
}

const shownMax = 5
function named(partitions: readonly PartitionStatus[]): string {
  const names = partitions.slice(0, shownMax).map(({ topic, partition }) => `${topic}-${partition}`)
  return `${names.join(', ')}${partitions.length > shownMax ? ` and ${partitions.length - shownMax} more` : ''}`
}

/** What `ottla status` prints. */
export function statusText(status: ClusterStatus, problems: readonly Problem[]): string {
  const lines: string[] = ['ZooKeeper']
  const rows = status.coordinators.map(({ address, mode, zxid, connections, trouble }) =>
    mode === undefined ? [address, 'away', trouble ?? ''] : [address, mode, `zxid ${zxid ?? '?'}`, count(connections ?? 0, 'connection')])
  lines.push(...aligned(rows))
  const { kafka } = status
  if (kafka && kafka.trouble === undefined) {
    lines.push('', 'Brokers', ...aligned(kafka.brokers.map(({ id, address, trouble, isController, leads, holds }) =>
      [String(id), address ?? 'away', `leads ${leads} of ${count(holds, 'replica')}`, [isController ? 'controller' : '', trouble === undefined ? '' : 'no answer'].filter(Boolean).join(', ')])))
    const { partitions } = kafka
    lines.push('', 'Partitions', ...aligned([
      [String(partitions.length), `in ${count(kafka.topicCount, 'topic')}`],
      [String(partitions.filter(isUnderReplicated).length), 'under-replicated'],
      [String(partitions.filter(isOffline).length), 'offline'],
      [String(partitions.filter(isUnderMinIsr).length), 'under min.insync.replicas'],
    ]))
  }
  lines.push('', ...(problems.length === 0 ? ['Everything is in order.'] : problems.map(({ text }) => text)))
  return `${lines.join('\n')}\n`
}
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((all, row) => row.map((text, index) => Math.max(all[index] ?? 0, text.length)).concat(all.slice(row.length)), [])
  return rows.map((row) => `  ${row.map((text, index) => text.padEnd(index < row.length - 1 ? widths[index] : 0)).join('  ')}`.trimEnd())
}

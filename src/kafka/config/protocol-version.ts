/** What brokers say to each other by inter.broker.protocol.version (reference §2.11): the sender picks, nobody asks. From 2.8 on. */
import { protocolVersions } from './rules.ts'

export interface InterBrokerProtocol {
  /** The full version a short one stands for, as `3.9-IV0`. */
  readonly version: string
  readonly leaderAndIsr: number
  readonly updateMetadata: number
  readonly stopReplica: number
  /** Of followers; 12 where a topic has no id. */
  readonly fetch: number
  readonly listOffsets: number
  /** Producer ids come from the controller (KIP-730); before 3.0 each broker takes its own from ZooKeeper. */
  readonly producerIdsFromController: boolean
  /** An unclean leader is marked as recovering (KIP-704). */
  readonly leaderRecovery: boolean
  /** Of the znode `/feature`. */
  readonly featureZnode: 1 | 2
}

const oldest = '2.8-IV1'
const newest = '3.9-IV0'

/** The full version: a short one stands for its newest. Undefined when 3.9 does not know it. */
function fullVersion(text: string): string | undefined {
  const [major, minor] = text.split(/[.-]/)
  if (protocolVersions.includes(text)) return text
  return protocolVersions.findLast((version) => (Number(major) >= 1 ? version.startsWith(`${major}.${minor}-`) && !text.includes('-') : version.startsWith(`${text}-`) || text.startsWith(`${version}.`)))
}
const rank = (version: string): number => protocolVersions.indexOf(version)

/** Whether brokers here can speak it: since 2.8 topics have ids and leaders change ISRs through the controller. */
export function isSpoken(text: string): boolean {
  const version = fullVersion(text)
  return version !== undefined && rank(version) >= rank(oldest) && rank(version) <= rank(newest)
}

export function interBrokerProtocol(text: string): InterBrokerProtocol {
  const version = fullVersion(text)
  if (version === undefined || !isSpoken(text)) throw new RangeError(`inter.broker.protocol.version=${text} is not spoken here: only ${oldest} to ${newest}`)
  const since = (first: string): boolean => rank(version) >= rank(first)
  return {
    version,
    leaderAndIsr: since('3.4-IV0') ? 7 : since('3.2-IV0') ? 6 : 5,
    updateMetadata: since('3.4-IV0') ? 8 : 7,
    stopReplica: since('3.4-IV0') ? 4 : 3,
    fetch: since('3.9-IV0') ? 17 : since('3.7-IV4') ? 16 : since('3.5-IV1') ? 15 : since('3.5-IV0') ? 14 : since('3.1-IV0') ? 13 : 12,
    listOffsets: since('3.9-IV0') ? 9 : since('3.5-IV0') ? 8 : since('3.0-IV1') ? 7 : 6,
    producerIdsFromController: since('3.0-IV0'),
    leaderRecovery: since('3.2-IV0'),
    featureZnode: since('3.3-IV0') ? 2 : 1,
  }
}

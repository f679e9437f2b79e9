/**
 * The message of the election port (reference §4.2):
 *
 *   state:int32 leader:int64 zxid:int64 electionEpoch:int64 peerEpoch:int64 version:int32=2 configLength:int32 config
 *
 * 28 bytes (without peerEpoch) and 40 bytes (without a configuration) are what older servers send.
 */
import { Reader, MalformedError } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import { formatQuorumConfig, parseQuorumConfig, type QuorumConfig } from './quorum-config.ts'
import { noVote, type PeerState, type Vote } from './vote.ts'

export interface Notification {
  readonly state: PeerState
  /** What the sender proposes while it looks; what it has settled on otherwise. */
  readonly vote: Vote
  /** The sender's configuration; undefined where it did not say, or said something unreadable. */
  readonly config: QuorumConfig | undefined
  /** Format: 0 and 1 carry no configuration. 2 unless said otherwise. */
  readonly version?: number
}

/** By the number on the wire. */
const states: readonly PeerState[] = ['looking', 'following', 'leading', 'observing']
const currentVersion = 2

export function encodeNotification({ state, vote, config, version = currentVersion }: Notification): Buffer {
  const out = new Writer(512)
  out.int32(states.indexOf(state))
  out.bigint64(BigInt(vote.leader))
  out.bigint64(vote.zxid)
  out.bigint64(BigInt(vote.electionEpoch))
  out.bigint64(BigInt(vote.peerEpoch))
  out.int32(version)
  if (version < 2) return out.toBuffer()
  const text = Buffer.from(config ? formatQuorumConfig(config) : '')
  out.int32(text.length)
  out.raw(text)
  return out.toBuffer()
}

/** Throws MalformedError. A configuration that cannot be read is reported in `problem`; the vote counts all the same. */
export function decodeNotification(bytes: Uint8Array): { notification: Notification; problem?: string } {
  const reader = new Reader(bytes)
  const number = reader.int32()
  const state = states[number]
  if (!state) throw new MalformedError(`${number} is no state of a peer`, 0)
  const leader = wholeNumber(reader, 'a server id')
  const zxid = reader.bigint64()
  const electionEpoch = wholeNumber(reader, 'a round')
  const peerEpoch = reader.remaining >= 8 ? wholeNumber(reader, 'an epoch') : Number(zxid >> 32n)
  const version = reader.remaining >= 4 ? reader.int32() : 0
  const vote = { leader, zxid, electionEpoch, peerEpoch }
  if (version < 2 || reader.remaining === 0) return { notification: { state, vote, config: undefined, version } }
  const size = reader.int32()
  if (size < 0) throw reader.malformed(`a configuration of ${size} bytes`)
  const text = reader.utf8(size)
  if (size === 0) return { notification: { state, vote, config: undefined, version } }
  try {
    return { notification: { state, vote, config: parseQuorumConfig(text), version } }
  } catch (cause) {
    return { notification: { state, vote, config: undefined, version }, problem: (cause as Error).message }
  }
}

/** An int64 within 2^53, or Long.MIN_VALUE, the mark of those without a vote: a double holds it exactly. */
function wholeNumber(reader: Reader, what: string): number {
  const value = reader.bigint64()
  const number = Number(value)
  if (!Number.isSafeInteger(number) && number !== noVote) throw reader.malformed(`${what} of ${value}`)
  return number
}

/** Packets between servers on the quorum port (reference §5.1), as data. Notifications of the election port: §4.2. */
import { record, type Message } from '../../wire/codec.ts'
import { array, bigint64, bytes, int32, string } from '../../wire/schema.ts'

export const packetType = {
  request: 1,
  proposal: 2,
  ack: 3,
  commit: 4,
  ping: 5,
  revalidate: 6,
  sync: 7,
  inform: 8,
  commitAndActivate: 9,
  newLeader: 10,
  followerInfo: 11,
  upToDate: 12,
  diff: 13,
  trunc: 14,
  snap: 15,
  observerInfo: 16,
  leaderInfo: 17,
  ackEpoch: 18,
  informAndActivate: 19,
} as const

export const QuorumPacket = record('QuorumPacket', {
  type: int32, zxid: bigint64, data: bytes.orNull(), authinfo: array({ scheme: string, id: string }).orNull(),
})
export type QuorumPacket = Message<typeof QuorumPacket>
/** Data of FOLLOWERINFO and OBSERVERINFO. */
export const LearnerInfo = record('LearnerInfo', { serverid: bigint64, protocolVersion: int32, configVersion: bigint64 })
/** Proves membership where quorum SASL is on. */
export const QuorumAuthPacket = record('QuorumAuthPacket', { magic: bigint64, status: int32, token: bytes.orNull() })
/** Ends the raw snapshot that follows a SNAP packet. */
export const snapshotSignature = 'BenWasHere'

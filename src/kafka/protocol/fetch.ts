/**
 * Fetch, for consumers and followers alike. v3 bounds the whole answer, v4 isolation levels, v7 sessions (KIP-227), v9 leader
 * epochs, v11 racks, v12 divergence (tag 0), v13 topic ids, v15 the replica's state as a tag, v16 endpoints of new leaders.
 */
import { array, bigint64, int16, int32, int64, int8, records, string, struct, uuid } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const Fetch = api({
  key: 1, name: 'Fetch', versions: [0, 17], flexible: 12,
  request: {
    clusterId: string.orNull().since(12).tag(0).or(null),
    replicaId: int32.until(14).or(-1),
    replicaState: struct({ replicaId: int32.or(-1), replicaEpoch: bigint64.or(-1n) }).since(15).tag(1),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: int32.since(3).or(0x7fff_ffff),
    isolationLevel: int8.since(4),
    sessionId: int32.since(7),
    sessionEpoch: int32.since(7).or(-1),
    topics: array({
      topic: string.until(12),
      topicId: uuid.since(13),
      partitions: array({
        partition: int32,
        currentLeaderEpoch: int32.since(9).or(-1),
        fetchOffset: int64,
        lastFetchedEpoch: int32.since(12).or(-1),
        logStartOffset: int64.since(5).or(-1),
        partitionMaxBytes: int32,
        replicaDirectoryId: uuid.since(17).tag(0),
      }),
    }),
    forgottenTopicsData: array({
      topic: string.until(12),
      topicId: uuid.since(13),
      partitions: array(int32),
    }).since(7),
    rackId: string.since(11),
  },
  response: {
    throttleTimeMs: int32.since(1),
    errorCode: int16.since(7),
    sessionId: int32.since(7),
    responses: array({
      topic: string.until(12),
      topicId: uuid.since(13),
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        highWatermark: int64,
        lastStableOffset: int64.since(4).or(-1),
        logStartOffset: int64.since(5).or(-1),
        divergingEpoch: struct({ epoch: int32.or(-1), endOffset: int64.or(-1) }).since(12).tag(0),
        currentLeader: struct({ leaderId: int32.or(-1), leaderEpoch: int32.or(-1) }).since(12).tag(1),
        snapshotId: struct({ endOffset: int64.or(-1), epoch: int32.or(-1) }).since(12).tag(2),
        abortedTransactions: array({ producerId: int64, firstOffset: int64 }).orNull().since(4),
        preferredReadReplica: int32.since(11).or(-1),
        records: records.orNull(),
      }),
    }),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.orNull().or(null),
    }).since(16).tag(0),
  },
})
export type FetchRequest = RequestOf<typeof Fetch>
export type FetchResponse = ResponseOf<typeof Fetch>

/**
 * Produce: record sets for partitions this broker leads. v0–2 carry message sets (magic 0 and 1), v3 record batches;
 * v7 allows zstd, v8 reports single records, v10 names the new leader in tags, v11 knows TRANSACTIONAL_ABORTABLE.
 */
import { array, bigint64, int16, int32, int64, records, string, struct } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const Produce = api({
  key: 0, name: 'Produce', versions: [0, 11], flexible: 9,
  request: {
    transactionalId: string.orNull().since(3).or(null),
    acks: int16,
    timeoutMs: int32,
    topicData: array({ name: string, partitionData: array({ index: int32, records: records.orNull() }) }),
  },
  response: {
    responses: array({
      name: string,
      partitionResponses: array({
        index: int32,
        errorCode: int16,
        baseOffset: int64,
        logAppendTimeMs: bigint64.since(2).or(-1n),
        logStartOffset: int64.since(5).or(-1),
        recordErrors: array({ batchIndex: int32, batchIndexErrorMessage: string.orNull().or(null) }).since(8),
        errorMessage: string.orNull().since(8).or(null),
        currentLeader: struct({ leaderId: int32.or(-1), leaderEpoch: int32.or(-1) }).since(10).tag(0),
      }),
    }),
    throttleTimeMs: int32.since(1),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.orNull().or(null),
    }).since(10).tag(0),
  },
})
export type ProduceRequest = RequestOf<typeof Produce>
export type ProduceResponse = ResponseOf<typeof Produce>

/** WriteTxnMarkers: a transaction coordinator has the markers of decided transactions appended here; each partition is answered by itself. */
import { WriteTxnMarkers } from '../../protocol/write-txn-markers.ts'
import { handler } from '../handler.ts'

export const writeTxnMarkers = handler({
  api: WriteTxnMarkers,
  inPlace: true,
  refuse: (errorCode, { markers }) => ({
    markers: markers.map(({ producerId, topics }) => ({
      producerId, topics: topics.map(({ name, partitionIndexes }) => ({ name, partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })) })),
    })),
  }),
  async answer({ markers }, { broker }) {
    const answered = markers.map(async ({ producerId, producerEpoch, transactionResult, coordinatorEpoch, topics }) => {
      const marker = broker.transactionMarkers.encoded({ producer: { id: producerId, epoch: producerEpoch }, committed: transactionResult, coordinatorEpoch })
      const perTopic = topics.map(async ({ name, partitionIndexes }) => ({
        name,
        partitions: await Promise.all(
          partitionIndexes.map((partitionIndex) => new Promise<{ partitionIndex: number; errorCode: number }>((done) =>
            broker.transactionMarkers.append(marker, { topic: name, partition: partitionIndex }, (errorCode) => done({ partitionIndex, errorCode })),
          )),
        ),
      }))
      return { producerId, topics: await Promise.all(perTopic) }
    })
    return { markers: await Promise.all(answered) }
  },
})

/** The log of a topic that coordinators keep their state in, as they read and write it. */
import type { AppendedBatch, GroupStorage } from '../groups/group-storage.ts'
import { errors } from '../protocol/errors.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'
import type { TransactionStorage } from '../transactions/transaction-storage.ts'

export class InternalLog implements GroupStorage, TransactionStorage {
  readonly #replicas: Pick<ReplicaManager, 'find'>
  readonly #topic: string
  constructor(replicas: Pick<ReplicaManager, 'find'>, topic: string) {
    this.#replicas = replicas
    this.#topic = topic
  }

  append(index: number, batch: Buffer, timeoutMs: number): Promise<AppendedBatch> {
    const partition = this.#replicas.find(this.#topic, index)
    if (!partition) return Promise.resolve({ errorCode: errors.notLeaderOrFollower.code, baseOffset: -1 })
    return new Promise((done) =>
      partition.append(batch, batch.length, { requiredAcks: -1, timeoutMs, origin: 'coordinator', isFirst: true }, ({ errorCode, baseOffset }) => done({ errorCode, baseOffset })),
    )
  }

  async read(index: number, offset: number | undefined, sizeMax: number): Promise<Buffer> {
    const partition = this.#replicas.find(this.#topic, index)
    if (!partition) throw new Error(`${this.#topic}-${index} is not on this broker`)
    const { log } = partition
    const from = Math.max(offset ?? 0, log.logStartOffset)
    if (from >= log.logEndOffset) return Buffer.alloc(0)
    const outcome = await log.read({ offset: from, maxBytes: sizeMax, minOneBatch: true, upTo: log.logEndOffset })
    if (!('slices' in outcome)) throw new Error(`${this.#topic}-${index} cannot be read at ${from}: error ${outcome.errorCode}`)
    return Buffer.concat(outcome.slices)
  }
}

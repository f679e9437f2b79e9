/** The log of `__consumer_offsets`, as the group coordinator reads and writes it. */
import type { AppendedBatch, GroupStorage } from '../groups/group-storage.ts'
import { errors } from '../protocol/errors.ts'
import type { ReplicaManager } from '../replication/replica-manager.ts'

export const offsetsTopic = '__consumer_offsets'

export class OffsetsStorage implements GroupStorage {
  readonly #replicas: ReplicaManager
  constructor(replicas: ReplicaManager) {
    this.#replicas = replicas
  }

  append(index: number, batch: Buffer, timeoutMs: number): Promise<AppendedBatch> {
    const partition = this.#replicas.find(offsetsTopic, index)
    if (!partition) return Promise.resolve({ errorCode: errors.notLeaderOrFollower.code, baseOffset: -1 })
    return new Promise((done) =>
      partition.append(batch, batch.length, { requiredAcks: -1, timeoutMs, origin: 'coordinator' }, ({ errorCode, baseOffset }) => done({ errorCode, baseOffset })),
    )
  }

  async read(index: number, offset: number | undefined, sizeMax: number): Promise<Buffer> {
    const partition = this.#replicas.find(offsetsTopic, index)
    if (!partition) throw new Error(`${offsetsTopic}-${index} is not on this broker`)
    const { log } = partition
    const from = Math.max(offset ?? 0, log.logStartOffset)
    if (from >= log.logEndOffset) return Buffer.alloc(0)
    const outcome = await log.read({ offset: from, maxBytes: sizeMax, minOneBatch: true, upTo: log.logEndOffset })
    if (!('slices' in outcome)) throw new Error(`${offsetsTopic}-${index} cannot be read at ${from}: error ${outcome.errorCode}`)
    return Buffer.concat(outcome.slices)
  }
}

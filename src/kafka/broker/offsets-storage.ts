/** The log of `__consumer_offsets`, as the group coordinator reads and writes it. */
import type { ReplicaManager } from '../replication/replica-manager.ts'
import { InternalLog } from './internal-log.ts'

export const offsetsTopic = '__consumer_offsets'

export class OffsetsStorage extends InternalLog {
  constructor(replicas: ReplicaManager) {
    super(replicas, offsetsTopic)
  }
}

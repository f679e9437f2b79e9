/** What all logs of a broker share: the outside world, open files, the bound on flushes under way. */
import type { Host } from '../../host/host.ts'
import type { BufferPool } from '../../wire/buffer-pool.ts'
import type { OpenFiles } from './open-files.ts'
import type { RecentMemory } from './recent-batches.ts'

export interface LogContext {
  host: Host
  files: OpenFiles
  recent: RecentMemory
  syncs: SyncGate
  /** Where small appends of a turn are put together for one write. */
  writeRoom: Buffer
  /** Where large reads go. */
  readRooms: BufferPool
  /** Producers silent for so long are forgotten (`producer.id.expiration.ms`). */
  producerIdExpirationMs: number
  /** Gathers what the appends of one turn want written; `isFirst`: before the others. */
  writeAtEndOfTurn(write: () => void, isFirst: boolean): void
  /** The log directory is offline from now on. */
  directoryFailed(logDir: string, failure: Error): void
}

/** A device answers few flushes at a time, and each holds a thread that reads could use. */
export class SyncGate {
  readonly #countMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0
  constructor(countMax = 2) {
    this.#countMax = countMax
  }
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#countMax) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

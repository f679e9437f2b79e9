/** A store that forgets everything: for tests. It is as asynchronous as a disk, so that order is tested too. */
import type { LoggedTransaction, TransactionStore } from './store.ts'

export class MemoryStore implements TransactionStore {
  readonly log: LoggedTransaction[] = []
  lastZxid: bigint
  /** Set to make the next flush fail. */
  failure: Error | undefined

  constructor(lastZxid = 0n) {
    this.lastZxid = lastZxid
  }
  append(transaction: LoggedTransaction): void {
    this.log.push(transaction)
    this.lastZxid = transaction.zxid
  }
  async flushed(): Promise<void> {
    await Promise.resolve()
    if (this.failure) throw this.failure
  }
  applied(): void {}
  snapshot(): Promise<bigint> {
    return Promise.resolve(this.lastZxid)
  }
  sizes(): Promise<{ dataDir: number; dataLogDir: number }> {
    return Promise.resolve({ dataDir: 0, dataLogDir: 0 })
  }
  metrics(): Readonly<Record<string, number>> {
    return {}
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}

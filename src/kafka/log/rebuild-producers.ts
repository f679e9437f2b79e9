/** Brings the state of producers to the log's end: the newest snapshot that can be read, then what was appended behind it. */
import type { LogContext } from './log-context.ts'
import { fileName, suffix } from './names.ts'
import { decodeSnapshot } from './producer-snapshot.ts'
import type { ProducerState } from './producer-state.ts'
import type { Segment } from './segment.ts'

export interface RebuildFrom {
  directory: string
  segments: readonly Segment[]
  snapshotOffsets: readonly number[]
  logStartOffset: number
  endOffset: number
  /** The snapshot at this offset cannot be read, and is deleted. Without this, it is passed over. */
  damaged?: (offset: number) => void
}

export async function rebuildProducers(context: LogContext, producers: ProducerState, from: RebuildFrom): Promise<void> {
  const { host, producerIdExpirationMs } = context
  producers.clear()
  producers.endOffset = Math.min(from.segments[0]?.baseOffset ?? from.logStartOffset, from.endOffset)
  if (from.logStartOffset > producers.endOffset) producers.endOffset = Math.min(from.logStartOffset, from.endOffset)
  for (const offset of [...from.snapshotOffsets].sort((a, b) => b - a)) {
    if (offset > from.endOffset || offset < from.logStartOffset) continue
    const path = `${from.directory}/${fileName(offset, suffix.snapshot)}`
    try {
      producers.fromSnapshot(decodeSnapshot(path, await host.disk.readFile(path)), offset, host.clock.now(), producerIdExpirationMs)
      break
    } catch (error) {
      host.logger.named('kafka.log').warn('a producer snapshot is left out; what it says is read from the batches', { error })
      if (!from.damaged) continue
      await host.disk.remove(path)
      from.damaged(offset)
    }
  }
  for (const [index, segment] of from.segments.entries()) {
    const next = from.segments[index + 1] as Segment | undefined
    if (next && next.baseOffset <= producers.endOffset) continue
    if (producers.endOffset >= from.endOffset) break
    const start = producers.endOffset <= segment.baseOffset ? 0 : segment.locate(producers.endOffset)?.position
    if (start === undefined) continue
    for await (const { batch } of segment.batches(start, segment.writtenSize)) {
      if (batch.lastOffset < producers.endOffset) continue
      if (batch.baseOffset >= from.endOffset) break
      const completed = producers.appended(batch)
      if (completed) producers.complete(completed)
    }
  }
  producers.endOffset = from.endOffset
}

import { expect, test } from 'vitest'
import { InternalLog } from '../../src/kafka/broker/internal-log.ts'
import { Segment } from '../../src/kafka/log/segment.ts'
import { ProducerState } from '../../src/kafka/log/producer-state.ts'
import { ZooKeeperSessions } from '../../src/kafka/metadata/zookeeper-sessions.ts'
import { Partition } from '../../src/kafka/replication/partition.ts'
import { PartitionLeader } from '../../src/kafka/replication/partition-leader.ts'
import { runKafka } from '../../src/simulation/kafka-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { lawBroken, withBug } from './planted.ts'

const find = (options: Partial<RunOptions> = {}) => (): Promise<string> => lawBroken(runKafka, 10, { faultyMs: 10_000, ...options })

const patient = { timeout: 180_000 }

test('planted: records are acknowledged without a sync, although flush.messages=1', patient, async () => {
  const law = await withBug(Segment.prototype, 'sync', () => async () => {}, find({ kinds: ['powerCut'] }))
  expect(law).toMatch(/acknowledged|one record for ever|shown|gap|goes? back|answered/)
})
test('planted: nobody looks at sequence numbers', patient, async () => {
  const law = await withBug(ProducerState.prototype, 'duplicateOf', () => () => undefined, () => withBug(ProducerState.prototype, 'check', () => () => undefined, find({ faultyMs: 20_000, kinds: ['pause', 'slowDisk', 'kill', 'slowLink'] })))
  expect(law).toMatch(/a record is there once|records of one producer are in its order/)
})
test('planted: nobody hears that the session with ZooKeeper is a new one', patient, async () => {
  const law = await withBug(ZooKeeperSessions.prototype, 'follow', () => () => () => {}, find({ kinds: ['partition', 'reset'] }))
  expect(law).toBe('a broker is registered as long as it lives')
})
test('planted: the high watermark is ahead of what is written', patient, async () => {
  const law = await withBug(PartitionLeader.prototype, 'step', (step) => function (this: never, input: { kind: string; logEndOffset: number }) {
    return step.call(this, (input.kind === 'appended' && input.logEndOffset > 0 ? { ...input, logEndOffset: input.logEndOffset + 3 } : input) as never)
  } as never, find())
  expect(law).toMatch(/high watermark|AssertionError/)
})
test('planted: a new leader cuts its log at the high watermark it remembers', patient, async () => {
  const law = await withBug(Partition.prototype, 'becomeLeader', (become) => async function (this: Partition, state: never) {
    if (!this.leading) await this.log.truncateTo(this.log.highWatermark)
    await become.call(this as never, state)
  } as never, find())
  expect(law).toMatch(/acknowledged|one record for ever|shown|gap|goes? back|answered/)
})
test('planted: an offset is committed before it is in the log', patient, async () => {
  const law = await withBug(InternalLog.prototype, 'append', (append) => function (this: never, ...rest: never[]) {
    void append.call(this, ...rest)
    return Promise.resolve({ errorCode: 0, baseOffset: 0 })
  } as never, find())
  expect(law).toMatch(/committed/)
})

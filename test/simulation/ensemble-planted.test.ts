import { expect, test } from 'vitest'
import { runEnsemble } from '../../src/simulation/ensemble-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { ClientConnection } from '../../src/zookeeper/server/connection.ts'
import { EnsembleReplica } from '../../src/zookeeper/server/ensemble-replica.ts'
import { Leader, type LeaderInput, type LeaderOutput } from '../../src/zookeeper/zab/leader.ts'
import { packetOf } from '../../src/zookeeper/zab/learner.ts'
import { packetType } from '../../src/zookeeper/protocol/quorum.ts'
import { LogWriter } from '../../src/zookeeper/storage/log-write.ts'
import { lawBroken, withBug } from './planted.ts'

const patient = { timeout: 180_000 }
const find = (options: Partial<RunOptions> = {}) => (): Promise<string> => lawBroken(runEnsemble, 10, { faultyMs: 12_000, ...options })

test('planted: members acknowledge proposals before they are on the disk', patient, async () => {
  const law = await withBug(LogWriter.prototype, 'flushed', (flushed) => function (this: never) {
    void (flushed.call(this) as Promise<void>).catch(() => {})
    return Promise.resolve()
  }, find({ kinds: ['blackout'] }))
  expect(law).toMatch(/acknowledged|never differ|starts on|one write has one value|ordered|given once/)
})
test('planted: TRUNC is forgotten', patient, async () => {
  const law = await withBug(EnsembleReplica.prototype, 'truncate', () => async () => {}, find({ kinds: ['partition', 'kill', 'pause'], faultyMs: 30_000 }))
  expect(law).toMatch(/never differ|one tree|starts on|acknowledged|one write has one value|meets no bug|ephemerals die/)
})
test('planted: epochs are written nowhere', patient, async () => {
  const law = await withBug(EnsembleReplica.prototype, 'writeEpoch', () => async () => {}, find({ kinds: ['kill', 'partition', 'blackout'] }))
  expect(law).toMatch(/one leader|never differ|epochs|acknowledged|starts on|one write has one value|no end/)
})
test('planted: the leader counts acknowledgements that have not come', patient, async () => {
  const learners = new WeakMap<object, Set<number>>()
  const law = await withBug(Leader.prototype, 'step', (step) => function (this: Leader, input: LeaderInput) {
    const keys = learners.get(this) ?? new Set()
    learners.set(this, keys)
    const outputs = step.call(this as never, input as never) as LeaderOutput[]
    if (input.kind === 'packet' && input.packet.type === packetType.ack) keys.add(input.from)
    if (input.kind === 'disconnected') keys.delete(input.from)
    if (input.kind === 'propose')
      for (const from of keys) outputs.push(...(step.call(this as never, { kind: 'packet', from, packet: packetOf(packetType.ack, input.transaction.zxid), now: input.now } as never) as LeaderOutput[]))
    return outputs
  } as never, find({ kinds: ['partition', 'block', 'killAndPowerCut', 'blackout'], faultyMs: 20_000 }))
  expect(law).toMatch(/acknowledged|never differ|one tree|one write has one value|ordered|Error/)
})
test('planted: a watch is told after the answer that shows the change', patient, async () => {
  const law = await withBug(ClientConnection.prototype, 'sendEvent', (send) => function (this: never, ...event: never[]) {
    void Promise.resolve().then(() => send.call(this, ...event))
  }, find())
  expect(law).toBe('a watch is told before the read that shows the change')
})

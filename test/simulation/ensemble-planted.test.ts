import { expect, test } from 'vitest'
import { runEnsemble } from '../../src/simulation/ensemble-run.ts'
import type { RunOptions } from '../../src/simulation/run.ts'
import { op } from '../../src/zookeeper/protocol/op-codes.ts'
import { packetType } from '../../src/zookeeper/protocol/quorum.ts'
import { ClientConnection } from '../../src/zookeeper/server/connection.ts'
import { EnsembleReplica } from '../../src/zookeeper/server/ensemble-replica.ts'
import { LearnerWrites } from '../../src/zookeeper/server/learner-writes.ts'
import { ZooKeeperServer } from '../../src/zookeeper/server/server.ts'
import { LogWriter } from '../../src/zookeeper/storage/log-write.ts'
import { Election } from '../../src/zookeeper/zab/election.ts'
import { Leader, type LeaderInput, type LeaderOutput } from '../../src/zookeeper/zab/leader.ts'
import { packetOf } from '../../src/zookeeper/zab/learner.ts'
import { hasQuorum, type QuorumConfig } from '../../src/zookeeper/zab/quorum-config.ts'
import type { Vote } from '../../src/zookeeper/zab/vote.ts'
import type { Transaction } from '../../src/zookeeper/protocol/transactions.ts'
import { Sessions, type Session } from '../../src/zookeeper/znodes/sessions.ts'
import { ZnodeTree } from '../../src/zookeeper/znodes/tree.ts'
import { lawBroken, withBug } from './planted.ts'

const find = (scenario: string, seeds = 40, options: Partial<RunOptions> = {}) => (): Promise<string> => lawBroken((given) => runEnsemble({ ...given, isReconfigured: false }), seeds, { faultyMs: 10_000, scenario, ...options })
/** Members come and go. */
const findReconfiguring = (scenario: string, seeds = 60) => (): Promise<string> => lawBroken((given) => runEnsemble({ ...given, isReconfigured: true }), seeds, { faultyMs: 10_000, scenario })
const planted = (bug: string, run: () => Promise<void>): void => test(`planted: ${bug}`, { timeout: 240_000 }, run)

planted('a quorum of one, for leaders', async () => {
  const law = await withBug(Leader.prototype, 'isQuorum', () => (servers: ReadonlySet<number>) => servers.size > 0, find('anything'))
  expect(law).toMatch(/in the logs of a quorum|one leader|every later leader/)
})
planted('members acknowledge proposals before they are on the disk', async () => {
  const law = await withBug(LogWriter.prototype, 'flushed', (flushed) => function (this: never) {
    void (flushed.call(this) as Promise<void>).catch(() => {})
    return Promise.resolve()
  }, find('disks'))
  expect(law).toMatch(/every later leader|a quorum/)
})
planted('TRUNC is forgotten', async () => {
  const law = await withBug(EnsembleReplica.prototype, 'truncate', () => async () => {}, find('network'))
  expect(law).toMatch(/committed prefixes never differ|grows in the order|starts with what|no bug of its own/)
})
planted('a member forgets which epochs it has accepted, and accepts an old one', async () => {
  const law = await withBug(EnsembleReplica.prototype, 'epochs', (epochs) => async function (this: never) {
    const { currentEpoch } = await (epochs.call(this) as ReturnType<EnsembleReplica['epochs']>)
    return { acceptedEpoch: currentEpoch, currentEpoch }
  }, find('elections'))
  expect(law).toBe('no epoch is promised twice')
})
planted('epochs are written nowhere', async () => {
  const law = await withBug(EnsembleReplica.prototype, 'writeEpoch', () => async () => {}, find('anything'))
  expect(law).toMatch(/starts on what it has written|promised|one leader/)
})
planted('the order of votes ignores the epoch', async () => {
  const law = await withBug(Election.prototype, 'isBetterVote', () => (vote: Vote, than: Vote) => (vote.zxid === than.zxid ? vote.leader > than.leader : vote.zxid > than.zxid), find('elections', 200))
  expect(law).toBe('an ensemble that nothing disturbs comes to serve')
})
planted('the order of votes ignores the history', async () => {
  const law = await withBug(Election.prototype, 'isBetterVote', () => (vote: Vote, than: Vote) => vote.leader > than.leader, find('anything'))
  expect(law).toBe('an ensemble that nothing disturbs comes to serve')
})
planted('UPTODATE is sent along with NEWLEADER', async () => {
  const law = await withBug(Leader.prototype, 'step', (step) => function (this: Leader, input: LeaderInput) {
    return (step.call(this as never, input as never) as LeaderOutput[]).flatMap((output) => (output.kind === 'send' && output.packet.type === packetType.newLeader ? [output, { ...output, packet: packetOf(packetType.upToDate, -1n) }] : [output]))
  } as never, find('anything'))
  expect(law).toBe('nobody serves before the leader of the epoch is established')
})
planted('followers expire sessions that they have not heard of', async () => {
  const law = await withBug(ZooKeeperServer.prototype, 'flush', (flush) => function (this: ZooKeeperServer) {
    if (this.mode === 'follower')
      for (const { id } of this.sessions.expire(this.clock.monotonic())) this.writes.submit({ sessionId: id, cxid: 0, type: op.closeSession, body: Buffer.alloc(0), ids: [] })
    flush.call(this as never)
  } as never, find('anything'))
  expect(law).toMatch(/^a session (does not expire while its client is heard|expires at most once)$/)
})
planted('the leader counts acknowledgements that have not come', async () => {
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
  } as never, find('network'))
  expect(law).toBe('what is committed is in the logs of a quorum')
})
planted('a leader without followers goes on', async () => {
  const law = await withBug(Leader.prototype, 'step', (step) => function (this: Leader, input: LeaderInput) {
    if (input.kind === 'ticked' && this.isEstablished) return []
    return step.call(this as never, input as never)
  } as never, find('network'))
  expect(law).toMatch(/comes to serve|one tree|never differ|session/)
})
planted('a follower answers a sync itself', async () => {
  const law = await withBug(LearnerWrites.prototype, 'sync', () => (_request: unknown, then: () => void) => void Promise.resolve().then(then), find('busy', 20, { kinds: ['slowLink'] }))
  expect(law).toBe('what was acknowledged is there')
})
planted('a snapshot for a learner holds one transaction less than it says', async () => {
  const law = await withBug(EnsembleReplica.prototype, 'finishInstall', (finish) => function (this: never, zxid: bigint) {
    return finish.call(this, (zxid + 1n) as never)
  } as never, find('anything'))
  expect(law).toMatch(/committed prefixes never differ|no bug of its own/)
})
planted('a member that comes back keeps the ephemerals of a session that has ended meanwhile', async () => {
  const law = await withBug(ZnodeTree.prototype, 'apply', (apply) => function (this: ZnodeTree, transaction: { header: { clientId: bigint }; body: { type: number } }) {
    if (transaction.body.type !== op.closeSession) return apply.call(this as never, transaction as never)
    this.sessions.delete(transaction.header.clientId)
    return apply.call(this as never, { ...transaction, header: { ...transaction.header, clientId: 0n }, body: { type: op.closeSession, paths2Delete: [] } } as never)
  } as never, find('anything'))
  expect(law).toMatch(/ephemerals die with their session|no bug of its own/)
})
planted('a watch is told after the answer that shows the change', async () => {
  const law = await withBug(ClientConnection.prototype, 'sendEvent', (send) => function (this: never, ...event: never[]) {
    void Promise.resolve().then(() => send.call(this, ...event))
  }, find('busy'))
  expect(law).toBe('a watch is told before the read that shows the change')
})
planted('what is logged and not known to be committed is left out by whoever looks for a leader', async () => {
  const law = await withBug(EnsembleReplica.prototype, 'stopServing', (stop) => async function (this: EnsembleReplica) {
    const committed = this.lastProcessed
    await (stop.call(this as never) as Promise<void>)
    if (this.lastProcessed > committed) await this.truncate(committed)
  } as never, find('busy', 40, { kinds: ['slowLink', 'slowLink', 'slowLink', 'deposed'] }))
  expect(law).toMatch(/^(what was acknowledged is in every later leader|a quorum keeps what is committed|committed prefixes never differ)$/)
})
planted('of two transactions the later one is applied first', async () => {
  const held = new WeakMap<object, Transaction>()
  // Without the digests, by which a shipped server would notice it itself.
  const law = await withBug(EnsembleReplica.prototype, 'appendOwn', (append) => function (this: never, transaction: Transaction, ...rest: never[]) {
    return append.call(this, { ...transaction, digest: undefined } as never, ...rest)
  } as never, () => withBug(ZnodeTree.prototype, 'apply', (apply) => function (this: ZnodeTree, transaction: Transaction) {
    const earlier = held.get(this)
    held.delete(this)
    const node = transaction.body.type === op.setData ? this.get(transaction.body.path) : undefined
    if (node && !earlier) {
      held.set(this, transaction)
      return { type: op.setData, err: 0, path: (transaction.body as { path: string }).path, stat: this.statOf(node), operations: undefined }
    }
    const applied = apply.call(this as never, transaction as never)
    if (earlier) apply.call(this as never, earlier as never)
    return applied
  } as never, find('anything')))
  expect(law).toMatch(/^(operations of one client take effect in its order|committed prefixes never differ|what was acknowledged is there)$/)
})
planted('a session has two owners: requests on the connection it has left are still carried out', async () => {
  const law = await withBug(Sessions.prototype, 'get', (get) => function (this: Sessions, id: bigint) {
    const session = get.call(this as never, id as never) as Session | undefined
    if (session) session.owner = undefined
    return session
  } as never, find('network', 60))
  expect(law).toBe('a session writes in the order it asks')
})

planted('a reconfiguration is decided by the old members alone', async () => {
  const law = await withBug(Leader.prototype, 'isQuorum', () => function (this: Leader, servers: ReadonlySet<number>, [oldest]: readonly QuorumConfig[] = [this.configs.committed]) {
    return hasQuorum(oldest, servers)
  } as never, findReconfiguring('members'))
  expect(law).toMatch(/^what is committed is in the logs of a quorum$|promises of a quorum|before a quorum knows it/)
})
planted('a new member is counted before its configuration is in force', async () => {
  const law = await withBug(Leader.prototype, 'isQuorum', () => function (this: Leader, servers: ReadonlySet<number>, configs: readonly QuorumConfig[] = [this.configs.lastSeen]) {
    return hasQuorum(configs[configs.length - 1], servers)
  } as never, findReconfiguring('members'))
  expect(law).toMatch(/^what is committed is in the logs of a quorum$|^a quorum keeps what is committed$|promises of a quorum|before a quorum knows it/)
})
planted('whoever acknowledges counts, also who is no voter', async () => {
  const law = await withBug(Leader.prototype, 'isQuorum', () => function (this: Leader, servers: ReadonlySet<number>, configs: readonly QuorumConfig[] = [this.configs.committed, this.configs.lastSeen]) {
    return configs.every(({ voters }) => servers.size * 2 > voters.size)
  } as never, findReconfiguring('members'))
  expect(law).toMatch(/^what is committed is in the logs of a quorum$|promises of a quorum|before a quorum knows it/)
})

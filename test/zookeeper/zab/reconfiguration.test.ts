/** One configuration after another: what is asked for, who has to agree, who leads afterwards, and what a server remembers of it. */
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/host/logger.ts'
import { errorCode } from '../../../src/zookeeper/protocol/errors.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { LearnerInfo, packetType } from '../../../src/zookeeper/protocol/quorum.ts'
import { encodeTransaction } from '../../../src/zookeeper/protocol/transactions.ts'
import { Configurations } from '../../../src/zookeeper/zab/configurations.ts'
import { Leader, type LeaderFacts, type LeaderOutput } from '../../../src/zookeeper/zab/leader.ts'
import { Learner, packetOf } from '../../../src/zookeeper/zab/learner.ts'
import { formatDynamicFile, formatQuorumConfig, parseDynamicFile, quorumConfig, readQuorumLines, type QuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'
import { nextConfig, reconfigurationIn, staysLeader, successorOf, type ReconfigurationRequest } from '../../../src/zookeeper/zab/reconfiguration.ts'
import { ensembleOf, serverOf } from './members.ts'

const epoch = 5n << 32n
const at = (config: QuorumConfig, version: bigint): QuorumConfig => ({ ...config, version })
const asked = (request: Partial<ReconfigurationRequest>): ReconfigurationRequest => ({ joiningServers: null, leavingServers: null, newMembers: null, curConfigId: -1n, ...request })
/** A log entry that brings a configuration, whose version is its zxid. */
function entryOf(config: QuorumConfig): { zxid: bigint; bytes: Buffer } {
  const zxid = config.version
  const data = Buffer.from(formatQuorumConfig(config))
  return { zxid, bytes: encodeTransaction({ header: { clientId: 1n, cxid: 1, zxid, time: 0, type: op.reconfig }, body: { type: op.reconfig, path: '/zookeeper/config', data, version: -1 } }) }
}
const plain = (zxid: bigint) => ({ zxid, bytes: encodeTransaction({ header: { clientId: 1n, cxid: 2, zxid, time: 0, type: op.delete }, body: { type: op.delete, path: '/a' } }) })

describe('what a client asks for', () => {
  const committed = at(quorumConfig({ servers: [1, 2, 3].map((id) => serverOf(id, 'participant', { client: { host: '0.0.0.0', port: 2181 } })) }), 7n)
  const next = (request: Partial<ReconfigurationRequest>, facts: Partial<Parameters<typeof nextConfig>[1]> = {}) =>
    nextConfig(asked(request), { committed, lastSeen: committed, zxid: 99n, standaloneEnabled: true, isSynced: () => true, ...facts })
  const text = (result: ReturnType<typeof next>): string => (typeof result === 'number' ? String(result) : formatQuorumConfig(result))

  test('a difference: leaving, joining, another role for a member', () => {
    expect(text(next({ leavingServers: ' 3 ', joiningServers: 'server.4=10.0.0.4:2888:3888:observer;2184,server.2=10.0.0.2:2889:3889;10.0.0.2:2182' }))).toBe([
      'server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181', 'server.2=10.0.0.2:2889:3889:participant;10.0.0.2:2182', 'server.4=10.0.0.4:2888:3888:observer;0.0.0.0:2184', 'version=63',
    ].join('\n'))
    expect(text(next({ leavingServers: '3,9' })).split('\n')).toHaveLength(3)
  })
  test('the whole membership, with groups and weights', () => {
    const lines = ['server.1=a:1:2:participant', 'server.2=b:1:2:participant', 'server.3=c:1:2:participant', 'group.1=1:2', 'group.2=3', 'weight.1=1', 'weight.2=2', 'weight.3=1']
    const config = next({ newMembers: [...lines, 'version=5'].join(',') })
    expect(text(config)).toBe([...lines, 'version=63'].join('\n'))
    expect(next({ joiningServers: 'server.4=d:1:2;3' }, { committed: config as QuorumConfig, lastSeen: config as QuorumConfig })).toBe(errorCode.badArguments)
  })
  test.each([
    ['one is on its way', { leavingServers: '3' }, { lastSeen: at(committed, 8n) }, errorCode.reconfigInProgress],
    ['another version', { leavingServers: '3', curConfigId: 6n }, {}, errorCode.badVersion],
    ['one voter left', { leavingServers: '2,3' }, {}, errorCode.badArguments],
    ['no voter left', { leavingServers: '1,2,3' }, { standaloneEnabled: false }, errorCode.badArguments],
    ['no line', { joiningServers: 'server.4' }, {}, errorCode.badArguments],
    ['no client port', { joiningServers: 'server.4=d:1:2' }, {}, errorCode.badArguments],
    ['a taken address', { joiningServers: 'server.4=10.0.0.3:2888:9;1' }, {}, errorCode.badArguments],
    ['no number to leave', { leavingServers: 'three' }, {}, errorCode.marshallingError],
    ['a key that does not belong there', { newMembers: 'server.1=a:1:2,server.2=b:1:2,tickTime=3' }, {}, errorCode.badArguments],
    ['nobody there', { joiningServers: 'server.4=d:1:2;3' }, { isSynced: () => false }, errorCode.newConfigNoQuorum],
  ] as const)('refused: %s', (_name, request, facts, code) => {
    expect(next(request, facts)).toBe(code)
  })
  test('a single voter is enough where a standalone server may be an ensemble', () => {
    expect(text(next({ leavingServers: '2,3' }, { standaloneEnabled: false })).split('\n')).toHaveLength(2)
  })
})

test('the text of a file is sorted as text; its version is in its name', () => {
  const config = at(readQuorumLines([...[1, 2, 10].map((id) => ({ key: `server.${id}`, value: `h${id}:1:2` })), { key: 'group.1', value: '1:2:10' }]), 0x100000000n)
  const lines = ['group.1=1:2:10', 'server.10=h10:1:2:participant', 'server.1=h1:1:2:participant', 'server.2=h2:1:2:participant']
  const weights = ['weight.10=1', 'weight.1=1', 'weight.2=1']
  expect(formatDynamicFile(config)).toBe([...lines, ...weights].join('\n'))
  expect(formatDynamicFile(config, true)).toBe([...lines, 'version=100000000', ...weights].join('\n'))
  expect(parseDynamicFile(formatDynamicFile(config), '/etc/zoo.cfg.dynamic.100000000')).toEqual(config)
  expect(parseDynamicFile('server.1=a:1:2', '/etc/zoo.cfg.dynamic').version).toBe(0n)
})

test('a leader stays where it votes at the same address; its successor has acknowledged the most', () => {
  const three = ensembleOf(1, 2, 3)
  expect(staysLeader(3, three, ensembleOf(2, 3))).toBe(true)
  expect(staysLeader(3, three, ensembleOf(1, 2))).toBe(false)
  expect(staysLeader(3, three, quorumConfig({ servers: [serverOf(1), serverOf(2), serverOf(3, 'observer')] }))).toBe(false)
  const moved = quorumConfig({ servers: [serverOf(1), serverOf(2), serverOf(3, 'participant', { addresses: [{ host: '10.0.0.3', quorumPort: 1, electionPort: 3888 }] })] })
  expect(staysLeader(3, three, moved)).toBe(false)
  const next = ensembleOf(1, 2, 4)
  expect(successorOf(3, next, new Set([1, 2, 3, 5]), [new Set([1, 2]), new Set([2, 3]), new Set([1])])).toBe(2)
  expect(successorOf(3, next, new Set([3]), [])).toBeUndefined()
})

describe('a leader', () => {
  /** Leads `config` with these followers, all synchronized. */
  function leading(config: QuorumConfig, followers: readonly number[], facts: Partial<LeaderFacts> = {}): { leader: Leader; step: Leader['step']; said: LeaderOutput[]; opening: LeaderOutput[] } {
    const leader = new Leader({
      serverId: 3, acceptedEpoch: 4, currentEpoch: 4, lastZxid: 0n, config, reconfigEnabled: true, committed: () => [], lastProcessed: () => 0n, tickMs: 100, initLimit: 5, syncLimit: 2, now: 0, ...facts,
    })
    const said: LeaderOutput[] = []
    const step: Leader['step'] = (input) => {
      const outputs = leader.step(input).flatMap((output): LeaderOutput[] => [output, ...(output.kind === 'persist' ? step({ kind: 'persisted', name: output.name }) : [])])
      return outputs
    }
    const hear = (from: number, type: number, zxid: bigint, data: Buffer | null) => said.push(...step({ kind: 'packet', from, packet: packetOf(type, zxid, data), now: 0 }))
    const history = Buffer.alloc(4)
    history.writeInt32BE(4)
    for (const output of leader.begin()) if (output.kind === 'persist') said.push(...step({ kind: 'persisted', name: output.name }))
    for (const id of followers) hear(id, packetType.followerInfo, 4n << 32n, LearnerInfo.encode({ serverid: BigInt(id), protocolVersion: 0x10000, configVersion: 0n }))
    for (const id of followers) hear(id, packetType.ackEpoch, 0n, history)
    for (const id of followers) hear(id, packetType.ack, epoch, null)
    expect(leader.isEstablished || said.some(({ kind }) => kind === 'configActivated')).toBe(true)
    return { leader, step, said, opening: [...said] }
  }
  const kinds = (outputs: readonly LeaderOutput[]): string[] => outputs.map((output) => (output.kind === 'send' ? `send ${output.packet.type}` : output.kind))
  const ack = (step: Leader['step'], from: number, zxid: bigint) => kinds(step({ kind: 'packet', from, packet: packetOf(packetType.ack, zxid), now: 0 }))
  const old = at(ensembleOf(1, 2, 3), 1n)

  test('gives the first configuration the version of its epoch, with NEWLEADER', () => {
    const { opening, leader } = leading(ensembleOf(1, 2, 3), [1, 2])
    expect(opening.filter(({ kind }) => kind === 'configSeen' || kind === 'configActivated')).toMatchObject([{ kind: 'configSeen', config: { version: epoch } }, { kind: 'configActivated', config: { version: epoch } }])
    const newLeader = opening.find((output) => output.kind === 'send' && output.packet.type === packetType.newLeader) as LeaderOutput & { kind: 'send' }
    expect(String(newLeader.packet.data).endsWith('version=500000000')).toBe(true)
    expect(leader.configs.committed.version).toBe(epoch)
  })
  test('and leaves it alone where reconfiguration is off', () => {
    expect(leading(ensembleOf(1, 2, 3), [1, 2], { reconfigEnabled: false }).opening.some(({ kind }) => kind === 'configSeen')).toBe(false)
  })
  test('commits a reconfiguration, and all behind it, with a quorum of the old members and of the new ones', () => {
    const { step, leader } = leading(old, [1, 2, 4, 5])
    const next = at(ensembleOf(3, 4, 5), epoch + 2n)
    step({ kind: 'propose', transaction: plain(epoch + 1n), now: 0 })
    expect(kinds(step({ kind: 'propose', transaction: entryOf(next), now: 0 }))).toEqual(['configSeen', 'send 2'])
    step({ kind: 'propose', transaction: plain(epoch + 3n), now: 0 })
    expect(leader.configs).toMatchObject({ committed: { version: 1n }, lastSeen: { version: epoch + 2n } })
    // The first stands before the change: the old members alone decide about it.
    step({ kind: 'logged', zxid: epoch + 3n })
    for (const zxid of [epoch + 1n, epoch + 2n, epoch + 3n]) expect(ack(step, 4, zxid)).toEqual([])
    expect(ack(step, 1, epoch + 1n)).toEqual(['send 4', 'commit'])
    // 3 and 4 are a quorum of the new members, 3 and 1 one of the old.
    expect(ack(step, 1, epoch + 2n)).toEqual(['configActivated', 'send 9', 'commit'])
    expect(leader.configs.committed.version).toBe(epoch + 2n)
    expect(ack(step, 5, epoch + 3n)).toEqual([])
    expect(ack(step, 1, epoch + 3n)).toEqual(['send 4', 'commit'])
    // What is proposed now needs the new members alone.
    step({ kind: 'propose', transaction: plain(epoch + 4n), now: 0 })
    step({ kind: 'logged', zxid: epoch + 4n })
    expect(ack(step, 1, epoch + 4n)).toEqual([])
    expect(ack(step, 5, epoch + 4n)).toEqual(['send 4', 'commit'])
  })
  test('that is no voter any more names its successor, commits nothing behind it, and goes when all have left', () => {
    const { step, leader } = leading(old, [1, 2])
    const next = at(ensembleOf(1, 2), epoch + 1n)
    step({ kind: 'propose', transaction: entryOf(next), now: 0 })
    step({ kind: 'propose', transaction: plain(epoch + 2n), now: 0 })
    step({ kind: 'logged', zxid: epoch + 2n })
    expect(ack(step, 1, epoch + 1n)).toEqual([])
    expect(ack(step, 2, epoch + 2n)).toEqual([])
    const outputs = step({ kind: 'packet', from: 2, packet: packetOf(packetType.ack, epoch + 1n), now: 0 })
    expect(kinds(outputs)).toEqual(['configActivated', 'send 9', 'commit'])
    expect((outputs[1] as LeaderOutput & { kind: 'send' }).packet.data?.readBigInt64BE(0)).toBe(2n)
    expect(leader.isEstablished).toBe(false)
    expect(ack(step, 1, epoch + 2n)).toEqual([])
    expect(step({ kind: 'disconnected', from: 1 })).toEqual([])
    expect(step({ kind: 'disconnected', from: 2 })).toMatchObject([{ kind: 'abdicate', successor: 2 }])
  })
  test('completes what a leader before it had proposed: with quorums of both', () => {
    const next = at(ensembleOf(3, 4, 5), 2n)
    const { opening, leader } = leading(old, [1, 4], { lastSeen: next })
    expect(opening.filter(({ kind }) => kind === 'configActivated')).toMatchObject([{ config: { version: 2n } }])
    expect(leader.isEstablished).toBe(true)
    const waiting = new Leader({
      serverId: 3, acceptedEpoch: 4, currentEpoch: 4, lastZxid: 0n, config: old, lastSeen: next, reconfigEnabled: true, committed: () => [], lastProcessed: () => 0n, tickMs: 100, initLimit: 5, syncLimit: 2, now: 0,
    })
    const hear = (id: number) => waiting.step({ kind: 'packet', from: id, packet: packetOf(packetType.followerInfo, 4n << 32n, LearnerInfo.encode({ serverid: BigInt(id), protocolVersion: 0x10000, configVersion: 0n })), now: 0 })
    expect([...waiting.begin(), ...hear(1), ...hear(2)]).toEqual([])
    expect(hear(5)).toMatchObject([{ kind: 'persist' }])
  })
  test('counts who is synchronized for a configuration, and refuses learners that know a later one', () => {
    const { leader, step } = leading(old, [1, 4])
    expect(leader.isSynced(ensembleOf(3, 4))).toBe(true)
    expect(leader.isSynced(ensembleOf(1, 2, 5))).toBe(false)
    expect(kinds(step({ kind: 'packet', from: 9, packet: packetOf(packetType.followerInfo, 0n, LearnerInfo.encode({ serverid: 9n, protocolVersion: 0x10000, configVersion: 2n })), now: 0 }))).toEqual(['close'])
  })
})

describe('a learner', () => {
  const next = at(ensembleOf(1, 2), epoch + 1n)
  function following(reconfigEnabled = true): Learner {
    const learner = new Learner({ serverId: 1, role: 'follower', acceptedEpoch: 4, currentEpoch: 4, lastZxid: 0n, configVersion: 1n, reconfigEnabled })
    learner.step({ kind: 'connected' })
    const version = Buffer.alloc(4)
    version.writeInt32BE(0x10000)
    for (const packet of [packetOf(packetType.leaderInfo, epoch, version), packetOf(packetType.diff, 0n)]) learner.step({ kind: 'packet', packet })
    return learner
  }
  const hear = (learner: Learner, type: number, zxid: bigint, data: Buffer | null = null) => learner.step({ kind: 'packet', packet: packetOf(type, zxid, data) })
  const leader = (id: bigint): Buffer => {
    const data = Buffer.alloc(8)
    data.writeBigInt64BE(id)
    return data
  }

  test('has what came with NEWLEADER in force with UPTODATE, and made durable before it says anything', () => {
    const learner = following()
    expect(hear(learner, packetType.newLeader, epoch, Buffer.from(formatQuorumConfig(at(ensembleOf(1, 2, 3), 2n)))).map(({ kind }) => kind)).toEqual(['configSeen', 'persist'])
    expect(hear(learner, packetType.upToDate, -1n)[0]).toMatchObject({ kind: 'configActivated', config: { version: 2n }, leader: undefined })
    const deaf = following(false)
    expect(hear(deaf, packetType.newLeader, epoch, Buffer.from('nonsense')).map(({ kind }) => kind)).toEqual(['persist'])
  })
  test.each(['before', 'behind'])('has what its leader is only proposing in force with the commit, not with UPTODATE: proposed %s NEWLEADER', (when) => {
    const learner = following()
    const { zxid, bytes } = entryOf(next)
    const propose = () => hear(learner, packetType.proposal, zxid, bytes)
    if (when === 'before') propose()
    expect(hear(learner, packetType.newLeader, epoch, Buffer.from(formatQuorumConfig(next)))[0]).toMatchObject({ kind: 'configSeen', config: { version: zxid } })
    expect(hear(learner, packetType.upToDate, -1n).map(({ kind }) => kind)).not.toContain('configActivated')
    if (when === 'behind') propose()
    expect(hear(learner, packetType.commitAndActivate, zxid, leader(2n))).toMatchObject([{ kind: 'configActivated', config: { version: zxid } }, { kind: 'commit', zxid }])
  })
  test('makes a proposed configuration durable before it is logged, and has it in force before it is applied', () => {
    const learner = following()
    hear(learner, packetType.newLeader, epoch, null)
    hear(learner, packetType.upToDate, -1n)
    const { zxid, bytes } = entryOf(next)
    expect(hear(learner, packetType.proposal, zxid, bytes).map(({ kind }) => kind)).toEqual(['configSeen', 'append'])
    expect(hear(learner, packetType.commitAndActivate, zxid, leader(2n))).toMatchObject([{ kind: 'configActivated', leader: 2 }, { kind: 'commit', zxid }])
    expect(reconfigurationIn(bytes)).toEqual(next)
    expect(reconfigurationIn(plain(9n).bytes)).toBeUndefined()
  })
  test('of an old one in a difference it only takes note', () => {
    const learner = following()
    const { zxid, bytes } = entryOf(next)
    expect(hear(learner, packetType.proposal, zxid, bytes).map(({ kind }) => kind)).toEqual(['configSeen', 'append'])
    expect(hear(learner, packetType.commit, zxid).map(({ kind }) => kind)).toEqual(['commit'])
  })
  test('that observes is told with the transaction itself; one that cannot be read ends the connection', () => {
    const learner = following()
    hear(learner, packetType.newLeader, epoch, null)
    hear(learner, packetType.upToDate, -1n)
    const { zxid, bytes } = entryOf(next)
    expect(hear(learner, packetType.informAndActivate, zxid, Buffer.concat([leader(3n), bytes])).map(({ kind }) => kind)).toEqual(['configSeen', 'append', 'configActivated', 'commit'])
    expect(hear(following(), packetType.newLeader, epoch, Buffer.from('server.1=nonsense'))).toMatchObject([{ kind: 'abort' }])
  })
})

describe('what a server remembers', () => {
  const one = at(ensembleOf(1, 2, 3), 1n)
  const two = at(ensembleOf(1, 2), 2n)
  function configurations(lastSeen?: QuorumConfig, fails = false) {
    const written: string[] = []
    const write = (what: string) => async () => {
      await Promise.resolve()
      if (fails) throw new Error('no space')
      written.push(what)
    }
    const keeper = { writeSeen: (config: QuorumConfig) => write(`seen ${config.version}`)(), removeSeen: write('none seen'), write: (config: QuorumConfig) => write(`in force ${config.version}`)() }
    return { written, kept: new Configurations({ serverId: 3, config: one, lastSeen, isEnabled: true, keeper, logger: silentLogger }) }
  }
  test('what is proposed, then what is in force, in this order on disk', async () => {
    const { kept, written } = configurations()
    const changes: string[] = []
    kept.onChange.push(({ isActivation }) => changes.push(`${isActivation ? 'in force' : 'seen'} ${kept.committed.version}/${kept.lastSeen.version}`))
    await kept.see(two)
    expect(written).toEqual(['seen 2'])
    expect(kept.activate(two)).toBe(true)
    expect(kept.activate(one)).toBe(false)
    await kept.written()
    expect(written).toEqual(['seen 2', 'in force 2', 'none seen'])
    expect(changes).toEqual(['seen 1/2', 'in force 2/2'])
    // No member any more: its own line is the last it had.
    expect([kept.own?.id, kept.isObserver]).toEqual([3, false])
  })
  test('one that a later leader does not know is given up', async () => {
    const { kept, written } = configurations(two)
    expect(kept.lastSeen).toBe(two)
    await kept.see(one)
    expect(kept.lastSeen).toBe(one)
    expect(written).toEqual(['none seen'])
  })
  test('a proposed one that cannot be written is told; one in force stays in force', async () => {
    const { kept } = configurations(undefined, true)
    await expect(kept.see(two)).rejects.toThrow('no space')
    kept.activate(two)
    await kept.written()
    expect(kept.committed).toBe(two)
  })
})

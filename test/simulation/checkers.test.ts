import { describe, expect, test } from 'vitest'
import { CompactionLaws } from '../../src/simulation/checkers/compaction.ts'
import { EnsembleLaws } from '../../src/simulation/checkers/ensembles.ts'
import { LogLaws } from '../../src/simulation/checkers/logs.ts'
import { Registers } from '../../src/simulation/checkers/registers.ts'
import { Sequences } from '../../src/simulation/checkers/sequences.ts'
import { Watches } from '../../src/simulation/checkers/watches.ts'

describe('registers', () => {
  test('a read that began before a write was answered may show either', () => {
    const registers = new Registers()
    registers.written(registers.writeBegins('/r', 'a'), 'a', 1n)
    const early = registers.begins('/r')
    registers.written(registers.writeBegins('/r', 'b'), 'b', 2n)
    registers.read(early, 'a', 1n)
    expect(() => registers.read(registers.begins('/r'), 'a', 1n)).toThrow('what was acknowledged is there')
  })
  test('what one reader has seen, a later one sees', () => {
    const registers = new Registers()
    registers.writeBegins('/r', 'a')
    registers.read(registers.begins('/r'), 'a', 7n)
    expect(() => registers.missing(registers.begins('/r'))).toThrow('what was acknowledged is there')
  })
  test('a write that begins after another was answered is numbered above it, on any path', () => {
    const registers = new Registers()
    registers.written(registers.writeBegins('/r', 'a'), 'a', 5n)
    const floor = registers.writeBegins('/other', 'b')
    expect(() => registers.written(floor, 'b', 4n)).toThrow('real time')
  })
  test('a number has one value, and a refused value is never seen', () => {
    const registers = new Registers()
    registers.written(registers.writeBegins('/r', 'a'), 'a', 5n)
    const floor = registers.writeBegins('/r', 'b')
    expect(() => registers.read(floor, 'b', 5n)).toThrow('one write has one value')
    registers.writeRefused(floor, 'b')
    expect(() => registers.read(floor, 'b', 6n)).toThrow('a refused write has no effect')
  })
})

test('sequential names increase', () => {
  const sequences = new Sequences()
  sequences.created('/q/', sequences.begins('/q/'), '/q/0000000004')
  expect(() => sequences.created('/q/', sequences.begins('/q/'), '/q/0000000003')).toThrow('increase')
  expect(() => sequences.created('/q/', -1, '/q/0000000004')).toThrow('given once')
  expect(() => sequences.listed(new Set())).toThrow('what was acknowledged is there')
})

test('a watch is told before the read that shows the change, and none is forgotten', () => {
  const watches = new Watches('c')
  const watch = watches.set('/r', 3n)
  watches.read('/r', watches.begins('/r'), 3n)
  expect(() => watches.read('/r', watches.begins('/r'), 4n)).toThrow('before the read')
  expect(() => watches.mustHaveFired(() => 4n)).toThrow('no watch is forgotten')
  watches.fires(watch)
  expect(() => watches.fires(watch)).toThrow('told once')
  expect(() => watches.read('/r', watches.begins('/r'), 3n)).toThrow('tells of a change')
})

describe('logs', () => {
  test('an offset keeps its record, and a record its place', () => {
    const laws = new LogLaws()
    laws.sends(0, ['p.0', 'p.1'])
    laws.acknowledged(0, ['p.0', 'p.1'], 10)
    expect(() => laws.fetched(0, 10, [{ offset: 10, value: 'p.1' }], 12)).toThrow('one record for ever')
    expect(() => laws.fetched(0, 10, [{ offset: 11, value: 'p.1' }], 12)).toThrow('no gap')
    expect(() => laws.whole(0, [{ offset: 10, value: 'p.0' }])).toThrow('what was acknowledged is there')
    expect(() => laws.whole(0, [{ offset: 10, value: 'p.0' }, { offset: 11, value: 'p.1' }, { offset: 12, value: 'p.1' }])).toThrow('there once')
  })
  test('watermarks and committed offsets never go back', () => {
    const laws = new LogLaws()
    const early = laws.begins(0)
    laws.watermark(0, early, 5)
    laws.watermark(0, early, 4)
    expect(() => laws.watermark(0, laws.begins(0), 4)).toThrow('high watermark')
    laws.commits('g', 1)
    laws.commits('g', 2)
    laws.committed('g', 1)
    laws.committedOffset('g', 2)
    expect(() => laws.committedOffset('g', 1)).toThrow('committed offsets never go back')
  })
})

describe('compaction', () => {
  const entry = (id: string, key: string, isTombstone = false) => ({ id, key, isTombstone })
  /** Key a: written at 0 and 1, deleted at 3; key b: written at 2, and by an aborted transaction at 4. */
  function written(): CompactionLaws {
    const laws = new CompactionLaws()
    laws.sends(0, [entry('a0', 'a'), entry('a1', 'a'), entry('b2', 'b'), entry('a3', 'a', true)])
    laws.acknowledged([entry('a0', 'a'), entry('a1', 'a'), entry('b2', 'b'), entry('a3', 'a', true)], 0)
    laws.begins('t')
    laws.sends(0, [entry('b4', 'b')], 't')
    laws.acknowledged([entry('b4', 'b')], 4)
    laws.ends('t', 'aborted')
    return laws
  }
  const at = (offset: number, id: string, key: string, isTombstone = false) => ({ ...entry(id, key, isTombstone), offset })
  const view = (position: number, isPrompt: boolean, ...seen: ReturnType<typeof at>[]) => ({ partition: 0, position, isPrompt, who: 'a reader', seen: new Map(seen.map((each) => [each.id, each])) })
  test('a view holds the newest value of each key below its end, and nothing that was aborted counts', () => {
    const laws = written()
    laws.views(view(5, true, at(1, 'a1', 'a'), at(2, 'b2', 'b'), at(3, 'a3', 'a', true), at(4, 'b4', 'b')))
    laws.views(view(2, true, at(0, 'a0', 'a')))
    expect(() => laws.views(view(5, true, at(4, 'b4', 'b'), at(3, 'a3', 'a', true)))).toThrow('the newest value is there')
    laws.sends(0, [entry('b5', 'b')])
    laws.views(view(5, true, at(4, 'b4', 'b'), at(3, 'a3', 'a', true)))
  })
  test('who has seen what a tombstone deletes is shown it, unless he was slow', () => {
    const laws = written()
    laws.views(view(5, true, at(2, 'b2', 'b')))
    laws.views(view(5, false, at(1, 'a1', 'a'), at(2, 'b2', 'b')))
    expect(() => laws.views(view(5, true, at(1, 'a1', 'a'), at(2, 'b2', 'b')))).toThrow('a tombstone stays')
  })
  test('offsets never change, and what is aborted never comes back', () => {
    const laws = written()
    expect(() => laws.reads(0, at(1, 'a0', 'a'), false)).toThrow('one record for ever')
    expect(() => laws.reads(0, at(7, 'a0', 'a'), false)).toThrow('offsets never change')
    laws.reads(0, at(4, 'b4', 'b'), false)
    expect(() => laws.reads(0, at(4, 'b4', 'b'), true)).toThrow('never comes back')
  })
  test('what is clean has each key once, and nothing that was aborted', () => {
    const laws = written()
    laws.cleaned('a replica', 4, [at(2, 'b2', 'b'), at(3, 'a3', 'a', true), at(4, 'b4', 'b')])
    expect(() => laws.cleaned('a replica', 2, [at(0, 'a0', 'a'), at(1, 'a1', 'a')])).toThrow('each key once')
    expect(() => laws.cleaned('a replica', 5, [at(4, 'b4', 'b')])).toThrow('nothing aborted is left')
  })
  test('producers and markers are those that the batches tell of', () => {
    const laws = written()
    const producer = { producerId: 7, producerEpoch: 1, lastSequence: 4, currentTransactionStartOffset: -1 }
    laws.producers('a replica', [producer], [producer, { ...producer, producerId: 8 }])
    expect(() => laws.producers('a replica', [producer], [])).toThrow('no producer is forgotten')
    expect(() => laws.producers('a replica', [producer], [{ ...producer, currentTransactionStartOffset: 3 }])).toThrow('a marker stays')
    expect(() => laws.marked('a replica', ['b4'], true)).toThrow('a marker says')
    expect(() => laws.marked('a replica', ['b2', 'b4'], false)).toThrow('a marker stays')
  })
})

describe('ensembles', () => {
  /** Server 1 leads, and the others have logged and applied what it has. */
  function together(count: number): EnsembleLaws {
    const laws = new EnsembleLaws([1, 2, 3])
    for (const server of [1, 2, 3]) laws.promised(server, 1)
    laws.leads(1, 1)
    for (const server of [2, 3]) laws.follows(server, 1)
    for (let zxid = 1n; zxid <= count; zxid++) {
      for (const server of [1, 2, 3]) laws.appended(server, zxid, `t${zxid}`)
      for (const server of [1, 2, 3]) laws.delivered(server, zxid, `s${zxid}`)
    }
    return laws
  }
  test('an epoch has one leader, and no member goes back to an older one or forgets what it has promised', () => {
    const laws = together(0)
    expect(() => laws.leads(2, 1)).toThrow('one leader')
    for (const server of [1, 2]) laws.promised(server, 5)
    expect(() => laws.promised(2, 5)).toThrow('promised twice')
    expect(() => laws.follows(2, 1)).toThrow('older than it has promised')
    laws.leads(2, 5)
    laws.follows(3, 5)
    expect(() => laws.follows(3, 1)).toThrow('go back')
    expect(() => laws.follows(1, 6)).toThrow('before the leader')
  })
  test('committed prefixes never differ: not in content, not in order, not by a gap', () => {
    const laws = together(2)
    expect(() => laws.appended(2, 2n, 'other')).toThrow('one transaction')
    for (const server of [1, 2, 3]) laws.appended(server, 4n, 't4')
    laws.delivered(1, 4n, 's4')
    expect(() => laws.delivered(2, 4n, 'other')).toThrow('never differ')
    expect(() => laws.delivered(3, 5n, 's5')).toThrow('in the order of the log')
    expect(() => laws.appended(3, 3n, 't3')).toThrow('grows in the order')
  })
  test('what one has logged alone is not committed, and is cut off before it serves again', () => {
    const laws = together(2)
    laws.appended(3, 3n, 'alone')
    expect(() => laws.delivered(3, 3n, 's3')).toThrow('logs of a quorum')
    laws.stopped(3)
    for (const server of [1, 2]) laws.promised(server, 2)
    laws.leads(2, 2)
    expect(() => laws.follows(3, 2)).toThrow('never differ')
    laws.truncated(3, 2n)
    laws.follows(3, 2)
  })
  test('what was acknowledged is in every later leader, and a quorum keeps it', () => {
    const laws = together(3)
    expect(() => laws.acknowledged(4n)).toThrow('only what is committed')
    laws.acknowledged(3n)
    laws.restored(3, 2n)
    expect(() => laws.restored(2, 2n)).toThrow('a quorum keeps')
    expect(() => laws.leads(3, 2)).toThrow('every later leader')
  })
  /** All have logged that 1, 3 and 4 vote from the third transaction on. */
  function proposed(): EnsembleLaws {
    const laws = together(2)
    laws.installs(4, 1, 2n)
    laws.installed(4)
    for (const server of [1, 3]) laws.appended(server, 3n, 'reconfig', new Set([1, 3, 4]))
    return laws
  }
  test('a reconfiguration needs a quorum of the old members and one of the new; what comes after it the new ones decide', () => {
    const early = proposed()
    early.restored(3, 2n)
    early.appended(2, 3n, 'reconfig', new Set([1, 3, 4]))
    expect(() => early.delivered(1, 3n, 's3')).toThrow('voters are 1, 3, 4')
    const foreign = proposed()
    foreign.restored(3, 2n)
    foreign.appended(4, 3n, 'reconfig', new Set([1, 3, 4]))
    expect(() => foreign.delivered(1, 3n, 's3')).toThrow('voters are 1, 2, 3')
    const laws = proposed()
    laws.delivered(1, 3n, 's3')
    laws.appended(1, 4n, 't4')
    laws.appended(2, 3n, 'reconfig', new Set([1, 3, 4]))
    laws.appended(2, 4n, 't4')
    expect(() => laws.delivered(1, 4n, 's4')).toThrow('logs of a quorum')
    laws.stopped(1)
    for (const server of [1, 2]) laws.promised(server, 2)
    expect(() => laws.leads(1, 2)).toThrow('promises of a quorum')
  })
  test('nobody leads in an older configuration, or in one that nobody has proposed, and nobody serves in one that is not in force', () => {
    const config = { version: 3n, voters: new Set([1, 3, 4]) }
    const laws = proposed()
    expect(() => laws.follows(2, 1, 3n)).toThrow('before a quorum knows it')
    laws.delivered(1, 3n, 's3')
    laws.follows(3, 1, 3n)
    for (const server of [1, 2, 3, 4]) laws.promised(server, 2)
    laws.stopped(3)
    expect(() => laws.leads(3, 2, { version: 0n, voters: new Set([1, 2, 3]) })).toThrow('the latest configuration')
    expect(() => laws.leads(3, 2, { ...config, voters: new Set([1, 3]) })).toThrow('what was proposed')
    laws.leads(3, 2, config)
  })
  test('a member starts with what it has logged', () => {
    expect(() => together(3).restored(3, 9n)).toThrow('starts with what it has logged')
  })
  test('a snapshot brings its history, as soon as it is durable', () => {
    const laws = together(3)
    laws.installs(4, 1, 2n)
    laws.restored(4, 0n)
    laws.installs(4, 1, 3n)
    laws.restored(4, 3n)
    laws.follows(4, 1)
    expect(laws.settledEpoch).toBe(1)
  })
  test.each([['what it brings', 0x2_0000_0000n], ['what was there', 0x1_0000_0000n]])('a snapshot of the beginning of an epoch was cut off, and files that end with that beginning hold %s', (held, zxid) => {
    const laws = together(3)
    laws.restored(3, 2n)
    for (const server of [1, 2]) laws.promised(server, 2)
    laws.leads(1, 2)
    laws.follows(2, 2)
    laws.installs(3, 1, 0x2_0000_0000n)
    laws.restored(3, zxid)
    for (const server of [1, 2, 3]) laws.appended(server, 0x2_0000_0001n, 't4')
    for (const server of [1, 2, 3]) laws.delivered(server, 0x2_0000_0001n, 's4')
    const serves = () => laws.follows(3, 2)
    if (held === 'what it brings') serves()
    else expect(serves).toThrow('never differ')
  })
})

import { describe, expect, test } from 'vitest'
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

describe('ensembles', () => {
  test('an epoch has one leader', () => {
    const laws = new EnsembleLaws()
    laws.established(1, 4)
    laws.established(1, 4)
    expect(() => laws.established(2, 4)).toThrow('one leader')
    expect(() => laws.established(1, 3)).toThrow('epochs never go back')
  })
  test('committed prefixes never differ: not in content, not in order, not by a gap', () => {
    const laws = new EnsembleLaws()
    for (const zxid of [1n, 2n, 3n]) laws.delivered('a', zxid, `t${zxid}`)
    laws.delivered('b', 1n, 't1')
    expect(() => laws.delivered('b', 2n, 'other')).toThrow('never differ')
    expect(() => laws.delivered('b', 3n, 't3')).toThrow('never differ')
    laws.restored('c', 2n)
    laws.delivered('c', 3n, 't3')
    expect(() => laws.delivered('c', 2n, 't2')).toThrow('never differ')
  })
  test('what was acknowledged is in every later leader', () => {
    const laws = new EnsembleLaws()
    laws.acknowledged(7n)
    laws.leads(1, [6n, 7n, 8n])
    expect(() => laws.leads(2, [6n, 8n])).toThrow('every later leader')
  })
})

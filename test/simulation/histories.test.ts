import { describe, expect, test } from 'vitest'
import { judge, type Operation } from '../../src/simulation/checkers/histories.ts'

/** A history in one line each: who, what, when begun, when answered, as which zxid. */
const write = (client: string, value: string, begun: number, ended: number, zxid: number, more: Partial<Operation> = {}): Operation =>
  ({ client, kind: 'write', path: '/r', value, begun, ended, outcome: 'ok', zxid: BigInt(zxid), ...more })
const read = (client: string, value: string, begun: number, ended: number, zxid: number, more: Partial<Operation> = {}): Operation =>
  ({ ...write(client, value, begun, ended, zxid), kind: 'read', ...more })
const add = (client: string, value: string, begun: number, ended: number, zxid: number, more: Partial<Operation> = {}): Operation =>
  ({ ...write(client, value, begun, ended, zxid), kind: 'add', path: '/s', ...more })
const list = (client: string, names: string[], begun: number, ended: number, zxid: number, more: Partial<Operation> = {}): Operation =>
  ({ ...write(client, '', begun, ended, zxid), kind: 'list', path: '/s', names, ...more })
const lost: Partial<Operation> = { outcome: 'unknown', zxid: 0n }
const refused: Partial<Operation> = { outcome: 'refused', zxid: 0n }

/** Two clients, a register and a set; one write whose fate is unknown, and one that was refused. */
const sound: readonly Operation[] = [
  write('a', 'first', 0, 1, 1, { version: 0 }),
  write('a', 'second', 2, 5, 3, { version: 1, expected: 0 }),
  read('a', 'second', 3, 6, 3, { version: 1, header: 3n }),
  // Not as new as what a knows already, which is allowed.
  read('b', 'first', 7, 8, 1, { version: 0 }),
  add('b', 'x', 7, 9, 4),
  list('b', ['x'], 8, 10, 4),
  add('a', 'y', 9, 12, 0, lost),
  write('b', 'third', 11, 13, 0, refused),
  list('a', ['x', 'y'], 20, 21, 5, { isSynced: true }),
  read('a', 'second', 22, 23, 3, { version: 1, isSynced: true }),
]

describe('a history', () => {
  test('that is sound passes', () => {
    expect(judge(sound)).toEqual({ writes: 3, reads: 3, lists: 2, refused: 1, unknown: 1 })
  })
  const planted: Record<string, [law: string, ...extra: Operation[]]> = {
    'a write numbered below one that was answered before it began': ['writes are ordered as real time has them', write('c', 'late', 30, 31, 2)],
    'two writes of one zxid': ['one zxid is one write', add('c', 'z', 6, 8, 4)],
    'a value that nobody wrote': ['only what was written is read', read('c', 'stray', 30, 31, 9)],
    'a refused value is read': ['a refused write has no effect', read('c', 'third', 30, 31, 9)],
    'one zxid shows two values': ['one write has one value', read('c', 'first', 30, 31, 3)],
    'an acknowledged write is gone from a register': ['what was acknowledged is there', read('c', 'first', 30, 31, 1, { isSynced: true })],
    'an acknowledged write is gone from a set': ['what was acknowledged is there', list('c', ['y'], 30, 31, 5)],
    'a set that is older than what was acknowledged, after a sync': ['what was acknowledged is there', list('c', [], 30, 31, 2, { isSynced: true })],
    'a session reads what is older than its own write': ['zxids never go back on a session', write('c', 'mine', 30, 31, 6), read('c', 'second', 32, 33, 3)],
    'a session reads one path older than it saw another': ['zxids never go back on a session', list('c', ['x'], 30, 31, 4), read('c', 'first', 32, 33, 1)],
    'a reply at an older zxid': ['zxids never go back on a session', read('c', 'second', 30, 31, 3, { header: 9n }), read('c', 'second', 32, 33, 3, { header: 8n })],
    'pipelined writes that changed places': ['a session writes in its order', write('c', 'one', 30, 35, 8), write('c', 'two', 31, 36, 7)],
    'pipelined requests answered out of order': ['a session is answered in its order', read('c', 'second', 30, 36, 3), read('c', 'second', 31, 35, 3)],
    'two lists of one zxid differ': ['everybody sees one order', list('c', ['x'], 30, 31, 5)],
    'a list forgets what an older one showed': ['everybody sees one order', list('c', ['x'], 30, 31, 6)],
    'a list shows a child that came later': ['a list shows its zxid', list('c', ['x'], 30, 31, 3)],
    'a list shows a child nobody made': ['only what was written is read', list('c', ['x', 'y', 'stray'], 30, 31, 6)],
    'two writes of one version': ['one version is one write', write('c', 'rival', 30, 31, 7, { version: 1 })],
    'a later version of an earlier write': ['versions are in the order of the writes', write('c', 'odd', 2, 31, 2, { version: 5 })],
    'a conditional write that skipped one': ['a conditional write follows the version it names', write('c', 'skip', 30, 31, 7, { version: 4, expected: 2 })],
  }
  for (const [title, [law, ...extra]] of Object.entries(planted))
    test(`is refused with ${title}`, () => expect(() => judge([...sound, ...extra])).toThrow(law))
})

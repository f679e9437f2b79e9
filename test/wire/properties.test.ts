import { expect, test } from 'vitest'
import { parseProperties } from '../../src/wire/properties.ts'

const pairs = (text: string): string[][] => parseProperties(text).map(({ key, value }) => [key, value])

test('=, : and white space separate a key from its value, and white space around them belongs to nobody', () => {
  expect(pairs('a=1\nb : 2\nc 3\n  d\t=\t4  \ne\nf=\ng= =x\nh==x')).toEqual([['a', '1'], ['b', '2'], ['c', '3'], ['d', '4  '], ['e', ''], ['f', ''], ['g', '=x'], ['h', '=x']])
})
test('# and ! begin comments only at the beginning of a line', () => {
  expect(pairs('# no\n  ! no\na=1 # yes\n\n')).toEqual([['a', '1 # yes']])
})
test('an odd number of backslashes at the end continues the line, without the next indentation', () => {
  expect(pairs('a=1,\\\n    2,\\\n\t3\nb=x\\\\\nc=y\\')).toEqual([['a', '1,2,3'], ['b', 'x\\'], ['c', 'y']])
})
test('a comment sign in a continued line is text', () => {
  expect(pairs('a=1\\\n#2')).toEqual([['a', '1#2']])
})
test('escapes stand for their characters, in keys too', () => {
  expect(pairs('a\\=b\\:c\\ d=\\t\\u00e4\\n\\q')).toEqual([['a=b:c d', '\tä\nq']])
})
test('a malformed \\u escape names its line', () => {
  expect(() => parseProperties('ok=1\nbad=\\u12', 'server.properties')).toThrow('server.properties:2')
})
test('every entry keeps the line it began on', () => {
  expect(parseProperties('#\na=1\\\n2\r\nb=3\ra=4', 'f')).toEqual([
    { key: 'a', value: '12', file: 'f', line: 2 }, { key: 'b', value: '3', file: 'f', line: 4 }, { key: 'a', value: '4', file: 'f', line: 5 },
  ])
})

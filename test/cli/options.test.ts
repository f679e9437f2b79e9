import { describe, expect, test } from 'vitest'
import { helpText, keyValues, OptionError, Options, type OptionSpec } from '../../src/cli/options.ts'

const specs: readonly OptionSpec[] = [
  { name: 'list', help: 'List.' },
  { name: 'topic', takes: 'String', value: 'topic', help: 'The topic.' },
  { name: 'partitions', takes: 'Integer', value: '# of partitions', help: 'How many.' },
  { name: 'timeout', takes: 'Long', byDefault: '5000', help: 'How long.' },
  { name: 'state', takes: 'String', valueIsOptional: true, help: 'States.' },
  { name: 'config', takes: 'String', help: 'Settings.' },
]
const parse = (...argv: string[]) => new Options(specs, argv)

describe('command lines are read as Apache\'s tools read them', () => {
  test('a value follows, or is attached; one dash does as well', () => {
    for (const argv of [['--topic', 'a'], ['--topic=a'], ['-topic', 'a']]) expect(parse(...argv).value('topic')).toBe('a')
    expect(parse('--config', 'k=v=w').value('config')).toBe('k=v=w')
    expect(parse('--config=k=v').value('config')).toBe('k=v')
    expect(parse('--topic', '').value('topic')).toBe('')
  })
  test('a required value is taken as it is, also when it begins with a dash', () => {
    expect(parse('--topic', '--list').value('topic')).toBe('--list')
    expect(parse('--partitions', '-1').number('partitions')).toBe(-1)
  })
  test('an optional value does not swallow the next option', () => {
    const options = parse('--state', '--topic', 'a')
    expect([options.has('state'), options.value('state'), options.value('topic')]).toEqual([true, undefined, 'a'])
    expect(parse('--state', 'stable').value('state')).toBe('stable')
  })
  test('defaults, repetition and stray words', () => {
    expect(parse().number('timeout')).toBe(5000)
    expect(parse('--config', 'a=1', 'stray', '--config', 'b=2').values('config')).toEqual(['a=1', 'b=2'])
    expect(() => parse('--topic', 'a', '--topic', 'b').value('topic')).toThrow('Found multiple arguments for option topic, but you asked for only one')
  })
  test.each([
    [['--foo'], 'foo is not a recognized option'],
    [['--topic'], 'Option topic requires an argument'],
    [['--partitions', 'abc'], "Cannot parse argument 'abc' of option partitions"],
    [['--partitions', '2147483648'], "Cannot parse argument '2147483648' of option partitions"],
    [['--list=x'], "Option list does not take a value, but 'x' was given"],
  ])('%j is refused: %s', (argv, message) => {
    expect(() => parse(...argv)).toThrow(new OptionError(message))
  })
  test('required and contradicting options are named, with the help', () => {
    expect(() => parse('--list').require('topic')).toThrow(expect.objectContaining({ message: 'Missing required argument "[topic]"', showsUsage: true }))
    expect(() => parse('--list', '--state').refuse('state', ['list'])).toThrow('Option "[state]" can\'t be used with option "[list]"')
  })
})
test('key=value words', () => {
  expect([...keyValues(['a=1', 'b='], 'property')]).toEqual([['a', '1'], ['b', '']])
  expect(() => keyValues(['a'], 'property')).toThrow("'a' of --property is not key=value")
})
test('the help has two columns, sorted, within 80 characters', () => {
  const text = helpText(specs)
  expect(text.split('\n').every((line) => line.length <= 80)).toBe(true)
  expect(text).toContain('--partitions <Integer: # of partitions>  How many.\n')
  expect(text).toContain('--state [String]')
  expect(text).toContain('How long. (default: 5000)')
})

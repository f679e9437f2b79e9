import { describe, expect, test } from 'vitest'
import { formatQuorumConfig, formatQuorumLines, hasQuorum, parseDynamicFile, parseQuorumConfig, parseServerLine, QuorumConfigError, readQuorumLines, sameMembership } from '../../../src/zookeeper/zab/quorum-config.ts'

const three = 'server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant;0.0.0.0:2181\nserver.3=[fe80::3]:2888:3888:observer;[::1]:2181\nversion=100000000'

describe('the text of a configuration', () => {
  test.each([
    ['members, roles, clients, IPv6', three],
    ['several addresses', 'server.1=a:2888:3888|b:2889:3889:participant\nversion=0'],
    ['groups and weights', 'server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\ngroup.1=1:2\ngroup.2=3\nweight.1=2\nweight.2=1\nweight.3=0\nversion=ffffffffffffffff'],
    ['none', 'version=0'],
  ])('%s is written as it was read', (_, text) => {
    expect(formatQuorumConfig(parseQuorumConfig(text))).toBe(text)
  })
  test('a role that is left out is participant, a client port alone listens everywhere', () => {
    expect(formatQuorumLines(readQuorumLines([{ key: 'server.12', value: 'h:1:2;2181' }]))).toBe('server.12=h:1:2:participant;0.0.0.0:2181')
    expect(parseServerLine(1, 'h:1:2:OBSERVER').role).toBe('observer')
  })
  test('a dynamic file has its version in its name', () => {
    const config = parseDynamicFile('server.1=a:2888:3888:participant\n', '/etc/zoo.cfg.dynamic.1a00000000')
    expect(config.version).toBe(0x1a00000000n)
    expect(formatQuorumLines(config)).toBe('server.1=a:2888:3888:participant')
    expect(() => parseDynamicFile(three, '/etc/zoo.cfg.dynamic')).toThrow(/^\/etc\/zoo\.cfg\.dynamic line 4: version=100000000 does not belong/)
    expect(() => parseDynamicFile('tickTime=5', 'd')).toThrow(/^d line 1: tickTime does not belong here/)
  })
  test('membership is the same whatever the version and the order', () => {
    expect(sameMembership(parseQuorumConfig(three), parseQuorumConfig(three.split('\n').toReversed().join('\n').replace('version=100000000', 'version=5')))).toBe(true)
    expect(sameMembership(parseQuorumConfig(three), parseQuorumConfig(three.replace('b:2888', 'b:2889')))).toBe(false)
  })
})

describe('mistakes are named', () => {
  test.each([
    ['server.1=a', /server\.1=a: both ports are needed, none is given\. A server line reads server\.1=HOST:QUORUMPORT:ELECTIONPORT/],
    ['server.1=a:2888', /both ports are needed, one is given/],
    ['server.1=a:2888:70000', /70000 is not a port from 1 to 65535/],
    ['server.1=a:x:3888', /x is not a port/],
    ['server.1=a:2888:3888:voter', /"voter" is neither participant nor observer/],
    ['server.1=:2888:3888', /has no host/],
    ['server.1=a:1:2:participant:3', /too many parts/],
    ['server.1=a:1:2;x', /"x" is no client address/],
    ['server.1=a:1:2;1;2', /more than one ;/],
    ['server.1=a:1:2\nserver.1=b:1:2', /line 2: server\.1 stands there twice/],
    ['server.1=a:1:2\nserver.2=a:3:1', /a:1 is claimed by server\.1 as quorum port and by server\.2 as election port/],
    ['server.1=a:1:1', /a:1 is claimed by server\.1 as quorum port and by server\.1 as election port/],
    ['server.1=a:1:2:observer', /every server line is an observer/],
    ['server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1', /server\.2 is in no group/],
    ['server.1=a:1:2\ngroup.1=1:9', /group\.1 names server 9, but there is no line server\.9/],
    ['server.1=a:1:2\ngroup.1=1\ngroup.2=1', /server 1 is in group\.1 already/],
    ['server.1=a:1:2\ngroup.1=one', /"one" is no server id/],
    ['server.1=a:1:2\nweight.1=3', /weight lines without a group line/],
    ['server.1=a:1:2\ngroup.1=1\nweight.1=0', /all weights are 0/],
    ['server.1=a:1:2\nweight.1=heavy', /weight\.1=heavy is not a whole number/],
    ['version=xyz', /version=xyz is not a hexadecimal number/],
    ['server.1', /line 1: "server\.1" has no =/],
  ])('%s', (text, message) => {
    expect(() => parseQuorumConfig(text)).toThrow(QuorumConfigError)
    expect(() => parseQuorumConfig(text)).toThrow(message)
  })
})

test('a majority of the voters decides; observers and strangers do not count', () => {
  const config = parseQuorumConfig(`${Array.from({ length: 4 }, (_, i) => `server.${i + 1}=h${i}:1:2:participant`).join('\n')}\nserver.5=o:1:2:observer\nversion=0`)
  expect(hasQuorum(config, new Set([1, 2]))).toBe(false)
  expect(hasQuorum(config, new Set([1, 2, 5, 77]))).toBe(false)
  expect(hasQuorum(config, new Set([1, 2, 4]))).toBe(true)
})

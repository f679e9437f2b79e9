import { describe, expect, test } from 'vitest'
import { ConfigError, parseZooCfg } from '../../../src/zookeeper/server/config.ts'
import { configKeys } from '../../../src/zookeeper/server/config-table.ts'

const sample = `# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/tmp/zookeeper
clientPort=2181
#maxClientCnxns=60
`

test("Apache's sample file works unchanged, with a quiet line for what means nothing", () => {
  const { config, notices } = parseZooCfg(sample, 'zoo.cfg')
  expect(config).toMatchObject({ clientPort: 2181, tickTime: 2000, minSessionTimeout: 4000, maxSessionTimeout: 40_000, maxClientCnxns: 60, store: { dataDir: '/tmp/zookeeper', snapCount: 100_000 } })
  expect([...config.fourLetterWords]).toEqual(['srvr'])
  expect(config.ensemble).toBeUndefined()
  expect(notices).toEqual([])
})
test('server lines make an ensemble, with observers, groups and weights; one voter alone is none', () => {
  const { ensemble } = parseZooCfg(`${sample}server.1=a:2888:3888\nserver.2=b:2888:3888;2182\nserver.3=c:2888:3888:observer\n`, 'zoo.cfg').config
  expect(ensemble).toMatchObject({ initLimit: 10, syncLimit: 5 })
  expect([...(ensemble?.quorum.voters ?? [])]).toEqual([1, 2])
  expect(parseZooCfg(`${sample}server.1=a:2888:3888\n`, 'zoo.cfg').config.ensemble).toBeUndefined()
})
test("Kafka's zookeeper.properties works unchanged", () => {
  const { config } = parseZooCfg('dataDir=/tmp/zookeeper\nclientPort=2181\nmaxClientCnxns=0\nadmin.enableServer=false\n', 'zookeeper.properties')
  expect(config).toMatchObject({ maxClientCnxns: 0, admin: { enabled: false } })
})

describe('refusals name file, line, key, value and what is expected', () => {
  const parse = (line: string) => () => parseZooCfg(`${sample}${line}\n`, 'zoo.cfg')
  test.each([
    ['tickTime=two', /^zoo\.cfg line 8: tickTime=two is not a whole number from 1 to 2147483647 \(ms\)/],
    ['clientPort=70000', /^zoo\.cfg line 8: clientPort=70000 .* from 0 to 65535/],
    ['admin.enableServer=maybe', /^zoo\.cfg line 8: admin\.enableServer=maybe is neither true nor false/],
    ['forceSync=perhaps', /^zoo\.cfg line 8: forceSync=perhaps is neither yes nor no/],
    ['minSessionTimeout=50000', /^zoo\.cfg line 8: minSessionTimeout \(50000\) is above maxSessionTimeout \(40000\)/],
    ['secureClientPort=2281', /^zoo\.cfg line 8: secureClientPort=2281 is refused: TLS/],
    ['ssl.keyStore.location=/x', /is refused: TLS/],
    ['quorum.auth.enableSasl=true', /is refused/],
    ['authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider', /is refused: plug-in authentication/],
    ['sessionRequireClientSASLAuth=true', /is refused/],
    ['audit.enable=true', /is refused/],
    ['server.1=a:2888:3888\nserver.2=b:2888', /^zoo\.cfg line 9: server\.2=b:2888: both ports are needed/],
    ['server.1=a:2888:3888\nserver.2=a:2888:3889', /^zoo\.cfg: a:2888 is claimed by server\.1 as quorum port and by server\.2/],
    ['server.1=a:2888:3888\nserver.2=b:2888:3888\nobserverMasterPort=2191', /^zoo\.cfg line 10: observerMasterPort=2191 is refused in an ensemble: observers connect/],
    ['DigestAuthenticationProvider.superDigest=nonsense', /superDigest is not user:base64/],
    ['enforce.auth.enabled=true', /needs enforce\.auth\.schemes/],
  ])('%s', (line, message) => {
    expect(parse(line)).toThrow(ConfigError)
    expect(parse(line)).toThrow(message)
  })
  test('what is missing', () => {
    expect(() => parseZooCfg('clientPort=1', 'f')).toThrow(/^f: dataDir is missing/)
    expect(() => parseZooCfg('dataDir=/x', 'f')).toThrow(/^f: clientPort is missing/)
  })
  test('a key that protects is fine where it is off', () => {
    expect(() => parseZooCfg(`${sample}sslQuorum=false\naudit.enable=false\nserver.1=a:2888:3888\n`, 'zoo.cfg')).not.toThrow()
  })
})

describe('an ensemble', () => {
  const members = 'server.1=a:2888:3888\nserver.2=b:2888:3888:participant;0.0.0.0:2181\nserver.3=[fe80::3]:2888:3888:observer\n'
  test('server lines with roles and client parts; limits; no notice for what counts there', () => {
    const { config, notices } = parseZooCfg(`${sample}${members}quorumListenOnAllIPs=true\ncommitLogCount=7`, 'zoo.cfg')
    expect(config.ensemble).toMatchObject({ initLimit: 10, syncLimit: 5, listenOnAll: true, commitLogCount: 7, connectTimeoutMs: 5000, handshakeTimeoutMs: 10_000, bindRetries: 3, minNotificationMs: 200, maxNotificationMs: 60_000 })
    expect([...(config.ensemble?.quorum.voters ?? [])]).toEqual([1, 2])
    expect(config.ensemble?.quorum.servers.get(3)).toEqual({ id: 3, addresses: [{ host: 'fe80::3', quorumPort: 2888, electionPort: 3888 }], role: 'observer', client: undefined })
    expect(notices).toEqual(['zoo.cfg: with two participants, both have to be up: three survive the loss of one'])
  })
  test('one server line alone is a standalone server, unless standaloneEnabled=false', () => {
    expect(parseZooCfg(`${sample}server.1=a:2888:3888\n`, 'zoo.cfg').config.ensemble).toBeUndefined()
    expect(parseZooCfg(`${sample}server.1=a:2888:3888\nstandaloneEnabled=false\n`, 'zoo.cfg').config.ensemble?.quorum.voters.size).toBe(1)
  })
  test('groups and weights', () => {
    const { config } = parseZooCfg(`${sample}${members}server.4=d:2888:3888\ngroup.1=1:2\ngroup.2=4\nweight.2=3\n`, 'zoo.cfg')
    expect(config.ensemble?.quorum).toMatchObject({ groups: [{ id: 1, members: [1, 2] }, { id: 2, members: [4] }], weights: new Map([[2, 3]]) })
  })
  test('a dynamic configuration file takes the place of the lines, and both at once are refused', () => {
    const text = `${sample}dynamicConfigFile=/etc/zoo.cfg.dynamic.100000000\n`
    const read = (path: string) => (path === '/etc/zoo.cfg.dynamic.100000000' ? members : '')
    expect(parseZooCfg(text, 'zoo.cfg', read).config.ensemble?.quorum).toMatchObject({ version: 0x100000000n })
    expect(() => parseZooCfg(text + members, 'zoo.cfg', read)).toThrow(/^zoo\.cfg line 9: server\.1 stands here although dynamicConfigFile=/)
    expect(() => parseZooCfg(text, 'zoo.cfg', () => 'server.1=a')).toThrow(/^\/etc\/zoo\.cfg\.dynamic\.100000000 line 1: server\.1=a: both ports are needed/)
  })
  test.each([
    ['server.4=d:2888', /^zoo\.cfg line 11: server\.4=d:2888: both ports are needed, one is given/],
    ['server.4=a:2888:3889', /^zoo\.cfg: a:2888 is claimed by server\.1 as quorum port and by server\.4 as quorum port/],
    ['server.2=d:2888:3888', /^zoo\.cfg line 11: server\.2 stands there twice/],
    ['syncLimit=0', /^zoo\.cfg: syncLimit is missing, and the server lines make this an ensemble/],
    ['electionAlg=1', /electionAlg=1 is not a whole number from 3 to 3/],
    ['peerType=voter', /peerType=voter is neither participant nor observer/],
    ['observerMasterPort=2191', /is refused in an ensemble/],
    ['server.4=d:2888:3888|e:2888:3888', /^zoo\.cfg: server\.4 has 2 addresses; that needs multiAddress\.enabled=true/],
    ['oraclePath=/x', /is refused: an oracle/],
  ])('%s', (line, message) => {
    const text = `${sample}${members}${line}\n`
    expect(() => parseZooCfg(text, 'zoo.cfg')).toThrow(ConfigError)
    expect(() => parseZooCfg(text, 'zoo.cfg')).toThrow(message)
  })
  test('mistakes about who takes part', () => {
    expect(() => parseZooCfg(`${sample}server.1=a:1:2\nserver.2=b:1:2:observer\n`, 'zoo.cfg')).toThrow(/^zoo\.cfg: one participant with observers is an ensemble of one voter\. Add standaloneEnabled=false/)
    expect(() => parseZooCfg(`${sample}standaloneEnabled=false\n`, 'zoo.cfg')).toThrow(/needs server lines/)
    expect(() => parseZooCfg('dataDir=/x\nserver.1=a:1:2\nserver.2=b:1:2\nclientPort=1', 'f')).toThrow(/^f: initLimit is missing/)
    expect(() => parseZooCfg('dataDir=/x\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2', 'f')).toThrow(/^f: clientPort is missing/)
  })
})

test('values are trimmed, as in Apache\'s server', () => {
  expect(parseZooCfg('dataDir = /x  \nclientPort:0 \n', 'f').config.store.dataDir).toBe('/x')
})
test('every default of the table is a value that the table allows', () => {
  const text = Object.entries(configKeys).map(([name, key]) => `${name}=${key.default}`).join('\n')
  expect(() => parseZooCfg(`${text}\ndataDir=/x\nclientPort=0\n`, 'defaults')).not.toThrow()
})

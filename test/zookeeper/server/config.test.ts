import { describe, expect, test } from 'vitest'
import { ConfigError, parseZooCfg } from '../../../src/zookeeper/server/config.ts'
import { configKeys } from '../../../src/zookeeper/server/config-table.ts'
import { parseProperties } from '../../../src/zookeeper/server/properties.ts'

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
  expect(notices).toEqual(['zoo.cfg line 3: initLimit has no effect here', 'zoo.cfg line 4: syncLimit has no effect here'])
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
    ['server.1=a:2888:3888\nserver.2=b:2888:3888', /^zoo\.cfg line 9: server\.2=b:2888:3888 makes this an ensemble/],
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

test('properties as Java reads them: separators, continued lines, escapes, comments', () => {
  expect(parseProperties('a=1\n b : two \nc three\n! no\n\nd=one,\\\n   two\ne\\=f=\\u0041\\t.\nwin=C\\:\\\\data\r\nlast')).toEqual([
    { key: 'a', value: '1', line: 1 }, { key: 'b', value: 'two', line: 2 }, { key: 'c', value: 'three', line: 3 }, { key: 'd', value: 'one,two', line: 6 },
    { key: 'e=f', value: 'A\t.', line: 8 }, { key: 'win', value: 'C:\\data', line: 9 }, { key: 'last', value: '', line: 10 },
  ])
})
test('every default of the table is a value that the table allows', () => {
  const text = Object.entries(configKeys).map(([name, key]) => `${name}=${key.default}`).join('\n')
  expect(() => parseZooCfg(`${text}\ndataDir=/x\nclientPort=0\n`, 'defaults')).not.toThrow()
})

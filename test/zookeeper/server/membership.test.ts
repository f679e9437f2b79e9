import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { ConfigError, parseZooCfg } from '../../../src/zookeeper/server/config.ts'
import { memberOf } from '../../../src/zookeeper/server/membership.ts'
import { formatQuorumConfig } from '../../../src/zookeeper/zab/quorum-config.ts'

let dataDir = ''
beforeEach(async () => { dataDir = await mkdtemp(join(tmpdir(), 'ottla-membership-')) })
afterEach(() => rm(dataDir, { recursive: true, force: true }))

const host = nodeHost()
const members = 'server.1=a:2888:3888\nserver.2=b:2888:3888;127.0.0.2:2182\nserver.3=c:2888:3888;2183\n'
async function member(myid: string | undefined, lines = 'clientPort=0\n') {
  if (myid !== undefined) await writeFile(join(dataDir, 'myid'), myid)
  const { config } = parseZooCfg(`dataDir=${dataDir}\ninitLimit=10\nsyncLimit=5\n${members}${lines}`, 'zoo.cfg')
  if (!config.ensemble) throw new Error('no ensemble')
  return memberOf(host, config, config.ensemble)
}

test('myid says which line is this server; the configuration text is what servers send each other', async () => {
  const { config, ensemble } = await member('1\n')
  expect(ensemble).toMatchObject({ serverId: 1, initLimit: 10, syncLimit: 5, commitLogCount: 500 })
  expect(formatQuorumConfig(ensemble.config)).toBe('server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant;127.0.0.2:2182\nserver.3=c:2888:3888:participant;0.0.0.0:2183\nversion=0')
  expect(config).toMatchObject({ clientPort: 0, clientPortAddress: undefined })
})
test('the own server line may say where clients are served', async () => {
  expect((await member('2', '')).config).toMatchObject({ clientPort: 2182, clientPortAddress: '127.0.0.2' })
  expect((await member('3', 'clientPort=2183\nclientPortAddress=127.0.0.1\n')).config).toMatchObject({ clientPort: 2183, clientPortAddress: '127.0.0.1' })
})
describe('the mistakes that cost a night', () => {
  test.each([
    ['no myid', undefined, '', /myid is missing, so this server does not know which of the server lines is its own\. Write the number of this server's line into it: one of 1 \(a\), 2 \(b\), 3 \(c\)$/],
    ['a myid that is no number', 'zk1', '', /holds "zk1", which is not a number from 0 to 255/],
    ['a myid out of range', '256', '', /holds "256", which is not a number from 0 to 255/],
    ['a myid that TTL znodes take', '255', 'clientPort=0\nextendedTypesEnabled=true\n', /not a number from 0 to 254/],
    ['a myid that is in no line', '4', '', /holds 4, but there is no line server\.4/],
    ['no client port', '1', '', /neither clientPort nor the line server\.1 \(this server\) says where clients are served/],
    ['two client ports', '3', 'clientPort=2181\n', /clientPort=2181, but server\.3 \(this server\) serves clients at 0\.0\.0\.0:2183/],
    ['two client addresses', '2', 'clientPort=2182\nclientPortAddress=127.0.0.1\n', /clientPortAddress=127\.0\.0\.1, but server\.2 \(this server\) serves clients at 127\.0\.0\.2:2182/],
  ])('%s', async (_, myid, lines, message) => {
    await expect(member(myid, lines)).rejects.toThrow(ConfigError)
    await expect(member(myid, lines)).rejects.toThrow(message)
  })
})

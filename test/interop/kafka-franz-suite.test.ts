/**
 * franz-go's own tests at three brokers: the chain of consumers and transactional producers that read, write and commit offsets
 * exactly once while members come and go; with `SOAK=1` every test of its client that opens connections.
 */
import { beforeAll, expect, test } from 'vitest'
import { run } from './process.ts'
import { describeWith, where } from './programs.ts'
import { disposeOf, startKafka, startZookeeper, type Server } from './target.ts'

/** What franz-go itself leaves out of Kafka 3.9 in ZooKeeper mode, and why. */
const leftOut: Readonly<Record<string, readonly string[]>> = {
  'ConsumerGroupHeartbeat, of KRaft alone (KIP-848)': ['Test848RegexBrokerResolves', 'TestGroupETL/range/848', 'TestGroupETL/sticky/848', 'TestGroupETL/sticky/848/static', 'TestGroupSimple/848', 'TestTxnEtl/range/848', 'TestTxnEtl/sticky/848', 'TestTxnEtl/sticky/848/static'],
  'share groups, of Kafka 4.2': ['TestConsumeRegexShareSkipsInternal', 'TestShareGroup', 'TestShareGroupAckOnClose', 'TestShareGroupETL', 'TestShareGroupOffsetsAdmin'],
  'a broker that no longer takes Produce v2': ['TestIssueProduceBrokerTooOldFailsRecords'],
}

describeWith(['franz-tests'], "franz-go's own tests", () => {
  let zookeeper: Server
  const brokers: Server[] = []
  beforeAll(async () => {
    zookeeper = await startZookeeper()
    const config = { 'offsets.topic.replication.factor': 3, 'transaction.state.log.replication.factor': 3, 'transaction.state.log.min.isr': 2 }
    for (const id of [1, 2, 3]) brokers.push(await startKafka({ zookeeper: zookeeper.address, config: { ...config, 'broker.id': id } }))
  })
  disposeOf(() => [...brokers, zookeeper])

  /** Runs tests by their names' pattern; answers which passed and which were left out. */
  async function suite(pattern: string, env: Record<string, string>, timeoutMs: number): Promise<{ passed: string[]; skipped: string[] }> {
    const { code, stdout, stderr } = await run(where('franz-tests'), ['-test.v', '-test.timeout', `${timeoutMs}ms`, '-test.run', pattern], {
      cwd: zookeeper.directory,
      env: { KGO_SEEDS: brokers.map(({ address }) => address).join(), KGO_LOG_LEVEL: 'none', ...env },
      timeoutMs: timeoutMs + 10_000,
    })
    const named = (state: string): string[] => [...stdout.matchAll(new RegExp(`^ *--- ${state}: (\\S+)`, 'gm'))].map(([, name]) => name).sort()
    expect([code, named('FAIL')], `${stdout.split('\n').filter((line) => !line.startsWith('===')).join('\n').slice(-6_000)}\n${stderr.slice(-2_000)}`).toEqual([0, []])
    return { passed: named('PASS'), skipped: named('SKIP') }
  }

  test('three stages of consuming and producing in transactions pass each record on once', async () => {
    const { passed } = await suite('^TestTxnEtl$/^range$', { KGO_TEST_RECORDS: '2000', KGO_TEST_MAX_TOPIC_PARTS: '3' }, 550_000)
    expect(passed).toEqual(['TestTxnEtl', 'TestTxnEtl/range'])
  })

  if (process.env.SOAK) test('every test of its client: none fails, and none is left out but for what Kafka 3.9 has not', { timeout: 1_500_000 }, async () => {
    const { passed, skipped } = await suite('', { KGO_TEST_RECORDS: '20000' }, 1_480_000)
    expect(skipped).toEqual(Object.values(leftOut).flat().sort())
    expect(passed).toEqual(expect.arrayContaining(['TestGroupETL', 'TestTxnEtl', 'TestTxnEtl/cooperative-sticky/static', 'TestIssue434']))
  })
})

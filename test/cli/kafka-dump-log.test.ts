import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaDumpLog } from '../../src/cli/kafka-dump-log.ts'
import { encodeSnapshot } from '../../src/kafka/log/producer-snapshot.ts'
import { encodeTransactionMarker } from '../../src/kafka/records/control.ts'
import { OffsetsRecords } from '../../src/kafka/groups/offsets-records.ts'
import { encodeBatch } from '../../src/kafka/records/encode.ts'
import { TransactionRecords } from '../../src/kafka/transactions/transaction-records.ts'
import type { TransactionValue } from '../../src/kafka/transactions/transaction-state.ts'
import { runTool, type ToolRan } from './tool-run.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-dump-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const dump = (...argv: string[]): Promise<ToolRan> => runTool(kafkaDumpLog, argv)
const file = (name: string, ...bytes: Uint8Array[]): string => {
  const path = join(folder, name)
  writeFileSync(path, Buffer.concat(bytes))
  return path
}
function at(baseOffset: number, batch: Buffer): Buffer {
  batch.writeBigInt64BE(BigInt(baseOffset), 0) // Not covered by the checksum.
  return batch
}
const base = '00000000000000000100'
const plain = (): Buffer => at(100, encodeBatch([{ timestamp: 1000n, key: 'k', value: 'v', headers: [{ key: 'h', value: 'x' }] }, { timestamp: 1001n, key: null, value: null }, { timestamp: 1002n, key: null, value: 'ü' }]))

test('batches, records, control records, and what is no batch at the end', async () => {
  const marker = at(103, encodeTransactionMarker({ type: 'commit', producerId: 7, producerEpoch: 1, coordinatorEpoch: 3, timestamp: 2000n }))
  const first = plain()
  const log = file(`${base}.log`, first, marker, Buffer.from('garbage, and enough of it for the head of a batch, to be sure about that'))
  const { code, out, err } = await dump('--print-data-log', '--files', log)
  const lines = out.split('\n')
  expect([code, err]).toEqual([0, ''])
  expect(lines.slice(0, 2)).toEqual([`Dumping ${log}`, 'Log starting offset: 100'])
  expect(lines[2]).toMatch(new RegExp(
    `^baseOffset: 100 lastOffset: 102 count: 3 baseSequence: -1 lastSequence: -1 producerId: -1 producerEpoch: -1 partitionLeaderEpoch: -?\\d+ isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1002 size: ${first.length} magic: 2 compresscodec: none crc: \\d+ isvalid: true$`))
  expect(lines.slice(3, 6)).toEqual([
    '| offset: 100 CreateTime: 1000 keySize: 1 valueSize: 1 sequence: -1 headerKeys: [h] key: k payload: v',
    '| offset: 101 CreateTime: 1001 keySize: -1 valueSize: -1 sequence: -1 headerKeys: []',
    '| offset: 102 CreateTime: 1002 keySize: -1 valueSize: 2 sequence: -1 headerKeys: [] payload: ü',
  ])
  expect(lines[6]).toMatch(new RegExp(`^baseOffset: 103 lastOffset: 103 count: 1 .* producerId: 7 producerEpoch: 1 .* isTransactional: true isControl: true .* position: ${first.length} `))
  expect(lines[7]).toMatch(/^\| offset: 103 CreateTime: 2000 keySize: 4 valueSize: 6 sequence: -1 headerKeys: \[\] endTxnMarker: COMMIT coordinatorEpoch: 3$/)
  expect(lines[8]).toMatch(/^Found 7\d invalid bytes at the end of 00000000000000000100\.log$/)
  expect((await dump('--print-data-log', '--skip-record-metadata', '--files', log)).out.split('\n').slice(3, 6)).toEqual(['| key: k payload: v', '', ' payload: ü'])
  expect((await dump('--files', log)).out.split('\n')).toHaveLength(6)
  expect((await dump('--files', log, '--max-bytes', String(first.length))).out.split('\n')).toHaveLength(4)
})
test('a batch whose checksum is wrong is told to be invalid', async () => {
  const bytes = plain()
  bytes[bytes.length - 1] ^= 1
  expect((await dump('--files', file('00000000000000000100.log', bytes))).out).toContain('isvalid: false')
})
test('indexes are shown and compared with their segment', async () => {
  const first = plain()
  const second = at(103, plain())
  file(`${base}.log`, first, second)
  const index = Buffer.alloc(32)
  index.writeInt32BE(2, 0)
  index.writeInt32BE(4, 8)
  index.writeInt32BE(first.length, 12)
  const path = file(`${base}.index`, index)
  expect(await dump('--files', path)).toEqual({ code: 0, out: `Dumping ${path}\noffset: 102 position: 0\noffset: 104 position: ${first.length}\n`, err: `Mismatches in :${path}\n  Index offset: 104, log offset: 105\n` })
  expect((await dump('--index-sanity-check', '--files', path)).out).toBe(`Dumping ${path}\n${path} passed sanity check.\n`)
  const times = Buffer.alloc(24)
  times.writeBigInt64BE(1002n, 0)
  times.writeInt32BE(2, 8)
  times.writeBigInt64BE(1003n, 12)
  times.writeInt32BE(5, 20)
  const time = file(`${base}.timeindex`, times)
  expect(await dump('--files', time)).toEqual({ code: 0, out: `Dumping ${time}\ntimestamp: 1002 offset: 102\ntimestamp: 1003 offset: 105\n`, err: `Found timestamp mismatch in :${time}\n  Index timestamp: 1003, log timestamp: 1002\n` })
  expect((await dump('--verify-index-only', '--files', time)).out).toBe(`Dumping ${time}\n`)
  writeFileSync(time, readFileSync(time).subarray(0, 13))
  expect(await dump('--index-sanity-check', '--files', time)).toMatchObject({ code: 1, err: expect.stringContaining('its 13 bytes are not made of entries of 12') })
})
test('transaction indexes and snapshots', async () => {
  const aborted = Buffer.alloc(34)
  for (const [at, value] of [[2, 9n], [10, 100n], [18, 105n], [26, 106n]] as const) aborted.writeBigInt64BE(value, at)
  expect((await dump('--files', file(`${base}.txnindex`, aborted))).out).toContain('\nversion: 0 producerId: 9 firstOffset: 100 lastOffset: 105 lastStableOffset: 106\n')
  const entry = { producerId: 9, epoch: 1, lastSequence: 1, lastOffset: 104, offsetDelta: 3, timestamp: 5n, coordinatorEpoch: 2, currentTransactionFirstOffset: 100 }
  expect((await dump('--files', file(`${base}.snapshot`, encodeSnapshot([entry, { ...entry, lastSequence: -1, lastOffset: -1, offsetDelta: 0, currentTransactionFirstOffset: -1 }])))).out.split('\n').slice(1)).toEqual([
    'producerId: 9 producerEpoch: 1 coordinatorEpoch: 2 currentTxnFirstOffset: OptionalLong[100] lastTimestamp: 5 firstSequence: 2147483646 lastSequence: 1 lastOffset: 104 offsetDelta: 3 timestamp: 5',
    'producerId: 9 producerEpoch: 1 coordinatorEpoch: 2 currentTxnFirstOffset: OptionalLong.empty lastTimestamp: 5 ',
    '',
  ])
})

test("what Apache's tool says of Apache's files, ours says too", async () => {
  const cases = readFileSync(new URL('./golden/dump-log.txt', import.meta.url), 'utf8').split(/^== /m).slice(1)
  expect(cases).toHaveLength(6)
  for (const each of cases) {
    const [head, ...lines] = each.split('\n')
    const argv = head.trim().split(' ')
    const middle = lines.indexOf('--')
    const path = file(argv.pop()!, Buffer.from(lines.slice(0, middle).join(''), 'hex'))
    expect(await dump(...argv, '--files', path), head).toEqual({ code: 0, out: [`Dumping ${path}`, ...lines.slice(middle + 1)].join('\n'), err: '' })
  }
})
test('records of coordinators: many partitions, in the order of a hash set; a tombstone, a record of another kind, and one that cannot be read', async () => {
  const transactions = new TransactionRecords()
  const partitions = new Map([['t', new Set(Array.from({ length: 13 }, (_, index) => index))], ['out', new Set([3])]])
  const value: TransactionValue = { producerId: 7, producerEpoch: 2, timeoutMs: 9, state: 'Ongoing', partitions, lastUpdateMs: 5, startMs: 4 }
  const log = file(`${base}.log`, at(100, transactions.encode('x', value, 1)), at(101, transactions.encode('x', null, 2)))
  const { out } = await dump('--transaction-log-decoder', '--skip-record-metadata', '--files', log)
  const shown = out.split('\n').filter((line) => line.startsWith('|'))
  expect(shown).toEqual([`| key: transaction_metadata::transactionalId=x payload: producerId:7,producerEpoch:2,state=Ongoing,partitions=[t-12,t-11,t-10,t-9,t-8,out-3,t-7,t-6,t-5,t-4,t-3,t-2,t-1,t-0],txnLastUpdateTimestamp=5,txnTimeoutMs=9`, '| key: transaction_metadata::transactionalId=x payload: <DELETE>'])
  const offsets = new OffsetsRecords()
  const records = [{ key: offsets.groupKey('g\u001f"ü'), value: null }, { key: Buffer.of(0, 9), value: 'x' }, { key: offsets.offsetKey('g', 't', 1), value: Buffer.of(0, 99) }, { key: offsets.offsetKey('g', 't', 1), value: offsets.offsetValue({ offset: 5, leaderEpoch: -1, metadata: 'm', commitTimestamp: 1n, expireTimestamp: 2n }) }]
  const second = file(`${base}.log`, at(100, encodeBatch(records)))
  expect((await dump('--offsets-decoder', '--skip-record-metadata', '--files', second)).out.split('\n').filter((line) => line.startsWith('|'))).toEqual([
    '| key: {"type":"2","data":{"group":"g\\u001F\\"ü"}} payload: <DELETE>',
    '| key: Unknown record type 9 at offset 101, skipping.',
    expect.stringMatching(/^\| key: Error at offset 102, skipping\. OffsetCommitValue of version 99/),
    '| key: {"type":"1","data":{"group":"g","topic":"t","partition":1}} payload: {"version":"1","data":{"offset":5,"metadata":"m","commitTimestamp":1,"expireTimestamp":2}}',
  ])
})
test.each([
  [['--files', '/no/such/00000000000000000000.log'], /ENOENT/],
  [['--files', '/no/such/name.log'], /For input string: "name"/],
  [[], /--files/],
  [['--print-data-log'], /Missing required argument "\[files\]"/],
  [['--files', 'x.log', '--cluster-metadata-decoder'], /--cluster-metadata-decoder is not supported by this tool yet/],
])('%j is refused', async (argv, words) => {
  expect(await dump(...argv)).toMatchObject({ code: 1, err: expect.stringMatching(words) })
})
test('a file of another kind is passed over', async () => {
  expect(await dump('--files', 'server.properties')).toEqual({ code: 0, out: 'Dumping server.properties\n', err: 'Ignoring unknown file server.properties\n' })
})
test('who reads slowly gets all of it', async () => {
  const log = file(`${base}.log`, at(100, encodeBatch(Array.from({ length: 2_000 }, () => ({ key: null, value: 'x'.repeat(400) })))))
  const child = spawn(fileURLToPath(new URL('../../bin/kafka-dump-log.sh', import.meta.url)), ['--print-data-log', '--files', log], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  for await (const chunk of child.stdout) out += String(chunk)
  expect(out.match(/payload: x{400}\n/g)).toHaveLength(2_000)
})

/** Files with wrong bytes: never a crash, always a message that names file and position, good data stays readable. */
import { describe, expect, test } from 'vitest'
import { CorruptFileError } from '../../../src/kafka/log/corrupt-file-error.ts'
import { isRefused } from '../../../src/kafka/log/append.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { seededRandom } from '../../../src/simulation/random.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { apacheClusterId, diskOf, filesOf, logDirs } from './apache-logs.ts'
import { append, hostOn, listening, numbered, openOn, produce, readAll, textOf } from './bench.ts'

const kinds = ['.log', '.index', '.timeindex', '.txnindex', '.snapshot', 'leader-epoch-checkpoint', 'partition.metadata', 'meta.properties', 'recovery-point-offset-checkpoint', 'replication-offset-checkpoint', 'log-start-offset-checkpoint', 'cleaner-offset-checkpoint']

/** Opens, reads and closes; a failure has to be an error with a file's name in it. */
async function survives(disk: SimulatedDisk, note: string): Promise<void> {
  const host = hostOn(disk, { start: 1_795_234_900_000 })
  let opened
  try {
    opened = await openOn(disk, { segmentBytes: 16_384 }, { logDirs, cluster: apacheClusterId, brokerId: 3, host })
  } catch (error) {
    expect((error as Error).message, note).toMatch(/\/logs|broker/)
    return
  }
  for (const log of opened.manager.all()) {
    for (let offset = log.logStartOffset; offset < log.logEndOffset; ) {
      const read = await log.read({ offset, maxBytes: 4096, minOneBatch: true, upTo: log.logEndOffset })
      if (isRefused(read)) {
        if (!log.failure) expect(read.message, note).toMatch(/corrupt at byte|reading/)
        break
      }
      if (read.size === 0) break
      const bytes = Buffer.concat(read.slices)
      if (bytes.length < 61) break
      const next = Number(bytes.readBigInt64BE(0)) + bytes.readInt32BE(23) + 1
      if (next <= offset) break
      offset = next
    }
    await log.offsetForTimestamp(1_795_234_861_000n).catch((error: Error) => expect(error.message, note).toMatch(/corrupt|offline|failed/))
  }
  await opened.manager.close()
}

describe.each(['broker-3-stopped', 'broker-1-killed'] as const)('%s', (broker) => {
  test.each(kinds)('a flipped bit, a cut and strange bytes in %s', async (kind) => {
    const random = seededRandom(kind.length * 31 + broker.length)
    const paths = filesOf(broker).filter(([path, bytes]) => path.endsWith(kind) && bytes.length > 0 && bytes.length < 1_000_000)
    for (let round = 0; round < (paths.length === 0 ? 0 : 15); round++) {
      const [path, original] = paths[random.below(paths.length)]
      const bytes = Buffer.from(original)
      const at = random.below(bytes.length)
      const way = round % 3
      if (way === 0) bytes[at] ^= 1 << random.below(8)
      const changed = way === 1 ? bytes.subarray(0, at) : way === 2 ? Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(40)), bytes.subarray(at)]) : bytes
      const disk = diskOf(broker, { short: true })
      disk.plant(path, changed)
      await survives(disk, `${path}, round ${round}, way ${way}, at ${at}`)
    }
  })
})

test.each(['recovery-point-offset-checkpoint', 'log-start-offset-checkpoint', 'replication-offset-checkpoint', 'cleaner-offset-checkpoint'])('a %s that cannot be read is named with the position, and every record is there without it', async (name) => {
  for (const text of ['0\nx\n', '7\n0\n', '0\n1\nt 0 nothing\n']) {
    const disk = new SimulatedDisk()
    const first = await openOn(disk, { segmentBytes: 1_000 })
    for (let from = 0; from < 100; from += 2) await produce(first.manager.get('t', 0) ?? (await first.manager.create('t', 0)), numbered(from, 2))
    await first.manager.close()
    disk.plant(`/logs/${name}`, Buffer.from(text))
    const { events, logger } = listening()
    const { manager } = await openOn(disk, {}, { host: hostOn(disk, { logger }) })
    expect(events).toEqual([expect.stringMatching(new RegExp(`^a checkpoint cannot be read and is written anew: .* /logs/${name} is corrupt at byte \\d+:`))])
    const log = manager.get('t', 0)!
    expect([log.logStartOffset, log.logEndOffset]).toEqual([0, 100])
    expect(await readAll(log)).toHaveLength(100)
    await manager.close()
    expect(String(disk.peek(`/logs/${name.startsWith('cleaner') ? 'recovery-point-offset-checkpoint' : name}`))).toMatch(/^0\n/)
  }
})

const wrongEpochs: Record<string, string> = { 'are no checkpoint': '\0\u0001rubbish', 'are of the future': '0\n2\n0 0\n99 5\n', 'end too early': '0\n1\n0 0\n', 'are none': '0\n0\n', 'begin behind the end': '0\n2\n0 0\n1 99999999\n' }
test.each(Object.entries(wrongEpochs))('leader epochs that %s are taken from the batches', async (_, text) => {
  const disk = new SimulatedDisk()
  const first = await openOn(disk, { segmentBytes: 1_000 })
  const log = await first.manager.create('t', 0)
  for (let from = 0; from < 100; from += 2) await append(log, encodeBatch(numbered(from, 2)), { leaderEpoch: Math.floor(from / 30) * 2 })
  await first.manager.close()
  const path = '/logs/t-0/leader-epoch-checkpoint'
  const right = String(disk.peek(path))
  expect(right).toBe('0\n4\n0 0\n2 30\n4 60\n6 90\n')
  for (const isClean of [true, false]) {
    disk.plant(path, Buffer.from(text))
    if (!isClean) await disk.remove('/logs/.kafka_cleanshutdown')
    const { events, logger } = listening()
    const { manager } = await openOn(disk, {}, { host: hostOn(disk, { logger }) })
    expect(events).toEqual([expect.stringMatching(/leader epochs .* taken from/)])
    expect(String(disk.peek(path))).toBe(right)
    expect(manager.get('t', 0)!.logEndOffset).toBe(100)
    await manager.close()
  }
})

test('snapshots of producers that cannot be read are each said once and go', async () => {
  const disk = new SimulatedDisk()
  const first = await openOn(disk, { segmentBytes: 1_000 })
  const log = await first.manager.create('t', 0)
  for (let from = 0; from < 100; from += 2) await produce(log, numbered(from, 2), { producerId: 7, producerEpoch: 0, baseSequence: from })
  await first.manager.close()
  await disk.remove('/logs/.kafka_cleanshutdown')
  disk.plant('/logs/recovery-point-offset-checkpoint', Buffer.from('0\n0\n'))
  const snapshots = disk.files().filter((path) => path.endsWith('.snapshot'))
  expect(snapshots.length).toBeGreaterThan(2)
  for (const path of snapshots) disk.plant(path, Buffer.from('rubbish'))
  const { events, logger } = listening()
  const { manager } = await openOn(disk, { segmentBytes: 1_000 }, { host: hostOn(disk, { logger }) })
  expect(events.length).toBeLessThanOrEqual(snapshots.length)
  expect(new Set(events).size).toBe(events.length)
  // The producer is known as before: what it sends again is not appended again.
  expect(await produce(manager.get('t', 0)!, numbered(98, 2), { producerId: 7, producerEpoch: 0, baseSequence: 98 })).toMatchObject({ duplicate: true, baseOffset: 98 })
  await manager.close()
  for (const path of disk.files().filter((file) => file.endsWith('.snapshot'))) expect(String(disk.peek(path)), path).not.toBe('rubbish')
})

test.each([['closed in order', false], ['killed, with all but the end flushed', true]])('the index of an old segment is missing, of a log that was %s: no later segment is lost', async (_, isKilled) => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, { segmentBytes: 600 })
  const log = await manager.create('t', 0)
  for (let from = 0; from < 60; from += 2) await produce(log, numbered(from, 2))
  await log.flush()
  await manager.checkpoint()
  const old = log.segments[1].baseOffset
  expect(log.segments.length).toBeGreaterThan(4)
  if (!isKilled) await manager.close()
  const found = disk.afterKill()
  await found.remove(`/logs/t-0/${String(old).padStart(20, '0')}.index`)
  const again = await openOn(found, { segmentBytes: 600 })
  expect(textOf(await readAll(again.manager.get('t', 0)!))).toHaveLength(60)
  await again.manager.close()
})

test('a damaged batch in the middle of what was not flushed ends the log there; what came before is kept', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk)
  const log = await manager.create('t', 0)
  for (let round = 0; round < 5; round++) await produce(log, numbered(round * 10, 10))
  const crashed = disk.afterKill()
  const bytes = Buffer.from(crashed.peek('/logs/t-0/00000000000000000000.log'))
  bytes[Math.floor(bytes.length / 2)] ^= 4
  crashed.plant('/logs/t-0/00000000000000000000.log', bytes)
  const warnings: unknown[] = []
  const logger = { debug() {}, info() {}, error() {}, warn: (event: string, facts?: object) => void warnings.push({ event, ...facts }), named: () => logger }
  const again = await openOn(crashed, {}, { host: hostOn(crashed, { logger }) })
  const texts = textOf(await readAll(again.manager.get('t', 0)!))
  expect(texts).toHaveLength(20)
  expect(warnings).toEqual([expect.objectContaining({ event: 'a segment was cut where it is not whole', file: '/logs/t-0/00000000000000000000.log', reason: expect.stringMatching(/^checksum \d+ stored, \d+ computed$/) })])
})

test('damage in a log that was closed in order is cut too, but the bytes are set aside', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk)
  const log = await manager.create('t', 0)
  for (let round = 0; round < 5; round++) await produce(log, numbered(round * 10, 10))
  await manager.close()
  const path = '/logs/t-0/00000000000000000000.log'
  const bytes = Buffer.from(disk.peek(path))
  disk.plant(path, bytes.subarray(0, bytes.length - 7))
  const again = await openOn(disk)
  expect(await readAll(again.manager.get('t', 0)!)).toHaveLength(40)
  expect(disk.files().filter((name) => name.includes('damaged'))).toEqual([expect.stringMatching(/\.log\.damaged-from-\d+$/)])
})

test.each(['ENOSPC', 'EIO', 'EROFS'])('%s while writing takes the directory offline; waiting appends are told, later ones refused, the other directory lives', async (code) => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, {}, { logDirs: ['/logs', '/logs2'] })
  const [a, b] = [await manager.create('t', 0), await manager.create('t', 1)]
  expect([a.logDir, b.logDir]).toEqual(['/logs', '/logs2'])
  await produce(a, numbered(0, 5))
  const failed: string[] = []
  manager.onDirectoryFailure((directory) => failed.push(directory))
  disk.failure = ({ kind, path }) => (kind === 'write' && path.startsWith('/logs/') ? code : undefined)
  await expect(produce(a, numbered(5, 5))).rejects.toThrow(new RegExp(`write failed in /logs/t-0: ${code}`))
  expect(failed).toEqual(['/logs'])
  expect(await append(a, Buffer.alloc(100))).toMatchObject({ errorCode: 56, message: expect.stringMatching(/\/logs of t-0 is offline/) })
  expect(await a.read({ offset: 0, maxBytes: 100, minOneBatch: true, upTo: 5 })).toMatchObject({ errorCode: 56 })
  expect((await produce(b, numbered(0, 5))).errorCode).toBe(0)
  expect((await manager.directories()).map(({ path, failure }) => [path, failure?.message])).toEqual([['/logs', expect.stringContaining(`write failed in /logs/t-0: ${code}: write '/logs/t-0/00000000000000000000.log'`)], ['/logs2', undefined]])
  await manager.close()
  expect(disk.files().filter((path) => path.endsWith('.kafka_cleanshutdown'))).toEqual(['/logs2/.kafka_cleanshutdown'])
})

/** What may stand in an index that was closed in order; entries are of eight bytes. */
const lyingIndexes: Record<string, (index: Buffer, segment: Buffer) => Buffer> = {
  'is zero': (index) => Buffer.alloc(index.length),
  'is random': (index) => Buffer.from(Array.from(index, (_, at) => (at * 197 + 131) & 0xff)),
  'points before the segment': (index) => (index.writeInt32BE(-39_885_820, index.length - 4), index),
  'points into a batch': (index) => {
    for (let at = 4; at < index.length; at += 8) index.writeInt32BE(index.readInt32BE(at) + 5, at)
    return index
  },
  'points to the end': (index, segment) => (index.writeInt32BE(segment.length, index.length - 4), index),
  'points too far': (index) => {
    for (let at = 4; at < index.length - 8; at += 8) index.writeInt32BE(index.readInt32BE(at + 8), at)
    return index
  },
  'is cut off': (index) => index.subarray(0, index.length - 3),
}
test.each(Object.entries(lyingIndexes))('an index that %s hides no record, of a log that was closed in order', async (_, spoil) => {
  const disk = new SimulatedDisk()
  const changes = { segmentBytes: 1_500, indexIntervalBytes: 200 }
  const first = await openOn(disk, changes)
  const log = await first.manager.create('t', 0)
  for (let from = 0; from < 100; from += 2) await produce(log, numbered(from, 2))
  await first.manager.close()
  const paths = disk.files().filter((path) => path.endsWith('.index'))
  expect(paths.length).toBeGreaterThan(2)
  for (const path of paths) {
    const index = Buffer.from(disk.peek(path))
    if (index.length > 0) disk.plant(path, spoil(index, disk.peek(path.replace('.index', '.log'))))
  }
  const { events, logger } = listening()
  const { manager } = await openOn(disk, changes, { host: hostOn(disk, { logger }) })
  const again = manager.get('t', 0)!
  expect(again.logEndOffset).toBe(100)
  // From any offset, so that every entry is looked up.
  for (let offset = 99; offset >= 0; offset--) {
    const read = await again.read({ offset, maxBytes: 100, minOneBatch: true, upTo: 100 })
    if (isRefused(read)) throw new Error(`reading at ${offset}: ${read.message}`)
    const first = Number(read.slices[0].readBigInt64BE(0))
    expect([offset - 1, offset]).toContain(first)
  }
  expect((await readAll(again)).map(({ value }) => String(value))).toEqual(numbered(0, 100).map(({ value }) => value))
  await again.truncateTo(41)
  expect((await readAll(again)).map(({ value }) => String(value))).toEqual(numbered(0, 40).map(({ value }) => value))
  for (const event of events) expect(event).toMatch(/index|cut where/)
  await manager.close()
})

test('a segment read error is an answer with the position', async () => {
  const disk = new SimulatedDisk()
  const { events, logger } = listening()
  const { manager, host } = await openOn(disk, {}, { host: hostOn(disk, { logger }) })
  const log = await manager.create('t', 0)
  await produce(log, numbered(0, 3))
  const whole = disk.peek('/logs/t-0/00000000000000000000.log')
  whole.writeInt32BE(0x7fff_0000, 8)
  expect(await log.read({ offset: 1, maxBytes: 100, minOneBatch: true, upTo: 3 })).toMatchObject({ errorCode: 56, message: expect.stringMatching(/00000000000000000000\.log is corrupt at byte 0: a batch of \d+ bytes/) })
  // Who wants it asks again; the log is not filled with that.
  for (let second = 0; second < 70; second++) {
    host.pass(1_000)
    expect(await log.read({ offset: 1, maxBytes: 100, minOneBatch: true, upTo: 3 })).toMatchObject({ errorCode: 56 })
  }
  expect(events).toEqual(Array(2).fill(expect.stringMatching(/^a segment is damaged and cannot be read.*leadership.*delete the directory/)))
  expect(new CorruptFileError('f', 3, 'x').message).toBe('f is corrupt at byte 3: x')
})

test('two managers cannot have one directory; another cluster’s or broker’s is refused by name', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk)
  await expect(openOn(disk)).rejects.toThrow(/locked by another process/)
  await manager.close()
  await expect(openOn(disk, {}, { cluster: 'zzzzzzzzzzzzzzzzzzzzzz' })).rejects.toThrow(/\/logs belongs to cluster abcdefghijklmnopqrstuv, this ZooKeeper to cluster zzzzzzzzzzzzzzzzzzzzzz/)
  await expect(openOn(disk, {}, { brokerId: 2 })).rejects.toThrow(/\/logs belongs to broker 1; this broker has broker.id=2/)
  disk.plant('/logs/some folder/file', Buffer.alloc(1))
  await expect(openOn(disk)).rejects.toThrow(/\/logs\/some folder is no directory of a partition/)
})

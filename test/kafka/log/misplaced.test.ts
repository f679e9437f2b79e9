/** What may not be read, and what lies where something else belongs: a sentence says what to do, and no more is lost than has to be. */
import { expect, test } from 'vitest'
import { isRefused } from '../../../src/kafka/log/append.ts'
import { parseDirectoryName } from '../../../src/kafka/log/names.ts'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'
import { append, hostOn, listening, numbered, openOn, produce, readAll, textOf } from './bench.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'

const logDirs = ['/a', '/b']
const changes = { segmentBytes: 1_000 }
const segment = (offset: number, ending: string): string => `/a/t-0/${String(offset).padStart(20, '0')}${ending}`

/** `t-0` with some segments in /a and `t-1` in /b, closed in order. */
async function twoLogs(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, changes, { logDirs })
  for (const partition of [0, 1]) {
    const log = await manager.create('t', partition)
    expect(log.logDir).toBe(logDirs[partition])
    for (let from = 0; from < 60; from += 2) await append(log, encodeBatch(numbered(from, 2), { producerId: 7, producerEpoch: 0, baseSequence: from }))
    // So that this checkpoint is written, too.
    log.setHighWatermark(60)
    await log.deleteRecords(3)
  }
  await manager.close()
  return disk
}
const whole = textOf(numberedRecords())
function numberedRecords() {
  return numbered(3, 57).map((record, index) => ({ ...record, offset: 3 + index })) as unknown as Parameters<typeof textOf>[0]
}
/** Opens, expects that /a is offline for a reason that names `path` and says what to do, and that /b is well. */
async function expectOffline(disk: SimulatedDisk, path: string, todo: RegExp): Promise<void> {
  const { events, logger } = listening()
  const { manager } = await openOn(disk, changes, { logDirs, host: hostOn(disk, { logger }) })
  const [a, b] = await manager.directories()
  expect(a.failure?.message).toContain(path)
  expect(a.failure?.message).toMatch(todo)
  expect(events.filter((event) => event.startsWith('log directory offline'))).toHaveLength(1)
  expect(b.failure).toBeUndefined()
  expect(manager.get('t', 0)).toBeUndefined()
  await expect(manager.create('t', 0, { isNew: false })).rejects.toThrow(/t-0 may lie in \/a, which is offline/)
  expect(textOf(await readAll(manager.get('t', 1)!))).toEqual(whole)
  expect((await produce(manager.get('t', 1)!, numbered(60, 2))).errorCode).toBe(0)
  await manager.close()
}

const files = ['/a/meta.properties', '/a/recovery-point-offset-checkpoint', '/a/replication-offset-checkpoint', '/a/log-start-offset-checkpoint', '/a/t-0/leader-epoch-checkpoint']
test.each([...files, segment(0, '.log'), segment(0, '.index'), segment(0, '.timeindex'), segment(60, '.snapshot')])('a directory in place of %s takes its log directory offline', async (path) => {
  const disk = await twoLogs()
  expect(disk.files()).toContain(path)
  await disk.remove(path)
  await disk.makeDirectory(path)
  // Real disks do not remove a directory as if it were a file.
  disk.failure = (operation) => (operation.kind === 'remove' && operation.path === path ? 'EISDIR' : undefined)
  await expectOffline(disk, path, /A directory lies where a file belongs: move it away and start the broker again$/)
})

test.each([...files, '/a/.lock', '/a/.kafka_cleanshutdown', '/a/t-0'])('what may not be touched (%s) takes its log directory offline', async (path) => {
  const disk = await twoLogs()
  disk.failure = (operation) => (operation.path === path && operation.kind !== 'makeDirectory' ? 'EACCES' : undefined)
  // This disk takes a lock without opening the file.
  if (path === '/a/.lock') disk.lock = async (file) => (file === path ? Promise.reject(Object.assign(new Error(`EACCES: permission denied, open '${path}'`), { code: 'EACCES' })) : { release: async () => {} })
  await expectOffline(disk, path, /The user this broker runs as may not do that: .*chown -R.* start the broker again$/)
})

test('permissions that go while a log is written take its log directory offline when the next segment is made', async () => {
  const disk = await twoLogs()
  const { manager } = await openOn(disk, changes, { logDirs })
  const [a, b] = [manager.get('t', 0)!, manager.get('t', 1)!]
  disk.failure = ({ kind, path }) => (kind === 'create' && path.startsWith('/a/') ? 'EACCES' : undefined)
  let failure: Error | undefined
  manager.onDirectoryFailure((_, error) => (failure = error))
  for (let from = 60; from < 120 && !a.failure; from += 2) expect([0, 56]).toContain((await produce(a, numbered(from, 2)).catch(() => ({ errorCode: 56 }))).errorCode)
  expect(failure?.message).toMatch(/^roll failed in \/a\/t-0: EACCES.*\. The user this broker runs as may not do that: /)
  expect((await produce(b, numbered(60, 2))).errorCode).toBe(0)
  await manager.close()
})

test('a new partition is made in another log directory when one turns out to be unusable', async () => {
  const disk = await twoLogs()
  const { manager } = await openOn(disk, changes, { logDirs })
  disk.failure = ({ kind, path }) => (kind === 'makeDirectory' && path.startsWith('/a/') ? 'EACCES' : undefined)
  expect((await manager.create('new', 0, { isNew: true })).logDir).toBe('/b')
  const [a, b] = await manager.directories()
  expect(a.failure?.message).toMatch(/^\/a\/new-0 cannot be made: EACCES.*chown/)
  expect(b.failure).toBeUndefined()
  await manager.close()
})

test('what lies in the way of a partition’s directory fails that partition alone; a new one is made in another log directory', async () => {
  const disk = await twoLogs()
  await disk.removeTree('/a/t-0')
  disk.plant('/a/t-0', Buffer.from('a file'))
  disk.plant('/a/new-0', Buffer.from('a file'))
  disk.plant('/a/everywhere-0', Buffer.from('a file'))
  disk.plant('/b/everywhere-0', Buffer.from('a file'))
  const { manager } = await openOn(disk, changes, { logDirs })
  const failed: string[] = []
  manager.onDirectoryFailure((directory) => failed.push(directory))
  await expect(manager.create('t', 0, { isNew: false })).rejects.toThrow(/^\/a\/t-0 cannot be made: EEXIST.*Something lies there that is no directory: move it away and start the broker again; the records are copied from the leader$/)
  expect((await manager.create('new', 0, { isNew: true })).logDir).toBe('/b')
  await expect(manager.create('everywhere', 0, { isNew: true })).rejects.toThrow(/\/a\/everywhere-0 cannot be made/)
  expect(failed).toEqual([])
  expect((await manager.create('well', 0)).logDir).toBe('/a')
  expect((await produce(manager.get('t', 1)!, numbered(60, 2))).errorCode).toBe(0)
  // Moved away, it is made when it is asked for again.
  await disk.remove('/a/t-0')
  expect((await manager.create('t', 0, { isNew: false })).logEndOffset).toBe(0)
  await manager.close()
})

test.each([
  ['is garbage', 0, () => Buffer.from('garbage'.repeat(40))],
  ['has a flipped bit', 0, (log: Buffer) => (log.writeUInt8(log[70] ^ 4, 70), log)],
  ['is cut off', 0, (log: Buffer) => log.subarray(0, log.length - 9)],
  ['is empty', 0, () => Buffer.alloc(0)],
  ['lies behind the end', 99_999_999, () => Buffer.from('garbage'.repeat(40))],
] as const)('a .swap that %s replaces nothing and is set aside', async (_, offset, spoil) => {
  const disk = await twoLogs()
  const swap = `${segment(offset, '.log')}.swap`
  disk.plant(swap, spoil(Buffer.from(disk.peek(segment(0, '.log')))))
  disk.plant(`${segment(offset, '.index')}.swap`, Buffer.alloc(0))
  const { events, logger } = listening()
  const { manager } = await openOn(disk, changes, { logDirs, host: hostOn(disk, { logger }) })
  const log = manager.get('t', 0)!
  expect(log.logEndOffset).toBe(60)
  expect(textOf(await readAll(log))).toEqual(whole)
  expect(events).toEqual([expect.stringMatching(/^a compacted segment that was to replace others is damaged and is set aside.*\.log\.swap\.damaged/)])
  expect(disk.files().filter((path) => path.includes('.swap'))).toEqual([`${swap}.damaged`])
  await manager.close()
})

test('a clean shutdown marker that is not true hides neither a torn end nor what was written', async () => {
  const disk = new SimulatedDisk()
  const { manager } = await openOn(disk, changes)
  const log = await manager.create('t', 0)
  for (let from = 0; from < 60; from += 2) await produce(log, numbered(from, 2))
  const killed = disk.afterKill()
  killed.plant('/logs/.kafka_cleanshutdown', Buffer.from('{"version":0,"brokerEpoch":1}'))
  const newest = killed.files().filter((path) => path.endsWith('.log')).sort().at(-1)!
  const torn = Buffer.concat([killed.peek(newest), encodeBatch(numbered(60, 2)).subarray(0, 50)])
  killed.plant(newest, torn)
  const again = await openOn(killed, changes)
  expect(await readAll(again.manager.get('t', 0)!)).toHaveLength(60)
  expect(isRefused(await produce(again.manager.get('t', 0)!, numbered(60, 2)))).toBe(false)
  await again.manager.close()
  // The other way round: recovered without need.
  await killed.remove('/logs/.kafka_cleanshutdown')
  const third = await openOn(killed, changes)
  expect(await readAll(third.manager.get('t', 0)!)).toHaveLength(62)
  await third.manager.close()
})

test.each(['topic', 'topic-', '-0', 'topic-x', 'topic-2147483648', 'x.abc-delete', 'topic-0-delete', 'topic-2147483648.0123456789abcdef0123456789abcdef-future'])('%s is no directory of a partition', (name) => {
  expect(parseDirectoryName(name)).toEqual({ kind: 'unknown' })
})
test.each(['topic-00', 'to pic-0', 'topic--1', 'topic-2147483647'])('%s is one', (name) => {
  expect(parseDirectoryName(name).kind).toBe('partition')
})

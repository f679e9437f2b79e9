/** The file of a transaction log: Apache's bytes, torn tails, damage. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeHost } from '../../../src/host/node.ts'
import { silentLogger } from '../../../src/host/logger.ts'
import { decodeTransaction, encodeTransaction } from '../../../src/zookeeper/protocol/transactions.ts'
import { entryExtraSize, logHeader, logHeaderSize, writeEntry } from '../../../src/zookeeper/storage/log-format.ts'
import { readLog, type LogEnd } from '../../../src/zookeeper/storage/log-read.ts'
import { LogWriter } from '../../../src/zookeeper/storage/log-write.ts'
import { StorageError } from '../../../src/zookeeper/storage/storage-error.ts'
import { golden } from './golden.ts'

const host = nodeHost({ logger: silentLogger })
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-log-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Read extends LogEnd {
  transactions: Buffer[]
  positions: number[]
}
async function read(bytes: Buffer, { newest = true, padding = 8192 } = {}): Promise<Read> {
  const path = join(folder, 'log.1')
  writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(padding)]))
  const transactions: Buffer[] = []
  const positions: number[] = []
  const end = await readLog(host.disk, path, newest, ({ transaction, position }) => {
    transactions.push(Buffer.from(transaction))
    positions.push(position)
  })
  return { ...end, transactions, positions }
}
function fileOf(transactions: readonly Buffer[]): Buffer {
  const file = Buffer.alloc(transactions.reduce((size, { length }) => size + length + entryExtraSize, logHeaderSize))
  logHeader().copy(file)
  let at = logHeaderSize
  for (const transaction of transactions) at = writeEntry(transaction, file, at)
  return file
}

test.each(['log.100000001', 'log.1'])('Apache’s %s is read, and every transaction in it is written again to the same bytes', async (name) => {
  const bytes = golden(name)
  const { transactions, end, torn } = await read(bytes)
  expect(torn).toBeUndefined()
  expect(end).toBe(bytes.length)
  expect(fileOf(transactions.map((transaction) => encodeTransaction(decodeTransaction(transaction))))).toEqual(bytes)
})

test('a writer makes the file that Apache would have made, preallocation included', async () => {
  const bytes = golden('log.100000001')
  const { transactions } = await read(bytes)
  const writer = new LogWriter(host, folder, { preallocSize: 64 * 1024 * 1024, forceSync: true, fsyncWarningMs: 1000 })
  for (const transaction of transactions) writer.append(decodeTransaction(transaction).header.zxid, transaction)
  await writer.flushed()
  const path = join(folder, 'log.100000001')
  expect((await host.disk.facts(path))?.size).toBe(67108880)
  const content = Buffer.alloc(bytes.length + 100)
  const file = await host.disk.open(path, 'read')
  await file.read(content, 0)
  await file.close()
  expect(content).toEqual(Buffer.concat([bytes, Buffer.alloc(100)]))
  await writer.close()
  expect(await host.disk.readFile(path)).toEqual(bytes)
})

test('waiting appends share one write and one fsync; each flush waits for what was appended before it', async () => {
  const writer = new LogWriter(host, folder, { preallocSize: 65536, forceSync: true, fsyncWarningMs: 1000 })
  const { transactions } = await read(golden('log.1'))
  rmSync(join(folder, 'log.1'))
  const flushes: Promise<void>[] = []
  for (const [index, transaction] of transactions.entries()) {
    writer.append(BigInt(index + 1), transaction)
    flushes.push(writer.flushed())
  }
  await Promise.all(flushes)
  expect(writer.metrics.fsyncCount).toBe(2) // The first alone, then all that came while it was on its way.
  await writer.close()
  const { transactions: again } = await read(await host.disk.readFile(join(folder, 'log.1')))
  expect(again).toEqual(transactions)
})

test('after a roll the next transaction begins a new file, and the old one is cut to what it holds', async () => {
  const { transactions } = await read(golden('log.100000001'))
  rmSync(join(folder, 'log.1'))
  const writer = new LogWriter(host, folder, { preallocSize: 65536, forceSync: false, fsyncWarningMs: 1000 })
  writer.append(1n, transactions[0])
  await writer.flushed()
  writer.roll()
  writer.append(0x1fn, transactions[1])
  await writer.close()
  expect(await host.disk.list(folder)).toEqual(['log.1', 'log.1f'])
  expect(await host.disk.readFile(join(folder, 'log.1'))).toEqual(fileOf([transactions[0]]))
  expect(await host.disk.readFile(join(folder, 'log.1f'))).toEqual(fileOf([transactions[1]]))
})

test.each([0, 65536])('groups and transactions larger than the preallocation (%i) are written whole', async (preallocSize) => {
  const transactions = [1, 100_000, 3_000_000, 50, 70_000].map((size, index) => {
    const header = { clientId: 1n, cxid: index, zxid: BigInt(index + 1), time: 1, type: 5 }
    return encodeTransaction({ header, body: { type: 5, path: '/large', data: Buffer.alloc(size, index + 1), version: 1 } })
  })
  const writer = new LogWriter(host, folder, { preallocSize, forceSync: true, fsyncWarningMs: 1000 })
  for (const round of [0, 5]) {
    for (const [index, transaction] of transactions.entries()) writer.append(BigInt(round + index + 1), transaction)
    await writer.flushed()
  }
  const { size } = (await host.disk.facts(join(folder, 'log.1')))!
  await writer.close()
  const whole = await host.disk.readFile(join(folder, 'log.1'))
  expect(whole.equals(fileOf([...transactions, ...transactions]))).toBe(true)
  expect(size).toBe(preallocSize === 0 ? whole.length : Math.ceil(whole.length / preallocSize) * preallocSize)
  let count = 0
  await readLog(host.disk, join(folder, 'log.1'), true, () => count++)
  expect(count).toBe(10)
})

test('a failed write rejects everything that waits, now and later, and names the file', async () => {
  const writer = new LogWriter(host, join(folder, 'gone'), { preallocSize: 0, forceSync: true, fsyncWarningMs: 1000 })
  writer.append(1n, Buffer.alloc(40))
  const first = writer.flushed()
  writer.append(2n, Buffer.alloc(40))
  const second = writer.flushed()
  await expect(first).rejects.toThrow(/gone.*nothing more is acknowledged/)
  await expect(second).rejects.toThrow(StorageError)
  await expect(writer.flushed()).rejects.toThrow(StorageError)
})

test('a write that stopped at any byte is a torn tail: all before it is read, nothing after', async () => {
  const bytes = golden('log.100000001')
  const { positions, transactions } = await read(bytes)
  for (let stop = logHeaderSize; stop < bytes.length; stop++) {
    const whole = positions.filter((position, index) => position + transactions[index].length + entryExtraSize <= stop).length
    for (const padding of [0, 8192]) {
      const { entryCount, torn } = await read(bytes.subarray(0, stop), { padding })
      // When only the end mark is missing, the checksum proves the transaction.
      expect(entryCount === whole || (padding > 0 && entryCount === whole + 1), `stopped at ${stop}`).toBe(true)
      if (torn) expect(torn.laterEntry).toBe(false)
    }
  }
})

test('a write that lost one of its pages is a torn tail even when later pages arrived', async () => {
  const big = encodeTransaction({ header: { clientId: 1n, cxid: 1, zxid: 1n, time: 1, type: 5 }, body: { type: 5, path: '/a', data: Buffer.alloc(3000, 7), version: 1 } })
  const transactions = Array.from({ length: 20 }, (_, index) => {
    const copy = Buffer.from(big)
    copy.writeBigInt64BE(BigInt(index + 1), 12)
    return copy
  })
  const bytes = fileOf(transactions)
  for (let page = 1; (page + 1) * 4096 < bytes.length; page++) {
    const torn = Buffer.from(bytes).fill(0, page * 4096, (page + 1) * 4096)
    const { torn: found, end } = await read(torn)
    expect(found).toMatchObject({ laterEntry: true })
    expect(end).toBeLessThanOrEqual(page * 4096)
  }
})

test('a flipped bit anywhere is found: everything is read all the same, or the file is refused with its position', async () => {
  const bytes = golden('log.100000001')
  const { transactions } = await read(bytes)
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at] ^= 1 << (at % 8)
    for (const padding of [0, 4096]) {
      try {
        const { transactions: found } = await read(flipped, { padding })
        expect(found.length, `byte ${at}`).toBe(transactions.length)
        expect(found).toEqual(transactions)
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(StorageError)
        expect((error as StorageError).message).toMatch(/log\.1 at byte \d+: /)
      }
    }
  }
})

test('an empty file, one of zeros and a header alone hold nothing; another file is refused', async () => {
  expect(await read(Buffer.alloc(0), { padding: 0 })).toMatchObject({ end: 0, entryCount: 0 })
  expect(await read(Buffer.alloc(0), { padding: 70000 })).toMatchObject({ end: 0, entryCount: 0 })
  expect(await read(logHeader())).toMatchObject({ end: 16, entryCount: 0 })
  await expect(read(Buffer.from('#!/bin/sh\nexit 0\n'))).rejects.toThrow(/begins with "ZKLG", and this file with 0x23212f62/)
})

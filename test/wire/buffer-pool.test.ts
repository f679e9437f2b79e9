import { expect, test } from 'vitest'
import { BufferPool } from '../../src/wire/buffer-pool.ts'

const KiB = 1024
test('what is given back is used again, for whatever size fits', () => {
  const pool = new BufferPool(1024 * KiB)
  const first = pool.take(300 * KiB)
  expect(first).toHaveLength(300 * KiB)
  pool.reuse(first)
  const second = pool.take(400 * KiB)
  expect(second).toHaveLength(400 * KiB)
  expect(second.buffer).toBe(first.buffer)
  expect(pool.take(400 * KiB).buffer).not.toBe(first.buffer)
})
test('given back twice it is lent to one only', () => {
  const pool = new BufferPool(1024 * KiB)
  const buffer = pool.take(64 * KiB)
  pool.reuse(buffer)
  pool.reuse(buffer)
  expect(pool.take(64 * KiB).buffer).not.toBe(pool.take(64 * KiB).buffer)
})
test('no more is kept than it may keep, and nothing of others', () => {
  const pool = new BufferPool(128 * KiB)
  const [one, other] = [pool.take(128 * KiB), pool.take(128 * KiB)]
  pool.reuse(one)
  pool.reuse(other)
  pool.reuse(Buffer.alloc(64 * KiB))
  expect(pool.take(128 * KiB).buffer).toBe(one.buffer)
  expect(pool.take(128 * KiB).buffer).not.toBe(other.buffer)
})

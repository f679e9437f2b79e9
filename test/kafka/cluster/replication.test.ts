import { afterEach, expect, test } from 'vitest'
import { Brokers, until } from './brokers.ts'

let brokers: Brokers
afterEach(() => brokers?.stopAll())
const isrOf = (topic: string): number[] => [...(brokers.view(topic, 0, brokers.controllerId)?.isr ?? [])].sort()

test('three brokers form a cluster; a leader that is stopped hands over at once, returns, catches up and is in sync again', { timeout: 60_000 }, async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t')
  const sent: string[] = []
  const produce = async (value: string): Promise<void> => {
    sent.push(value)
    await brokers.produce('t', value)
  }
  for (let index = 0; index < 20; index++) await produce(`before ${index}`)
  const first = brokers.leaderOf('t')
  await brokers.stop(first)
  for (let index = 0; index < 20; index++) await produce(`without ${first}: ${index}`)
  expect(brokers.leaderOf('t')).not.toBe(first)
  await brokers.start(first)
  await until(() => isrOf('t').length === 3)
  for (let index = 0; index < 5; index++) await produce(`after ${index}`)
  expect(await brokers.values('t')).toEqual(sent)
  const ends = (): number[] => brokers.ids.map((id) => brokers.broker(id).services.replicas.find('t', 0)!.log.logEndOffset)
  expect(ends()).toEqual([sent.length, sent.length, sent.length])
})

test('a leader that dies loses nothing that was acknowledged; it returns, cuts what nobody has, and follows', { timeout: 60_000 }, async () => {
  brokers = await Brokers.start([1, 2, 3], { settings: { 'replica.lag.time.max.ms': '1000', 'replica.fetch.wait.max.ms': '200' } })
  // The leader is controller, too.
  await brokers.createTopic('t', { replicas: [1, 2, 3], configs: { 'min.insync.replicas': '2' } })
  const sent: string[] = []
  for (let index = 0; index < 20; index++) {
    sent.push(`before ${index}`)
    await brokers.produce('t', sent[index])
  }
  const first = brokers.leaderOf('t')
  await brokers.kill(first)
  for (let index = 0; index < 20; index++) {
    sent.push(`without ${first}: ${index}`)
    await brokers.produce('t', `without ${first}: ${index}`)
  }
  expect(isrOf('t')).not.toContain(first)
  await brokers.start(first)
  await until(() => isrOf('t').length === 3)
  const values = await brokers.values('t')
  // A record whose answer was lost may be there twice.
  expect([...new Set(values)]).toEqual(sent)
})

test('a follower that is gone leaves the ISR, and min.insync.replicas is kept', { timeout: 60_000 }, async () => {
  brokers = await Brokers.start([1, 2, 3])
  await brokers.createTopic('t', { replicas: [2, 3, 1], configs: { 'min.insync.replicas': '3' } })
  await brokers.produce('t', 'one')
  await brokers.stop(3)
  await until(() => isrOf('t').length === 2)
  const { leader } = brokers.broker(2).services.replicas.find('t', 0)!
  expect(leader?.isr).toEqual([2, 1])
  expect(leader?.hasEnoughReplicas).toBe(false)
  await brokers.start(3)
  await until(() => isrOf('t').length === 3)
  expect(await brokers.produce('t', 'two')).toBe(1)
})

test('a partition that comes while a fetch waits for records is followed at once', { timeout: 60_000 }, async () => {
  brokers = await Brokers.start([1, 2], { settings: { 'replica.fetch.wait.max.ms': '25000' } })
  await brokers.createTopic('idle', { replicas: [1, 2] })
  await brokers.produce('idle', 'one')
  for (const name of ['new-1', 'new-2', 'new-3']) {
    await brokers.createTopic(name, { replicas: [1, 2] })
    const began = performance.now()
    await brokers.produce(name, 'one')
    await brokers.produce(name, 'two')
    expect(performance.now() - began).toBeLessThan(15_000)
  }
  // Those who were there before go on beside it.
  await brokers.produce('idle', 'two')
  await brokers.produce('new-1', 'three')
})

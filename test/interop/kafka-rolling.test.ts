/**
 * A running cluster of three Apache brokers becomes one of Ottla's, broker by broker, on the same log directories and ports, and Apache's
 * again, while producers and consumers of two libraries work: nothing acknowledged is lost, doubled or reordered.
 */
import { afterEach, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import type { Make } from './ensemble.ts'
import { KafkaLoad } from './kafka-load.ts'
import { judgeLedger } from './ledger.ts'
import { describeWith } from './programs.ts'
import type { Maker } from './target.ts'

let brokers: Brokers | undefined
let load: KafkaLoad | undefined
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') for (const server of brokers?.servers ?? []) console.error(`--- ${server.maker} ${server.address}\n${server.log(40)}`)
  await load?.dispose()
  await brokers?.dispose()
  load = brokers = undefined
})

/** `SOAK=1`: the controller first and on an ensemble of Ottla's too. */
const ways: readonly [Make, 'first' | 'last'][] = [['apache', 'last'], ['ottla', 'first']]
describeWith(['apache', 'python'], "three of Apache's brokers", () => {
  for (const [coordinator, controllerIs] of process.env.SOAK ? ways : ways.slice(0, 1))
    test(`on ${coordinator}'s ensemble are replaced and come back, the controller ${controllerIs}`, { timeout: 600_000 }, async () => {
      brokers = await Brokers.start([coordinator, coordinator, coordinator], ['apache', 'apache', 'apache'])
      load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 300 })
      for (const maker of ['ottla', 'apache'] satisfies Maker[]) {
        const began = performance.now()
        for (let replaced = 0; replaced < 3; replaced++) {
          const left = brokers.servers.filter((server) => server.maker !== maker)
          const controller = await brokers.controller()
          const next = left.find((server) => (server === controller) === (controllerIs === 'first')) ?? left[0]
          await next.stop()
          await load.progress(50)
          await (await brokers.replace(next, maker)).start()
          await brokers.inSync(load.topic, '__consumer_offsets')
          await load.progress(50)
        }
        expect(brokers.servers.map((server) => server.maker)).toEqual([maker, maker, maker])
        console.log(`all are ${maker}'s after ${((performance.now() - began) / 1000).toFixed(1)} s`)
      }
      const tally = judgeLedger(await load.finish())
      console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs, replaced: load.replaced }))
      expect(tally.acknowledged).toBeGreaterThan(2_000)
    })
})

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
import { kafkaMaker, type Maker } from './target.ts'

let brokers: Brokers | undefined
let load: KafkaLoad | undefined
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') for (const server of brokers?.servers ?? []) console.error(`--- ${server.maker} ${server.address}\n${server.log(40)}`)
  await load?.dispose()
  await brokers?.dispose()
  load = brokers = undefined
})

/** Who takes over, and then again; with `TARGET=apache` Apache's from Apache's, a rolling restart. */
const makers: readonly Maker[] = kafkaMaker === 'apache' ? ['apache'] : ['ottla', 'apache']
/** `SOAK=1`: the controller first and on an ensemble of Ottla's too. */
const ways: readonly [Make, 'first' | 'last'][] = [['apache', 'last'], [kafkaMaker, 'first']]
describeWith(['apache', 'python'], "three of Apache's brokers", () => {
  for (const [coordinator, controllerIs] of process.env.SOAK ? ways : ways.slice(0, 1))
    test(`on ${coordinator}'s ensemble are replaced and come back, the controller ${controllerIs}`, { timeout: 1_200_000 }, async () => {
      brokers = await Brokers.start([coordinator, coordinator, coordinator], ['apache', 'apache', 'apache'], { config: { 'controlled.shutdown.max.retries': 50 } })
      load = await KafkaLoad.start({ addresses: brokers.addresses, perSecond: 300 })
      for (const maker of makers) {
        const began = performance.now()
        const left = new Set(brokers.servers.map((server) => brokers!.id(server)))
        while (left.size > 0) {
          const controller = brokers.id(await brokers.controller())
          const id = [...left].find((each) => (each === controller) === (controllerIs === 'first')) ?? [...left][0]
          left.delete(id)
          const next = brokers.server(id)
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
      console.log(JSON.stringify({ ...tally, pausesMs: load.pausesMs, restarts: load.restarts }))
      expect(tally.acknowledged).toBeGreaterThan(2_000)
    })
})

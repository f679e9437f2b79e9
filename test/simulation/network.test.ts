import { expect, test } from 'vitest'
import { Machine } from '../../src/simulation/machine.ts'
import { SimulatedNetwork } from '../../src/simulation/network.ts'
import { World } from '../../src/simulation/world.ts'

/** Found by a seed: a server that stopped hung up before its client was told that the connection stood, and the client waited for ever. */
test('whoever dials learns that the other side has hung up, however early it did', async () => {
  const world = new World({ seed: 1 })
  const network = new SimulatedNetwork(world)
  const [here, there] = ['10.0.0.1', '10.0.0.2'].map((address) => new Machine(world, network, { name: address, address, onLog: () => {} }).boot())
  await there.network.listen({ host: undefined, port: 1 }, (connection) => connection.destroy())
  const story = async (): Promise<void> => {
    for (let count = 0; count < 100; count++) {
      const connection = await here.network.connect({ host: '10.0.0.2', port: 1 })
      connection.onData(() => {})
      await new Promise<void>((closed) => connection.onClose(() => closed()))
    }
  }
  await world.runUntil(story(), 60_000)
  expect(world.now).toBeLessThan(10_000)
})
test('what a lossy way loses comes later, in its order', async () => {
  const world = new World({ seed: 2 })
  const network = new SimulatedNetwork(world)
  const [here, there] = ['10.0.0.1', '10.0.0.2'].map((address) => new Machine(world, network, { name: address, address, onLog: () => {} }).boot())
  const story = async (): Promise<{ text: string; tookMs: number }> => {
    const received = new Promise<string>((done) => void there.network.listen({ host: undefined, port: 1 }, (connection) => {
      let text = ''
      connection.onData((chunk) => {
        text += chunk.toString()
        if (text.length === 50) done(text)
      })
    }))
    const connection = await here.network.connect({ host: '10.0.0.2', port: 1 })
    network.lose('10.0.0.1', '10.0.0.2', 0.3)
    const began = world.now
    for (let count = 0; count < 50; count++) connection.write([Buffer.from(String(count % 10))])
    return { text: await received, tookMs: world.now - began }
  }
  const { text, tookMs } = await world.runUntil(story(), 60_000)
  expect(text).toBe('0123456789'.repeat(5))
  expect(tookMs).toBeGreaterThan(200)
})

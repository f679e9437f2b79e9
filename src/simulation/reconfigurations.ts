/** Somebody who changes the members of an ensemble while it runs: removes one, adds it again, makes it observe, adds a stranger, puts one in the place of another. */
import { isZooKeeperError } from '../zookeeper/client/errors.ts'
import type { ZooKeeperClient } from '../zookeeper/client/client.ts'
import { seededRandom } from './random.ts'
import type { World } from './world.ts'

export class Reconfigurations {
  readonly #world: World
  readonly #names: readonly string[]
  readonly #session: () => Promise<ZooKeeperClient>
  readonly #random
  readonly #pauseMs: readonly [number, number]
  #isOver = false
  /** How many were accepted. */
  count = 0

  /** `names`: all machines by their numbers. Chance of its own: other runs stay what they are. */
  constructor(world: World, facts: { seed: number; names: readonly string[]; pauseMs: readonly [number, number]; session: () => Promise<ZooKeeperClient> }) {
    this.#world = world
    this.#names = facts.names
    this.#session = facts.session
    this.#pauseMs = facts.pauseMs
    this.#random = seededRandom(facts.seed ^ 0x5eed)
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.#world.sleep(this.#pauseMs[0] + this.#random.below(this.#pauseMs[1] - this.#pauseMs[0]))
      const id = 1 + this.#random.below(this.#names.length)
      const step = this.#random.below(5)
      try {
        const zk = await this.#session()
        if (step === 0) await zk.reconfig({ leaving: String(id) })
        else if (step === 1) await zk.reconfig({ joining: this.line(id, 'observer') })
        // Where one takes the place of another, not every quorum of the new members is one of the old.
        else if (step === 2) await zk.reconfig({ joining: this.line(id), leaving: String(1 + ((id + this.#random.below(this.#names.length - 1)) % this.#names.length)) })
        else await zk.reconfig({ joining: this.line(id) })
        this.count++
      } catch (error) {
        // Refused, or nobody knows: both happen.
        if (!isZooKeeperError(error)) throw error
      }
    }
  }
  stop(): void {
    this.#isOver = true
  }
  /** Makes these the members, whatever it takes. */
  async restore(...ids: number[]): Promise<void> {
    for (;;) {
      try {
        const zk = await this.#session()
        // Who observes has not promised anything: it has to follow, as no member, before it can vote with others like it.
        const observers = String((await zk.getConfig()).data).match(/(?<=^server\.)\d+(?==.*:observer)/gm) ?? []
        if (observers.length > 0) await zk.reconfig({ leaving: observers.join(',') })
        await zk.reconfig({ members: ids.map((id) => this.line(id)).join(',') })
        return
      } catch (error) {
        if (!isZooKeeperError(error)) throw error
        await this.#world.sleep(500)
        // Who observes now is no quorum of what comes: they are made voters one after the other.
        if (isZooKeeperError(error, 'newConfigNoQuorum')) for (const id of ids) await this.#join(id)
      }
    }
  }
  async #join(id: number): Promise<void> {
    try {
      await (await this.#session()).reconfig({ joining: this.line(id) })
    } catch (error) {
      if (!isZooKeeperError(error)) throw error
    }
    await this.#world.sleep(500)
  }
  line(id: number, role = 'participant'): string {
    return `server.${id}=${this.#names[id - 1]}:2888:3888:${role};2181`
  }
}

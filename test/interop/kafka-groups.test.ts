/** Consumer groups when members and brokers come and go: Apache's own consumer (VerifiableConsumer of Kafka 3.9), and folders that change hands. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { afterEach, expect, test } from 'vitest'
import { asking, kafkaAt } from './kafkajs.ts'
import { killGroup, until } from './process.ts'
import { describeWith, smallJava, unique, where } from './programs.ts'
import { fourLetterWord, startKafka, startZookeeper, useCluster } from './target.ts'
import type { Maker, Server } from './target.ts'
import { makeTopics } from './topics.ts'

interface Event {
  name: string
  count?: number
  partitions?: { topic: string; partition: number; minOffset?: number; maxOffset?: number }[]
}
const numbers = (event: Event | undefined) => (event?.partitions ?? []).map(({ partition }) => partition).sort((a, b) => a - b)

/** A consumer as a process; what it tells of itself, event by event. */
class Member {
  readonly events: Event[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #errors = ''
  constructor(address: string, topic: string, group: string, ...args: string[]) {
    this.#child = spawn('java', [
      ...smallJava, '-cp', where('apache'), 'org.apache.kafka.tools.VerifiableConsumer', '--bootstrap-server', address, '--topic', topic, '--group-id', group, ...args,
    ], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let rest = ''
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + String(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('{')) this.events.push(JSON.parse(line) as Event)
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#errors += String(chunk)))
    this.#ended = new Promise((resolve) => this.#child.on('close', resolve))
  }
  named(name: string): Event[] {
    return this.events.filter((event) => event.name === name)
  }
  get assignments(): number[][] {
    return this.named('partitions_assigned').map(numbers)
  }
  get revocations(): number[][] {
    return this.named('partitions_revoked').map(numbers)
  }
  async assigned(times: number): Promise<void> {
    await until(`${times} assignments, so far ${JSON.stringify(this.events).slice(-500)} ${this.#errors.slice(-500)}`, () => this.assignments.length >= times)
  }
  /** Every record this member was given, as `partition:offset`, in order. */
  get consumed(): string[] {
    return this.named('records_consumed').flatMap(({ partitions = [] }) =>
      partitions.flatMap(({ partition, minOffset = 0, maxOffset = -1 }) => Array.from({ length: maxOffset - minOffset + 1 }, (_, index) => `${partition}:${minOffset + index}`)))
  }
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }
  async kill(): Promise<void> {
    killGroup(this.#child.pid)
    await this.#ended
  }
}

describeWith(['apache'], "groups of Apache's consumer", () => {
  const cluster = useCluster()
  const members: Member[] = []
  const member = (...args: ConstructorParameters<typeof Member>) => {
    const started = new Member(...args)
    members.push(started)
    return started
  }
  afterEach(async () => {
    for (const each of members.splice(0)) await each.kill()
  })
  /** Asks until there is an answer: after a start coordinators load what they know. */
  const withAdmin = async <T>(address: string, work: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = kafkaAt([address]).admin()
    try {
      return await asking('an answer to an administrator', async () => {
        await admin.connect()
        return work(admin)
      })
    } finally {
      await admin.disconnect()
    }
  }
  const created = async (address: string, numPartitions: number): Promise<string> => {
    const topic = unique('groups')
    await makeTopics([address], { topic, numPartitions })
    return topic
  }
  const produce = async (address: string, topic: string, perPartition: number, partitions: number): Promise<void> => {
    // What is counted exactly is written exactly once.
    const producer = kafkaAt([address]).producer({ idempotent: true, maxInFlightRequests: 1 })
    await asking('a producer connects', () => producer.connect())
    for (let partition = 0; partition < partitions; partition++)
      await producer.send({ topic, messages: Array.from({ length: perPartition }, (_, index) => ({ partition, value: `${partition} ${index}` })) })
    await producer.disconnect()
  }
  const described = (address: string, group: string, topic: string) =>
    withAdmin(address, async (admin) => {
      const [state] = (await admin.describeGroups([group])).groups
      const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      return { state: state.state, members: state.members.length, offsets: partitions.map(({ offset }) => Number(offset)) }
    })

  test('cooperative: a newcomer takes its share, nobody lets go of anything else, and gets it all back', async () => {
    const { address } = cluster.kafka
    const topic = await created(address, 4)
    const cooperative = ['--assignment-strategy', 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor']
    const first = member(address, topic, topic, ...cooperative)
    await first.assigned(1)
    expect(first.assignments[0]).toEqual([0, 1, 2, 3])
    const second = member(address, topic, topic, ...cooperative)
    await until('the newcomer has two partitions', () => second.assignments.flat().length === 2)
    const moved = second.assignments.flat().sort()
    // Each tells by a pipe of its own.
    await until('the first has told what it let go', () => first.revocations.flat().length >= 2)
    expect(first.revocations.flat().sort()).toEqual(moved)
    expect(await described(address, topic, topic)).toMatchObject({ state: 'Stable', members: 2 })
    const before = first.assignments.length
    await second.stop()
    await until('the first has them back', () => first.assignments.slice(before).flat().length === 2)
    expect(first.assignments.slice(before).flat().sort()).toEqual(moved)
    expect(first.revocations.flat().sort()).toEqual(moved)
  })

  test('static: a member that is killed and comes back has its partitions at once, and nobody rebalances', async () => {
    const { address } = cluster.kafka
    const topic = await created(address, 4)
    const as = (instance: string) => member(address, topic, topic, '--group-instance-id', instance, '--session-timeout', '300000')
    const [first, second] = [as('one'), as('two')]
    await until('both have two partitions', () => first.assignments.at(-1)?.length === 2 && second.assignments.at(-1)?.length === 2)
    const [share, count] = [second.assignments.at(-1), first.assignments.length]
    await second.kill()
    const back = as('two')
    await back.assigned(1)
    expect(back.assignments).toEqual([share])
    expect(first.assignments).toHaveLength(count)
    // The one that was replaced, should it still live, is told so.
    const twin = as('two')
    await twin.assigned(1)
    await until('the other one of the same instance gives up', () => back.named('shutdown_complete').length > 0)
    expect(first.assignments).toHaveLength(count)
  })

  test('dynamic: what a killed member had goes to the others when its session is over; each record is read', async () => {
    const { address } = cluster.kafka
    const topic = await created(address, 4)
    await produce(address, topic, 50, 4)
    const [first, second] = [member(address, topic, topic, '--session-timeout', '6000'), member(address, topic, topic, '--session-timeout', '6000')]
    await until('both have two partitions', () => first.assignments.at(-1)?.length === 2 && second.assignments.at(-1)?.length === 2)
    await until('all records are read', () => new Set([...first.consumed, ...second.consumed]).size === 200)
    await second.kill()
    await until('the first has all', () => first.assignments.at(-1)?.length === 4)
    await produce(address, topic, 5, 4)
    await until('new records are read', () => new Set([...first.consumed, ...second.consumed]).size === 220)
    await until('all is committed', async () => (await described(address, topic, topic)).offsets.every((offset) => offset === 55))
  })

  test('the broker is killed and comes back: the group reads on where it was, without a gap', async () => {
    const { address } = cluster.kafka
    const topic = await created(address, 2)
    await produce(address, topic, 100, 2)
    const only = member(address, topic, topic, '--session-timeout', '300000')
    await until('the first records are read', () => only.consumed.length >= 200)
    await until('and committed', async () => (await described(address, topic, topic)).offsets.every((offset) => offset === 100))
    await cluster.kafka.kill()
    // Apache's broker refuses to start while its old session lives.
    if (cluster.kafka.maker === 'apache') await until('its session is over', async () => !(await fourLetterWord(cluster.zookeeper, 'dump')).includes('/brokers/ids/1'))
    await cluster.kafka.start()
    expect((await described(address, topic, topic)).offsets).toEqual([100, 100])
    await produce(address, topic, 100, 2)
    await until('the others are read', () => only.consumed.length >= 400)
    expect(new Set(only.consumed).size).toBe(400)
    expect(only.consumed).toHaveLength(400)
    expect(only.assignments).toHaveLength(1) // its session has outlived the broker
  })

  test.each<[Maker, Maker]>([['apache', 'ottla'], ['ottla', 'apache']])('a folder of %s\'s broker is opened by %s\'s: groups, offsets and what was deleted', async (from, to) => {
    const directory = mkdtempSync(join(tmpdir(), 'ottla-interop-groups-'))
    const zookeeper = await startZookeeper()
    let broker: Server | undefined
    const open = async (maker: Maker) => (broker = await startKafka({ maker, zookeeper: zookeeper.address, directory, port: broker?.port }))
    try {
      const { address } = await open(from)
      const topic = await created(address, 2)
      const deleted = unique('deleted')
      await produce(address, topic, 30, 2)
      const committed = async (group: string, records: number) => {
        const reader = member(address, topic, group, '--max-messages', String(records))
        await until('the reader ends', () => reader.named('shutdown_complete').length > 0)
        return (await described(address, group, topic)).offsets
      }
      const offsets = await committed(topic, 40)
      expect(offsets.reduce((sum, offset) => sum + Math.max(offset, 0), 0)).toBe(40)
      await committed(deleted, 10)
      await withAdmin(address, async (admin) => {
        const { groups } = await admin.listGroups()
        if (groups.some(({ groupId }) => groupId === deleted)) await admin.deleteGroups([deleted])
      })
      for (const maker of [to, from]) {
        await broker?.stop()
        await open(maker)
        expect(await described(address, topic, topic)).toEqual({ state: 'Empty', members: 0, offsets })
        expect((await described(address, deleted, topic)).offsets).toEqual([-1, -1])
      }
      expect(await committed(topic, 20)).toEqual([30, 30])
    } finally {
      await broker?.kill()
      await zookeeper.dispose()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

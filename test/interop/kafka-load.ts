/** Producers and consumers of two client libraries that keep a topic busy, and the ledger of what they were told. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Kafka, Producer } from 'kafkajs'
import { asking, kafkaAt } from './kafkajs.ts'
import type { Entry, Ledger } from './ledger.ts'
import { killGroup, until } from './process.ts'
import { LastingConsumer, Reader } from './reader.ts'
import { unique, where } from './programs.ts'
import { makeTopics } from './topics.ts'

const jsName = 'idempotent kafkajs'
const perSecondByDefault = 300

/** What `python/ledger_client.py` prints at its end. */
interface Report {
  name: string
  sent: number
  acknowledged: [number, number, number][]
  failed: [number, string][]
  delivered: [number, number, string][]
  errors: string[]
  whole: [number, number, string][]
  longestPauseMs: number
}

export interface LoadOptions {
  readonly addresses: readonly string[]
  readonly partitions?: number
  /** Records per second of each producer, at most; default 300. */
  readonly perSecond?: number
  /** Requests of librdkafka's producer that may be in flight; default 1. With 5, its own default, it doubles records at times where Apache's brokers lead. */
  readonly inFlight?: 1 | 5
}

export class KafkaLoad {
  readonly topic = unique('ledger')
  readonly partitions: number
  readonly groups: readonly string[]
  /** Longest time between two acknowledgements; librdkafka's is known at the end. */
  readonly pausesMs = { kafkajs: 0, librdkafka: 0 }
  readonly #options: LoadOptions
  readonly #kafka: Kafka
  readonly #folder = mkdtempSync(join(tmpdir(), 'ottla-interop-load-'))
  readonly #sent: Entry[] = []
  readonly #acknowledged: Entry[] = []
  readonly #delivered: Entry[] = []
  /** `partition/offset` of what was delivered. */
  readonly #seen = new Set<string>()
  #librdkafka = 0
  #librdkafkaDelivered = 0
  #isOver = false
  #pid: number | undefined
  #producer: Producer | undefined
  #consumer: LastingConsumer | undefined
  #producing: Promise<void> | undefined
  #work: Promise<[void, Report]> | undefined
  #failure: Error | undefined

  private constructor(options: LoadOptions) {
    this.#options = options
    this.partitions = options.partitions ?? 3
    this.groups = [`${this.topic}-kafkajs`, `${this.topic}-librdkafka`]
    this.#kafka = kafkaAt(options.addresses, { requestTimeout: 5_000, connectionTimeout: 5_000, retry: { retries: 1_000, initialRetryTime: 50, maxRetryTime: 300 } })
  }

  /** Makes the topic (three replicas, two in sync for an acknowledgement) and answers when every client works. */
  static async start(options: LoadOptions): Promise<KafkaLoad> {
    const load = new KafkaLoad(options)
    await makeTopics(options.addresses, { topic: load.topic, numPartitions: load.partitions, replicationFactor: 3, configEntries: [{ name: 'min.insync.replicas', value: '2' }] })
    load.#producer = load.#kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
    await asking('a producer connects', () => load.#producer!.connect())
    await load.#consume()
    load.#producing = load.#produce()
    load.#work = Promise.all([load.#producing, load.#python()])
    load.#work.catch((error: Error) => (load.#failure = error))
    await load.progress(100)
    await until('members of both groups are given records', () => load.#delivered.length > 0 && load.#librdkafkaDelivered > 0)
    return load
  }

  /** How often kafkajs's consumer gave up its place in the group and began again. */
  get restarts(): number {
    return this.#consumer?.crashes.length ?? 0
  }
  /**
   * A consumer of kafkajs goes on asking a coordinator that is gone (each heartbeat fails, and it fetches anew) until its retries are used up; only then does it
   * look for another one. With few retries that is a matter of seconds.
   */
  async #consume(): Promise<void> {
    const config = { groupId: this.groups[0], sessionTimeout: 10_000, heartbeatInterval: 1_000, maxWaitTimeInMs: 200, retry: { retries: 4, initialRetryTime: 50, maxRetryTime: 300 } }
    this.#consumer = await LastingConsumer.open(this.#kafka, config, this.topic, {
      autoCommitInterval: 500,
      eachMessage: async ({ partition, message }) => {
        this.#delivered.push([partition, Number(message.offset), String(message.value)])
        this.#seen.add(`${partition}/${message.offset}`)
      },
    })
  }

  /**
   * Waits until each producer was acknowledged this many records more. kafkajs may stay with a broker that takes requests and answers none:
   * while one is frozen or cut off only librdkafka is waited for.
   */
  async progress(count: number, who: 'both' | 'librdkafka' = 'both', timeoutMs = 300_000): Promise<void> {
    const [js, librdkafka] = [this.#acknowledged.length, this.#librdkafka]
    await until(`${count} records more of each producer (kafkajs: ${js}, librdkafka: ${librdkafka})`, () => {
      if (this.#failure) throw this.#failure
      return (who === 'librdkafka' || this.#acknowledged.length >= js + count) && this.#librdkafka >= librdkafka + count
    }, timeoutMs).catch((cause: Error) => {
      throw new Error(`${cause.message}; now kafkajs: ${this.#acknowledged.length}, librdkafka: ${this.#librdkafka}`, { cause })
    })
  }

  /** Waits until members of one of `groups` were given this many records more. */
  async consumed(group: number, count: number): Promise<void> {
    const given = (): number => (group === 0 ? this.#delivered.length : this.#librdkafkaDelivered)
    const before = given()
    await until(`${count} records more for ${this.groups[group]}`, () => given() >= before + count, 300_000)
  }

  /** Lets producers end and groups read on to the end; then both libraries read all there is. */
  async finish(): Promise<Ledger> {
    // The groups read on until they have what was written last: the other library is told to end when nothing is to come any more.
    this.#isOver = true
    await this.#producing
    writeFileSync(join(this.#folder, 'stop'), '')
    const [, report] = await this.#work!
    if (report.failed.length + report.errors.length > 0) throw new Error(`librdkafka was told of failures: ${JSON.stringify([...report.failed.slice(0, 5), ...report.errors])}`)
    this.pausesMs.librdkafka = report.longestPauseMs
    const name = (number: number): string => `${report.name}.${number}`
    // A repeated batch that the broker has had for long is acknowledged without an offset: where its records stand, a reader tells; -1: nowhere.
    const placed = new Map(report.whole.map(([partition, offset, value]) => [`${partition}/${value}`, offset]))
    const placeOf = (partition: number, offset: number | null, value: string): number => (offset !== null && offset >= 0 ? offset : (placed.get(`${partition}/${value}`) ?? -1))
    const acknowledged = [...this.#acknowledged, ...report.acknowledged.map(([partition, offset, number]): Entry => [partition, placeOf(partition, offset, name(number)), name(number)])]
    let missing: readonly Entry[] = acknowledged
    await until('the group of kafkajs has read all', () => (missing = missing.filter(([partition, offset]) => !this.#seen.has(`${partition}/${offset}`))).length === 0, 300_000).catch((cause: Error) => {
      throw new Error(`${cause.message}: ${missing.length} of ${acknowledged.length} are missing, the first is ${missing[0]?.join(' ')}; its consumer said ${this.#consumer?.crashes.slice(-5).join('; ') || 'nothing'}`, { cause })
    })
    await this.#consumer!.close()
    return {
      partitions: this.partitions,
      sent: [...this.#sent, ...Array.from({ length: report.sent }, (_, number): Entry => [number % this.partitions, -1, name(number)])],
      acknowledged,
      groups: { kafkajs: this.#delivered, librdkafka: report.delivered },
      whole: { kafkajs: await this.#whole(report.whole.length), librdkafka: report.whole },
    }
  }
  async dispose(): Promise<void> {
    this.#isOver = true
    killGroup(this.#pid)
    await Promise.all([this.#producer?.disconnect().catch(() => {}), this.#consumer?.close().catch(() => {})])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #produce(): Promise<void> {
    let last: number | undefined
    for (let number = 0; !this.#isOver; ) {
      const partition = (number / 10) % this.partitions
      const values = Array.from({ length: 10 }, () => `${jsName}.${number++}`)
      for (const value of values) this.#sent.push([partition, -1, value])
      const [{ baseOffset }] = await this.#producer!.send({ topic: this.topic, acks: -1, messages: values.map((value) => ({ partition, value })) })
      values.forEach((value, index) => this.#acknowledged.push([partition, Number(baseOffset) + index, value]))
      const now = performance.now()
      if (last !== undefined) this.pausesMs.kafkajs = Math.max(this.pausesMs.kafkajs, Math.round(now - last))
      last = now
      await new Promise((resolve) => setTimeout(resolve, 10_000 / (this.#options.perSecond ?? perSecondByDefault)))
    }
  }
  async #python(): Promise<Report> {
    const program = new URL('python/ledger_client.py', import.meta.url).pathname
    const { addresses, perSecond = perSecondByDefault, inFlight = 1 } = this.#options
    const child = spawn(where('python'), [program, addresses.join(), this.topic, String(this.partitions), join(this.#folder, 'stop'), String(perSecond), String(inFlight)], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    this.#pid = child.pid
    let said = ''
    child.stderr.on('data', (chunk) => (said += String(chunk)))
    let report: Report | undefined
    for await (const line of createInterface({ input: child.stdout })) {
      const counts = /^acknowledged (\d+) delivered (\d+)$/.exec(line)
      if (counts) [this.#librdkafka, this.#librdkafkaDelivered] = [Number(counts[1]), Number(counts[2])]
      else report = JSON.parse(line) as Report
    }
    if (!report) throw new Error(`ledger_client.py ended without a report: ${said.slice(-2_000)}`)
    return report
  }
  /** A partition's last offsets may be shown late by a new leader: as many as librdkafka found are waited for. */
  async #whole(count: number): Promise<Entry[]> {
    const reader = await Reader.open(this.#kafka, this.topic)
    try {
      await until(`${count} records of ${this.topic} read by kafkajs`, () => reader.records.length >= count, 300_000)
    } finally {
      await reader.close()
    }
    return reader.records.map(({ partition, offset, value }) => [partition, offset, value])
  }
}

/** Producers and consumers of two client libraries that keep a topic busy, and the ledger of what they were told. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Kafka, logLevel, type Consumer, type Producer } from 'kafkajs'
import type { Entry, Ledger } from './ledger.ts'
import { killGroup, until } from './process.ts'
import { unique, where } from './programs.ts'

const jsName = 'idempotent kafkajs'

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
  /** Records per second of librdkafka's producer; kafkajs sends one batch of ten after the other. */
  readonly perSecond?: number
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
  /** Why its consumer ended or began again. */
  readonly #crashes: string[] = []
  /** How often kafkajs's consumer stood still and was replaced. */
  replaced = 0
  #progress = { count: 0, at: performance.now() }
  #watchdog: NodeJS.Timeout | undefined
  #librdkafka = 0
  #librdkafkaDelivered = 0
  #isOver = false
  #pid: number | undefined
  #producer: Producer | undefined
  #consumer: Consumer | undefined
  #work: Promise<[void, Report]> | undefined
  #failure: Error | undefined

  private constructor(options: LoadOptions) {
    this.#options = options
    this.partitions = options.partitions ?? 3
    this.groups = [`${this.topic}-kafkajs`, `${this.topic}-librdkafka`]
    this.#kafka = new Kafka({ brokers: [...options.addresses], logLevel: logLevel.NOTHING, requestTimeout: 5_000, connectionTimeout: 3_000, retry: { retries: 1_000, initialRetryTime: 50, maxRetryTime: 300 } })
  }

  /** Makes the topic (three replicas, two in sync for an acknowledgement) and answers when every client works. */
  static async start(options: LoadOptions): Promise<KafkaLoad> {
    const load = new KafkaLoad(options)
    const admin = load.#kafka.admin()
    await admin.connect()
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic: load.topic, numPartitions: load.partitions, replicationFactor: 3, configEntries: [{ name: 'min.insync.replicas', value: '2' }] }] })
    await admin.disconnect()
    load.#producer = load.#kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
    await load.#producer.connect()
    await load.#consume()
    load.#work = Promise.all([load.#produce(), load.#python()])
    load.#work.catch((error: Error) => (load.#failure = error))
    load.#watchdog = setInterval(() => load.#wake(), 1_000)
    await load.progress(100)
    await until('members of both groups are given records', () => load.#delivered.length > 0, 60_000)
    return load
  }

  async #consume(): Promise<void> {
    const consumer = (this.#consumer = this.#kafka.consumer({ groupId: this.groups[0], sessionTimeout: 10_000, heartbeatInterval: 1_000, maxWaitTimeInMs: 200, retry: { retries: 1_000, initialRetryTime: 50, maxRetryTime: 300 } }))
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => this.#crashes.push(`${error.name}: ${error.message}${restart ? '' : ' (it does not start again)'}`))
    await consumer.connect()
    // A broker hears of a new topic when its controller tells it: kafkajs, which may ask another one, does not try again by itself.
    await until('every broker knows the topic', () => consumer.subscribe({ topic: this.topic, fromBeginning: true }).then(() => true, () => false))
    await consumer.run({ autoCommitInterval: 500, eachMessage: async ({ partition, message }) => void this.#delivered.push([partition, Number(message.offset), String(message.value)]) })
  }
  /**
   * After the death of its coordinator kafkajs's consumer was seen to ask nobody for anything any more (its last broker then took it out of the group). As a
   * person would, the load takes a new one after a while; how often is in `replaced`.
   */
  #wake(): void {
    const now = performance.now()
    if (this.#delivered.length > this.#progress.count) this.#progress = { count: this.#delivered.length, at: now }
    if (now - this.#progress.at < 20_000) return
    this.#progress = { count: this.#delivered.length, at: now }
    this.replaced++
    this.#crashes.push('nothing for 20 s: replaced')
    this.#consumer?.disconnect().catch(() => {})
    this.#consume().catch((error: Error) => this.#crashes.push(`the new one: ${error.message}`))
  }

  /**
   * Waits until each producer was acknowledged this many records more. kafkajs may stay with a broker that takes requests and answers none:
   * while one is frozen or cut off only librdkafka is waited for.
   */
  async progress(count: number, who: 'both' | 'librdkafka' = 'both', timeoutMs = 90_000): Promise<void> {
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
    await until(`${count} records more for ${this.groups[group]}`, () => given() >= before + count, 90_000)
  }

  /** Lets producers end and groups read on to the end; then both libraries read all there is. */
  async finish(): Promise<Ledger> {
    this.#isOver = true
    writeFileSync(join(this.#folder, 'stop'), '')
    const [, report] = await this.#work!
    if (report.failed.length + report.errors.length > 0) throw new Error(`librdkafka was told of failures: ${JSON.stringify([...report.failed.slice(0, 5), ...report.errors])}`)
    this.pausesMs.librdkafka = report.longestPauseMs
    const name = (number: number): string => `${report.name}.${number}`
    // A repeated batch that the broker has had for long is acknowledged without an offset: where its records stand, a reader tells; -1: nowhere.
    const placed = new Map(report.whole.map(([partition, offset, value]) => [`${partition}/${value}`, offset]))
    const placeOf = (partition: number, offset: number | null, value: string): number => (offset !== null && offset >= 0 ? offset : (placed.get(`${partition}/${value}`) ?? -1))
    const acknowledged = [...this.#acknowledged, ...report.acknowledged.map(([partition, offset, number]): Entry => [partition, placeOf(partition, offset, name(number)), name(number)])]
    const unread = (): Entry[] => {
      const seen = new Set(this.#delivered.map(([partition, offset]) => `${partition}/${offset}`))
      return acknowledged.filter(([partition, offset]) => !seen.has(`${partition}/${offset}`))
    }
    await until('the group of kafkajs has read all', () => unread().length === 0, 60_000).catch((cause: Error) => {
      const [first] = unread()
      throw new Error(`${cause.message}: ${unread().length} of ${acknowledged.length} are missing, the first is ${first?.join(' ')}; its consumer said ${this.#crashes.slice(-5).join('; ') || 'nothing'}`, { cause })
    })
    clearInterval(this.#watchdog)
    await this.#consumer!.disconnect()
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
    clearInterval(this.#watchdog)
    killGroup(this.#pid)
    await Promise.all([this.#producer?.disconnect().catch(() => {}), this.#consumer?.disconnect().catch(() => {})])
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
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  async #python(): Promise<Report> {
    const program = new URL('python/ledger_client.py', import.meta.url).pathname
    const { addresses, perSecond = 500 } = this.#options
    const child = spawn(where('python'), [program, addresses.join(), this.topic, String(this.partitions), join(this.#folder, 'stop'), String(perSecond)], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
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
    const consumer = this.#kafka.consumer({ groupId: unique('whole'), maxWaitTimeInMs: 100 })
    const found: Entry[] = []
    await consumer.connect()
    try {
      await consumer.subscribe({ topic: this.topic, fromBeginning: true })
      await consumer.run({ eachMessage: async ({ partition, message }) => void found.push([partition, Number(message.offset), String(message.value)]) })
      await until(`${count} records of ${this.topic} read by kafkajs`, () => found.length >= count, 90_000)
    } finally {
      await consumer.disconnect()
    }
    return found
  }
}

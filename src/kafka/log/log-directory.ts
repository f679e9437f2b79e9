/** One of `log.dirs`: its lock, identity, checkpoints and clean-shutdown marker. */
import type { Host, Lock } from '../../host/host.ts'
import { readOffsets, writeOffsets, type PartitionOffset } from './checkpoint.ts'
import { CorruptFileError } from './corrupt-file-error.ts'
import { metaPropertiesText, parseMetaProperties, type MetaProperties } from './meta-properties.ts'
import { directoryFile, parseDirectoryName } from './names.ts'

export interface FoundPartition {
  topic: string
  partition: number
  directory: string
  /** A replica that is being moved here from another log directory. */
  isFuture: boolean
}

export class LogDirectory {
  readonly path: string
  readonly #host: Host
  #lock: Lock | undefined
  failure: Error | undefined
  isClean = false
  meta: MetaProperties | undefined
  /** By `topic-partition`. */
  recoveryPoints = new Map<string, number>()
  logStarts = new Map<string, number>()
  highWatermarks = new Map<string, number>()
  cleanedTo = new Map<string, number>()
  readonly #lastTexts = new Map<string, string>()

  constructor(host: Host, path: string) {
    this.#host = host
    this.path = path
  }
  #file(name: string): string {
    return `${this.path}/${name}`
  }

  /** Takes the directory. Rejects with an `InUseError` when another process has it. */
  async lock(): Promise<void> {
    await this.#host.disk.makeDirectory(this.path)
    this.#lock = await this.#host.disk.lock(this.#file(directoryFile.lock))
  }
  async unlock(): Promise<void> {
    await this.#lock?.release()
    this.#lock = undefined
  }
  async readMeta(): Promise<void> {
    const path = this.#file(directoryFile.meta)
    if (await this.#host.disk.facts(path)) this.meta = parseMetaProperties(path, (await this.#host.disk.readFile(path)).toString('utf8'))
  }
  async writeMeta(brokerId: number, clusterId: string): Promise<void> {
    if (this.meta?.brokerId === brokerId && this.meta.clusterId === clusterId) return
    await this.#host.disk.replaceFile(this.#file(directoryFile.meta), metaPropertiesText({ brokerId, clusterId, now: this.#host.clock.now() }))
    this.meta = { brokerId, clusterId }
  }

  /** Reads the checkpoints, takes the marker away and says which partitions lie here. What was to be deleted is deleted. */
  async survey(): Promise<FoundPartition[]> {
    const { disk, logger } = this.#host
    const log = logger.named('kafka.log')
    const marker = this.#file(directoryFile.cleanShutdown)
    const names = await disk.list(this.path)
    this.isClean = (await disk.facts(marker)) !== undefined
    if (this.isClean) {
      // Gone for certain before anything is written: a marker that survives a crash would hide the need to recover.
      await disk.remove(marker)
      await disk.syncDirectory(this.path)
    }
    this.recoveryPoints = await this.#offsets(directoryFile.recoveryPoints, 'every log that was not closed in order is recovered from its beginning')
    this.logStarts = await this.#offsets(directoryFile.logStarts, 'logs begin with their first segment')
    this.highWatermarks = await this.#offsets(directoryFile.highWatermarks, 'what is committed is asked of leaders and followers')
    this.cleanedTo = await this.#offsets(directoryFile.cleaner, 'compacted logs are cleaned from their beginning')
    const found: FoundPartition[] = []
    for (const name of names) {
      const directory = this.#file(name)
      if ((await disk.facts(directory))?.kind !== 'directory') continue
      const parsed = parseDirectoryName(name)
      switch (parsed.kind) {
        case 'partition':
          found.push({ topic: parsed.topic, partition: parsed.partition, directory, isFuture: false })
          break
        case 'future':
          found.push({ topic: parsed.topic, partition: parsed.partition, directory, isFuture: true })
          break
        case 'deleted':
          await disk.removeTree(directory)
          break
        case 'stray':
          log.warn('a directory is left alone: a replica that a broker has put aside', { directory })
          break
        case 'ignored':
          break
        case 'unknown':
          if (name.startsWith('.') || name === 'lost+found') break
          throw new Error(`${directory} is no directory of a partition (<topic>-<number>). A log directory holds nothing else: move it away, or choose another directory in log.dirs`)
      }
    }
    return found
  }

  /** A checkpoint spares work or is found out anew: without it, the logs are still whole. */
  async #offsets(name: string, instead: string): Promise<Map<string, number>> {
    try {
      return await readOffsets(this.#host.disk, this.#file(name))
    } catch (error) {
      if (!(error instanceof CorruptFileError)) throw error
      this.#host.logger.named('kafka.log').error(`a checkpoint cannot be read and is written anew: ${instead}`, { error })
      return new Map()
    }
  }
  async writeCheckpoints(offsets: { recoveryPoints: PartitionOffset[]; logStarts: PartitionOffset[]; highWatermarks: PartitionOffset[] }): Promise<void> {
    await this.#write(directoryFile.recoveryPoints, offsets.recoveryPoints)
    await this.#write(directoryFile.logStarts, offsets.logStarts)
    await this.#write(directoryFile.highWatermarks, offsets.highWatermarks)
  }
  async writeHighWatermarks(offsets: PartitionOffset[]): Promise<void> {
    await this.#write(directoryFile.highWatermarks, offsets)
  }
  async writeCleaned(offsets: PartitionOffset[]): Promise<void> {
    await this.#write(directoryFile.cleaner, offsets)
  }
  /** An idle broker writes nothing. */
  async #write(name: string, offsets: PartitionOffset[]): Promise<void> {
    const text = JSON.stringify(offsets)
    if (this.#lastTexts.get(name) === text) return
    await writeOffsets(this.#host.disk, this.#file(name), offsets)
    this.#lastTexts.set(name, text)
  }
  /** The last thing a clean stop writes. */
  async writeMarker(brokerEpoch: bigint): Promise<void> {
    await this.#host.disk.replaceFile(this.#file(directoryFile.cleanShutdown), `{"version":0,"brokerEpoch":${brokerEpoch}}`)
  }
}

/** kafka-dump-log.sh: what lies in the files of a partition: segments, their indexes, transaction indexes and producer snapshots. */
import { basename, dirname, join, resolve } from 'node:path'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { offsetEntrySize } from '../kafka/log/offset-index.ts'
import { decodeSnapshot } from '../kafka/log/producer-snapshot.ts'
import { timeEntrySize } from '../kafka/log/time-index.ts'
import { Batch, batchHeadSize, headProblem, int32At, int64At, messageSizeMin } from '../kafka/records/batch.ts'
import { controlType, controlTypeOf, coordinatorEpochOf } from '../kafka/records/control.ts'
import { recordsOf } from '../kafka/records/decode.ts'
import { javaHashCode } from '../wire/java-hash.ts'
import { inScalasOrder } from './scala-order.ts'
import { offsetsDecoder, transactionLogDecoder, type RecordDecoder } from './coordinator-records.ts'
import { OptionError, Options, type OptionSpec } from './options.ts'
import { helpOrVersion, refuseCommandLine, runAsProgram, type Tool, type ToolIo } from './tool.ts'

export const dumpLogAbout = 'This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.'
export const dumpLogOptions: readonly OptionSpec[] = [
  { name: 'deep-iteration', help: 'Show each record, not only the batches. --print-data-log does too.' },
  { name: 'files', takes: 'String', value: 'file1, file2, ...', help: 'REQUIRED: the files, of kinds .log, .index, .timeindex, .txnindex and .snapshot.' },
  { name: 'help', help: 'Print usage information.' },
  { name: 'index-sanity-check', help: 'Only check that an index is made of whole entries, and does not end before its segment begins.' },
  { name: 'max-bytes', takes: 'Integer', value: 'size', byDefault: '2147483647', help: 'Read so many bytes of a segment at most.' },
  { name: 'offsets-decoder', help: 'Show keys and values as records of __consumer_offsets.' },
  { name: 'print-data-log', help: 'Show keys and values too. The decoders do too.' },
  { name: 'skip-record-metadata', help: 'Show nothing of a record but key and value.' },
  { name: 'transaction-log-decoder', help: 'Show keys and values as records of __transaction_state.' },
  { name: 'verify-index-only', help: 'Only compare an index with its segment, without showing its entries.' },
  { name: 'version', help: 'Display the version.' },
]
const notYet = ['cluster-metadata-decoder', 'key-decoder-class', 'max-message-size', 'remote-log-metadata-decoder', 'value-decoder-class']

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const timestampTypeOf = (batch: Batch): string => (batch.isLogAppendTime ? 'LogAppendTime' : batch.magic === 0 ? 'NoTimestampType' : 'CreateTime')
/** An optional number as Java prints it. */
const optional = (value: number | bigint | undefined): string => (value === undefined ? 'OptionalLong.empty' : `OptionalLong[${value}]`)

export const kafkaDumpLog: Tool = async (argv, io) => {
  const shown = helpOrVersion(argv, dumpLogAbout, dumpLogOptions, io)
  if (shown !== undefined) return shown
  let options: Options
  try {
    const word = argv.map((one) => one.replace(/^--?/, '').replace(/=.*$/s, '')).find((name) => notYet.includes(name))
    if (word !== undefined) throw new OptionError(`--${word} is not supported by this tool yet: keys and values are shown as text`)
    options = new Options(dumpLogOptions, argv)
    options.require('files')
  } catch (error) {
    return refuseCommandLine(error, dumpLogOptions, io)
  }
  let isWrong = false
  const problems = new Problems()
  for (const file of options.value('files')!.split(',').map((name) => name.trim()).filter((name) => name !== '')) {
    io.out(`Dumping ${file}\n`)
    try {
      dump(file, options, io, problems)
    } catch (error) {
      io.err((error as Error).message)
      isWrong = true
    }
  }
  problems.print(io)
  return isWrong ? 1 : 0
}

/** Kinds of what does not fit together, in the order in which they are told, and whether the file's name follows. */
const problemKinds = {
  mismatch: { title: 'Mismatches in :', namesFile: true },
  timestamp: { title: 'Found timestamp mismatch in :', namesFile: true },
  order: { title: 'Found out of order timestamp in :', namesFile: true },
  missing: { title: 'The following indexed offsets are not found in the log.', namesFile: false },
  gap: { title: 'Non-consecutive offsets in ', namesFile: true },
}
type ProblemKind = keyof typeof problemKinds
/** What does not fit together, told when all files have been seen. */
class Problems {
  readonly #found = new Map<ProblemKind, Map<string, string[]>>()

  add(kind: ProblemKind, file: string, line: string): void {
    const files = this.#found.get(kind) ?? new Map<string, string[]>()
    this.#found.set(kind, files)
    const lines = files.get(resolve(file)) ?? []
    files.set(resolve(file), lines)
    // The last is told first.
    lines.unshift(line)
  }
  print(io: ToolIo): void {
    for (const [kind, { title, namesFile }] of Object.entries(problemKinds))
      for (const [file, lines] of inScalasOrder(this.#found.get(kind as ProblemKind) ?? [], ([path]) => javaHashCode(path)))
        io.err([namesFile ? title + file : title, ...lines].join('\n'))
  }
}

function dump(file: string, options: Options, io: ToolIo, problems: Problems): void {
  switch (/\.[^.]*$/.exec(basename(file))?.[0]) {
    case '.log': return dumpSegment(file, options, io, problems)
    case '.index': return dumpOffsetIndex(file, options, io, problems)
    case '.timeindex': return dumpTimeIndex(file, options, io, problems)
    case '.txnindex': return dumpTransactionIndex(file, io)
    case '.snapshot': return dumpSnapshot(file, io)
    default: io.err(`Ignoring unknown file ${file}`)
  }
}
function baseOffsetOf(file: string): number {
  const digits = /^(\d+)\./.exec(basename(file))?.[1]
  if (digits === undefined) throw new Error(`For input string: "${basename(file).replace(/\..*/, '')}" (${file} is not named with its base offset)`)
  return Number(digits)
}

/** Batches of a segment with their positions, one in memory at a time; ends where the file holds none any more. Returns the position behind the last. */
function* batchesOf(file: string, sizeMax: number, from = 0): Generator<{ batch: Batch; position: number }, number> {
  const handle = openSync(file, 'r')
  try {
    const end = Math.min(fstatSync(handle).size, sizeMax)
    const head = Buffer.alloc(batchHeadSize)
    let position = from
    while (end - position >= messageSizeMin) {
      const read = readSync(handle, head, 0, batchHeadSize, position)
      if (headProblem(head.subarray(0, read), 0, end - position) !== undefined) return position
      const size = new Batch(head).size
      if (position + size > end) return position
      const bytes = Buffer.alloc(size)
      readSync(handle, bytes, 0, size, position)
      yield { batch: new Batch(bytes), position }
      position += size
    }
    return position
  } finally {
    closeSync(handle)
  }
}

function dumpSegment(file: string, options: Options, io: ToolIo, problems: Problems): void {
  io.out(`Log starting offset: ${baseOffsetOf(file)}\n`)
  const decode = decoderOf(options)
  const data = options.has('print-data-log') || options.has('offsets-decoder') || options.has('transaction-log-decoder')
  const bare = options.has('skip-record-metadata')
  const batches = batchesOf(file, options.number('max-bytes')!)
  let next = batches.next()
  let before = -1
  for (; !next.done; next = batches.next()) {
    const { batch, position } = next.value
    io.out(`${batchText(batch)} position: ${position} ${timestampTypeOf(batch)}: ${batch.maxTimestamp} size: ${batch.size} magic: ${batch.magic} compresscodec: ${codecs[batch.codec] ?? batch.codec} crc: ${batch.crc >>> 0} isvalid: ${batch.isLegacy || batch.computeCrc() === batch.crc}\n`)
    if (!data && !options.has('deep-iteration')) continue
    for (const { offset, timestamp, key, value, headers, sequence } of recordsOf(batch)) {
      if (before >= 0 && offset !== before + 1) problems.add('gap', file, `  ${before} is followed by ${offset}`)
      before = offset
      if (!bare) io.out(`| offset: ${offset} ${timestampTypeOf(batch)}: ${timestamp} keySize: ${key?.length ?? -1} valueSize: ${value?.length ?? -1}${batch.isLegacy ? '' : ` sequence: ${sequence} headerKeys: [${headers.map((header) => header.key).join(',')}]`}`)
      if (batch.isControl) io.out(bare ? '' : controlText(key, value))
      else if (data) {
        const shown = decode({ offset, key, value })
        if (shown.key !== undefined) io.out(`${bare ? '|' : ''} key: ${shown.key}`)
        if (shown.payload !== undefined) io.out(` payload: ${shown.payload}`)
      }
      io.out('\n')
    }
  }
  const size = readSize(file)
  const { byDefault } = dumpLogOptions.find(({ name }) => name === 'max-bytes')!
  // Who looks at a part knows that more follows.
  if (next.value < size && options.number('max-bytes') === Number(byDefault)) io.out(`Found ${size - next.value} invalid bytes at the end of ${basename(file)}\n`)
}
function decoderOf(options: Options): RecordDecoder {
  if (options.has('offsets-decoder')) return offsetsDecoder()
  if (options.has('transaction-log-decoder')) return transactionLogDecoder()
  return ({ key, value }) => ({ key: key?.toString(), payload: value?.toString() })
}
function batchText(batch: Batch): string {
  if (batch.isLegacy) return `offset: ${batch.lastOffset}`
  const horizon = optional(batch.hasDeleteHorizon ? batch.baseTimestamp : undefined)
  return `baseOffset: ${batch.baseOffset} lastOffset: ${batch.lastOffset} count: ${batch.recordCount} baseSequence: ${batch.baseSequence} lastSequence: ${batch.lastSequence} producerId: ${batch.producerId} producerEpoch: ${batch.producerEpoch} partitionLeaderEpoch: ${batch.partitionLeaderEpoch} isTransactional: ${batch.isTransactional} isControl: ${batch.isControl} deleteHorizonMs: ${horizon}`
}
function controlText(key: Buffer | null, value: Buffer | null): string {
  const type = controlTypeOf(key)
  const name = type === controlType.abort ? 'ABORT' : type === controlType.commit ? 'COMMIT' : undefined
  return name === undefined ? ` controlType: ${type ?? 'UNKNOWN'}` : ` endTxnMarker: ${name} coordinatorEpoch: ${coordinatorEpochOf(value) ?? -1}`
}
function readSize(file: string): number {
  const handle = openSync(file, 'r')
  try {
    return fstatSync(handle).size
  } finally {
    closeSync(handle)
  }
}

/** Entries of an index up to the room that is kept for more, which is zeros. */
function* entriesOf(file: string, size: number, offsetAt: number): Generator<{ bytes: Buffer; at: number }> {
  const bytes = readFileSync(file)
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (at > 0 && int32At(bytes, at + offsetAt) === 0) return
    yield { bytes, at }
  }
}
/** What a broker looks at before it believes an index (AbstractIndex.sanityCheck): whole entries, and the last not below the first. */
function checkSanity(file: string, entrySize: number, io: ToolIo): void {
  const bytes = readFileSync(file)
  if (bytes.length % entrySize !== 0) throw new Error(`Index file ${file} is corrupt: its ${bytes.length} bytes are not made of entries of ${entrySize}`)
  const last = bytes.length - entrySize
  if (last >= 0) {
    const offset = int32At(bytes, entrySize === timeEntrySize ? last + 8 : last)
    if (offset < 0) throw new Error(`Index file ${file} is corrupt: its last offset is ${baseOffsetOf(file) + offset}, and its segment begins at ${baseOffsetOf(file)}`)
    if (entrySize === timeEntrySize && bytes.readBigInt64BE(last) < bytes.readBigInt64BE(0)) throw new Error(`Time index file ${file} is corrupt: its last timestamp is ${bytes.readBigInt64BE(last)}, its first ${bytes.readBigInt64BE(0)}`)
  }
  io.out(`${file} passed sanity check.\n`)
}
const segmentOf = (file: string): string => join(dirname(file), basename(file).replace(/\.[^.]*$/, '.log'))

/** `relativeOffset:int32 position:int32`: the last offset of the batch at that position. */
function dumpOffsetIndex(file: string, options: Options, io: ToolIo, problems: Problems): void {
  const base = baseOffsetOf(file)
  if (readSize(file) === 0) return void io.out(`${file} is empty.\n`)
  if (options.has('index-sanity-check')) return checkSanity(file, offsetEntrySize, io)
  for (const { bytes, at } of entriesOf(file, offsetEntrySize, 0)) {
    const offset = base + int32At(bytes, at)
    const position = int32At(bytes, at + 4)
    const found = batchesOf(segmentOf(file), 0x7fff_ffff, position).next()
    if (!found.done && found.value.batch.lastOffset !== offset) problems.add('mismatch', file, `  Index offset: ${offset}, log offset: ${found.value.batch.lastOffset}`)
    if (!options.has('verify-index-only')) io.out(`offset: ${offset} position: ${position}\n`)
  }
}
/** `timestamp:int64 relativeOffset:int32`: the greatest timestamp so far, and the last offset of the batch that has it. */
function dumpTimeIndex(file: string, options: Options, io: ToolIo, problems: Problems): void {
  const base = baseOffsetOf(file)
  if (options.has('index-sanity-check')) return checkSanity(file, timeEntrySize, io)
  let before = -1n
  const batches = batchesOf(segmentOf(file), 0x7fff_ffff)
  let seen = batches.next()
  for (const { bytes, at } of entriesOf(file, timeEntrySize, 8)) {
    const timestamp = bytes.readBigInt64BE(at)
    const offset = base + int32At(bytes, at + 8)
    while (!seen.done && seen.value.batch.lastOffset < offset) seen = batches.next()
    const found = seen.done ? -1 : seen.value.batch.lastOffset
    if (seen.done || found !== offset) problems.add('missing', file, `Indexed offset: ${offset}, found log offset: ${found}`)
    else {
      // By its records: compaction may have left none of them.
      const latest = recordsOf(seen.value.batch).reduce((max, record) => (record.timestamp > max ? record.timestamp : max), -1n)
      if (latest !== timestamp) problems.add('timestamp', file, `  Index timestamp: ${timestamp}, log timestamp: ${latest}`)
    }
    if (timestamp < before) problems.add('order', file, `  Index timestamp: ${timestamp}, Previously indexed timestamp: ${before}`)
    before = timestamp
    if (!options.has('verify-index-only')) io.out(`timestamp: ${timestamp} offset: ${offset}\n`)
  }
}

function dumpTransactionIndex(file: string, io: ToolIo): void {
  const bytes = readFileSync(file)
  const entrySize = 34
  if (bytes.length % entrySize !== 0) throw new Error(`${file} is corrupt: its ${bytes.length} bytes are not made of entries of ${entrySize}`)
  for (let at = 0; at < bytes.length; at += entrySize)
    io.out(`version: ${bytes.readInt16BE(at)} producerId: ${int64At(bytes, at + 2)} firstOffset: ${int64At(bytes, at + 10)} lastOffset: ${int64At(bytes, at + 18)} lastStableOffset: ${int64At(bytes, at + 26)}\n`)
}
function dumpSnapshot(file: string, io: ToolIo): void {
  for (const { producerId, epoch, coordinatorEpoch, currentTransactionFirstOffset, timestamp, lastSequence, lastOffset, offsetDelta } of decodeSnapshot(file, readFileSync(file))) {
    const batch = lastOffset < 0 ? '' : `firstSequence: ${firstSequence(lastSequence, offsetDelta)} lastSequence: ${lastSequence} lastOffset: ${lastOffset} offsetDelta: ${offsetDelta} timestamp: ${timestamp}`
    io.out(`producerId: ${producerId} producerEpoch: ${epoch} coordinatorEpoch: ${coordinatorEpoch} currentTxnFirstOffset: ${optional(currentTransactionFirstOffset < 0 ? undefined : currentTransactionFirstOffset)} lastTimestamp: ${timestamp} ${batch}\n`)
  }
}

/** Sequences wrap at 2^31. */
function firstSequence(last: number, delta: number): number {
  return last < 0 || last >= delta ? last - (last < 0 ? 0 : delta) : last - delta + 0x8000_0000
}

runAsProgram(import.meta.url, kafkaDumpLog)

/** Where a group goes on: what `kafka-consumer-groups.sh --reset-offsets` computes from its options (KIP-122). */
import { readFileSync } from 'node:fs'
import type { KafkaClient } from '../kafka/client/client.ts'
import { committedOffsets } from '../kafka/client/group-member.ts'
import { earliest, latest, listOffsets, partitionName, type TopicPartition } from '../kafka/client/offsets.ts'
import { OptionError, type Options } from './options.ts'

export interface Reset extends TopicPartition {
  offset: number
}
export const resetForms = ['to-offset', 'to-current', 'to-datetime', 'from-file', 'by-duration', 'to-earliest', 'to-latest', 'shift-by'] as const
export type ResetForm = (typeof resetForms)[number]

/** `topic` or `topic:0,2`, as partitions; undefined partitions: all of the topic. */
export function parseTopicArgument(text: string): { topic: string; partitions: number[] | undefined } {
  const colon = text.indexOf(':')
  if (colon < 0) return { topic: text, partitions: undefined }
  const partitions = text.slice(colon + 1).split(',').map((part) => {
    if (!/^\d+$/.test(part)) throw new OptionError(`Invalid partition '${part}' specified in topic arg '${text}'`, { showsUsage: true })
    return Number(part)
  })
  return { topic: text.slice(0, colon), partitions }
}
/** The partitions that `--topic` names. Rejects for a topic or partition that is not there. */
export async function partitionsNamed(client: KafkaClient, args: readonly string[]): Promise<TopicPartition[]> {
  const found = new Map<string, TopicPartition>()
  for (const { topic, partitions } of args.map(parseTopicArgument)) {
    const { topics } = await client.retrying('Metadata', () => client.metadata([topic]))
    const there = topics[0]?.errorCode === 0 ? topics[0].partitions.map(({ partitionIndex }) => partitionIndex).sort((a, b) => a - b) : []
    if (there.length === 0) throw new Error(`topic '${topic}' does not exist`)
    const absent = partitions?.find((partition) => !there.includes(partition))
    if (absent !== undefined) throw new Error(`topic '${topic}' has no partition ${absent}; it has ${there.length}`)
    for (const partition of partitions ?? there) found.set(partitionName({ topic, partition }), { topic, partition })
  }
  return [...found.values()]
}

/** Ms since 1970 of `2026-01-31T12:00:00.000`, with or without `Z` or `+01:00`; without, it is UTC. */
export function parseDateTime(text: string): number {
  if (!text.includes('T')) throw new OptionError("Error parsing timestamp. It does not contain a 'T' according to ISO8601 format")
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`
  const ms = Date.parse(zoned)
  if (Number.isNaN(ms)) throw new OptionError(`Unparseable date: "${text}" (wanted is YYYY-MM-DDTHH:mm:SS.sss)`)
  return ms
}
/** Ms of `PnDTnHnMnS`. */
export function parseDuration(text: string): number {
  const found = /^([+-]?)P(?:([+-]?\d+)D)?(?:T(?=[+-]?\d)(?:([+-]?\d+)H)?(?:([+-]?\d+)M)?(?:([+-]?\d+(?:\.\d{1,9})?)S)?)?$/i.exec(text)
  if (!found || text.length < 3) throw new OptionError(`Text '${text}' cannot be parsed to a Duration (wanted is PnDTnHnMnS)`)
  const [days, hours, minutes, seconds] = found.slice(2).map((part) => Number(part ?? 0))
  return (found[1] === '-' ? -1 : 1) * Math.trunc((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

/** Lines `topic,partition,offset`, with the group before them where there are several. By group. */
export function readResetFile(file: string, groups: readonly string[], withGroup: boolean): Map<string, Reset[]> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new OptionError(`${file} cannot be read: ${(cause as Error).message}`)
  }
  const resets = new Map<string, Reset[]>(groups.map((group) => [group, []]))
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue
    const words = line.split(',').map((word) => word.trim().replace(/^"(.*)"$/, '$1'))
    const [group, topic, partition, offset] = withGroup ? words : [groups[0], ...words]
    if (words.length !== (withGroup ? 4 : 3) || !/^\d+$/.test(partition) || !/^-?\d+$/.test(offset))
      throw new OptionError(`${file}:${index + 1}: ${withGroup ? 'group,topic,partition,offset' : 'topic,partition,offset'} is wanted, and '${line}' was found`)
    resets.get(group)?.push({ topic, partition: Number(partition), offset: Number(offset) })
  }
  return resets
}

export interface ResetWish {
  form: ResetForm
  options: Options
  /** Of this group, for `from-file`. */
  fromFile: readonly Reset[]
  now: number
  /** A line for a person: an offset was out of range, a partition is empty. */
  warn(line: string): void
  /** Where Apache's tool warns in its output. */
  say(line: string): void
}

/** The new offset of each partition, within what the partition holds. */
export async function computeResets(client: KafkaClient, groupId: string, partitions: readonly TopicPartition[], wish: ResetWish): Promise<Reset[]> {
  const { form, options } = wish
  switch (form) {
    case 'to-earliest': return at(client, partitions, earliest)
    case 'to-latest': return at(client, partitions, latest)
    case 'to-offset': return within(client, partitions.map((one) => ({ ...one, offset: options.number('to-offset')! })), wish)
    case 'from-file': return within(client, wish.fromFile, wish)
    case 'to-datetime': return byTime(client, partitions, parseDateTime(options.value('to-datetime')!), wish)
    case 'by-duration': return byTime(client, partitions, wish.now - parseDuration(options.value('by-duration')!), wish)
    case 'to-current': {
      const committed = await committedOffsets(client, groupId, [...partitions])
      const without = partitions.filter((one) => !committed.has(partitionName(one)))
      const kept = partitions.filter((one) => committed.has(partitionName(one))).map((one) => ({ ...one, offset: committed.get(partitionName(one))! }))
      return [...(await within(client, kept, wish)), ...(await at(client, without, latest))]
    }
    case 'shift-by': {
      const committed = await committedOffsets(client, groupId, [...partitions])
      const without = partitions.find((one) => !committed.has(partitionName(one)))
      if (without) throw new OptionError(`Cannot shift offset for partition ${partitionName(without)} since there is no current committed offset`, { showsUsage: true })
      return within(client, partitions.map((one) => ({ ...one, offset: committed.get(partitionName(one))! + options.number('shift-by')! })), wish)
    }
    default: return form satisfies never
  }
}

async function at(client: KafkaClient, partitions: readonly TopicPartition[], timestamp: bigint): Promise<Reset[]> {
  const found = await listOffsets(client, partitions.map((one) => ({ ...one, timestamp })))
  return partitions.map((one) => ({ ...one, offset: found.get(partitionName(one))! }))
}
async function byTime(client: KafkaClient, partitions: readonly TopicPartition[], ms: number, { say }: ResetWish): Promise<Reset[]> {
  const found = await at(client, partitions, BigInt(ms))
  const late = found.filter(({ offset }) => offset < 0)
  const ends = new Map((await at(client, late, latest)).map((one) => [partitionName(one), one.offset]))
  return found.map((one) => {
    if (one.offset >= 0) return one
    say(`\nWarn: Partition ${one.partition} from topic ${one.topic} is empty. Falling back to latest known offset.`)
    return { ...one, offset: ends.get(partitionName(one))! }
  })
}
async function within(client: KafkaClient, wanted: readonly Reset[], { warn }: ResetWish): Promise<Reset[]> {
  const [begins, ends] = [await at(client, wanted, earliest), await at(client, wanted, latest)]
  return wanted.map((one, index) => {
    const { offset: begin } = begins[index]
    const { offset: end } = ends[index]
    if (one.offset >= begin && one.offset <= end) return one
    const [how, which, limit] = one.offset > end ? ['higher', 'latest', end] : ['lower', 'earliest', begin]
    warn(`WARN New offset (${one.offset}) is ${how} than ${which} offset for topic partition ${partitionName(one)}. Value will be set to ${limit}`)
    return { ...one, offset: limit as number }
  })
}

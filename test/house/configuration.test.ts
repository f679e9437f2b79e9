import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { brokerConfigs } from '../../src/kafka/config/broker-configs.ts'
import type { Definition } from '../../src/kafka/config/definition.ts'
import { topicConfigs, topicSynonyms, type TopicKey } from '../../src/kafka/config/topic-configs.ts'

const source = join(import.meta.dirname, '../../src')
const tables = /kafka\/config\/(broker\/|broker-configs|topic-configs|rules|definition)/
const texts = readdirSync(source, { recursive: true, encoding: 'utf8' })
  // ottla.ts sets keys, which is not reading them.
  .filter((path) => path.endsWith('.ts') && path !== 'ottla.ts' && !tables.test(path.replaceAll('\\', '/')))
  .map((path) => ({ room: path.replaceAll('\\', '/').startsWith('kafka/config/') ? 'config' : path.startsWith('cli') ? 'cli' : 'other', text: readFileSync(join(source, path), 'utf8') }))
const read = (key: string, room?: string): boolean => texts.some((file) => (room === undefined || file.room === room) && (file.text.includes(`'${key}'`) || (/^\w+$/.test(key) && new RegExp(`(?:values|config|topic)\\.${key}\\b`).test(file.text))))

/** Read through a topic's configuration: the broker key is its default. */
const throughTopic = (key: string): boolean => Object.entries(topicSynonyms).some(([topic, broker]) => broker === key && read(topic, 'other'))
/** The unit that is coarser than the one the topic key names. */
const coarser: readonly string[] = ['log.roll.hours', 'log.roll.jitter.hours', 'log.retention.minutes', 'log.retention.hours', 'log.flush.scheduler.interval.ms', 'log.message.timestamp.difference.max.ms']

/** Only one value is accepted, so nobody has to ask for it. */
const constant: readonly string[] = ['inter.broker.protocol.version']
/** Part of the log's configuration, whose codec has one level. */
const passedOn: readonly string[] = ['compression.lz4.level']

test('a broker key that is said to work is read by some room', () => {
  const unread = (Object.entries(brokerConfigs) as [string, Definition][]).filter(([key, { standing }]) => standing.kind === 'works' && !read(key, 'other') && !read(key, 'config') && !throughTopic(key) && !coarser.includes(key) && !constant.includes(key)).map(([key]) => key)
  expect(unread).toEqual([])
})
test('a topic key that is said to work is read outside the tables', () => {
  const unread = (Object.entries(topicConfigs) as [TopicKey, Definition][]).filter(([key, { standing }]) => standing.kind === 'works' && !read(key, 'other') && key !== 'message.timestamp.difference.max.ms').map(([key]) => key)
  expect(unread).toEqual([])
})
test('a key that is said to do nothing, or is refused, is read by no room', () => {
  const tables = [...Object.entries(brokerConfigs), ...Object.entries(topicConfigs)] as [string, Definition][]
  const surprising = tables.filter(([key, { standing }]) => standing.kind !== 'works' && read(key, 'other') && !passedOn.includes(key)).map(([key]) => key)
  expect(surprising).toEqual([])
})

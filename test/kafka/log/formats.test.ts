/** The examples in docs/formats are what the code writes and reads. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LeaderEpochs } from '../../../src/kafka/log/leader-epochs.ts'
import { parseMetaProperties, metaPropertiesText } from '../../../src/kafka/log/meta-properties.ts'
import { directoryNameToDelete, parseDirectoryName, parseFileName } from '../../../src/kafka/log/names.ts'
import { parsePartitionMetadata, partitionMetadataText } from '../../../src/kafka/log/partition-metadata.ts'
import { encodeSnapshot } from '../../../src/kafka/log/producer-snapshot.ts'
import { encodeBatch } from '../../../src/kafka/records/encode.ts'
import { filesOf } from './apache-logs.ts'

const page = (name: string) => readFileSync(new URL(`../../../docs/formats/${name}.md`, import.meta.url), 'utf8')
/** The hex digits of the page's example lines. */
const exampleOf = (name: string) => {
  const lines = page(name).split('\n').filter((line) => /^([0-9a-f]{2}){1,8}( ([0-9a-f]{2})+)+( {3,}|$)/.test(line))
  return lines.map((line) => line.split('   ')[0].replaceAll(' ', '')).join('')
}
const recorded = (path: string) => filesOf('broker-3-stopped').find(([name]) => name === path)![1].toString('hex')

test('record batch', () => {
  expect(encodeBatch([{ key: 'k', value: 'v', timestamp: 1_700_000_000_000 }]).toString('hex')).toBe(exampleOf('record-batch'))
})
test('indexes, as Apache wrote them', () => {
  expect(recorded('/logs/a-1/00000000000000001044.index')).toBe(exampleOf('offset-index'))
  expect(recorded('/logs/a-1/00000000000000001044.timeindex')).toBe(exampleOf('time-index'))
  expect(recorded('/logs/__consumer_offsets-3/00000000000000000000.txnindex')).toContain(exampleOf('transaction-index'))
})
test('an empty producer snapshot', () => {
  expect(page('producer-snapshot')).toContain(encodeSnapshot([]).toString('hex').replace(/^(.{4})(.{8})(.{8})$/, '`$1 $2 $3`'))
})
test('meta.properties, partition.metadata and leader epochs read back what they write, and Apache’s', () => {
  const text = metaPropertiesText({ brokerId: 7, clusterId: 'abcdefghijklmnopqrstuv', now: Date.UTC(2026, 10, 21, 4, 20, 41) })
  expect(text).toBe('#\n#Sat Nov 21 04:20:41 UTC 2026\nbroker.id=7\nversion=0\ncluster.id=abcdefghijklmnopqrstuv\n')
  expect(parseMetaProperties('f', text)).toEqual({ brokerId: 7, clusterId: 'abcdefghijklmnopqrstuv' })
  expect(parseMetaProperties('f', Buffer.from(recorded('/logs/meta.properties'), 'hex').toString())).toMatchObject({ brokerId: 3 })
  expect(() => parseMetaProperties('f', 'version=1\nnode.id=1\n')).toThrow(/version 1; a broker in ZooKeeper mode has version 0/)
  const metadata = Buffer.from(recorded('/logs/a-1/partition.metadata'), 'hex').toString()
  expect(partitionMetadataText(parsePartitionMetadata('f', metadata))).toBe(metadata)
  const epochs = new LeaderEpochs([{ epoch: 0, startOffset: 0 }, { epoch: 4, startOffset: 17 }])
  expect(epochs.toText()).toBe('0\n2\n0 0\n4 17\n')
  expect(LeaderEpochs.parse('f', epochs.toText()).entries).toEqual(epochs.entries)
})
test('names', () => {
  expect(parseFileName('00000000000000000042.timeindex.swap')).toEqual({ offset: 42, kind: '.timeindex', state: '.swap' })
  expect(parseFileName('leader-epoch-checkpoint')).toBeUndefined()
  expect(parseDirectoryName('a-b.c-12')).toEqual({ kind: 'partition', topic: 'a-b.c', partition: 12 })
  expect(parseDirectoryName('a-0.81d3fc69167d4f5c98428f2cec429354-delete')).toEqual({ kind: 'deleted' })
  expect(parseDirectoryName('a-0.81d3fc69167d4f5c98428f2cec429354-future')).toEqual({ kind: 'future', topic: 'a', partition: 0 })
  expect(parseDirectoryName('something')).toEqual({ kind: 'unknown' })
  const long = directoryNameToDelete('t'.repeat(249), 1234, '0'.repeat(32))
  expect([long.length, parseDirectoryName(long).kind]).toEqual([255, 'deleted'])
})

/**
 * Log directories written by Apache Kafka 3.9.1 (three brokers on ZooKeeper 3.8.4, small segments, driven by Apache's Java tools):
 * some partitions of broker 3 after a clean stop and of broker 1 after `kill -9`, and what Apache's DumpLogSegments says of their records.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { SimulatedDisk } from '../../../src/simulation/disk.ts'

type Broker = 'broker-3-stopped' | 'broker-1-killed'
interface Recorded extends Record<Broker, Record<string, string>> {
  dump: Record<string, string[]>
}
const recorded = JSON.parse(gunzipSync(readFileSync(new URL('apache-logs.json.gz', import.meta.url))).toString('utf8')) as Recorded

export const apacheClusterId = 'frJjE1plRoejvYXeK1Sx8Q'
export const logDirs = ['/logs', '/logs2']

const bytesOf = (broker: Broker): [string, Buffer][] => Object.entries(recorded[broker]).map(([path, text]) => [path, Buffer.from(text, 'base64')])
const files = { 'broker-3-stopped': bytesOf('broker-3-stopped'), 'broker-1-killed': bytesOf('broker-1-killed') }

/** Path → bytes. */
export const filesOf = (broker: Broker): readonly [string, Buffer][] => files[broker]
/** `short`: preallocated indexes are zero for a page instead of 10 MiB. */
export function diskOf(broker: Broker, { short = false } = {}): SimulatedDisk {
  const disk = new SimulatedDisk()
  for (const [path, bytes] of filesOf(broker)) disk.plant(path, short && bytes.length > 1_000_000 ? bytes.subarray(0, 4800) : bytes)
  return disk
}
/** `offset timestamp keySize valueSize sequence` of every record in a partition's directory, in order. */
export function recordsOf(broker: Broker, directory: string): string[] {
  return Object.entries(recorded.dump)
    .filter(([path]) => path.startsWith(`${broker}${directory}/`))
    .flatMap(([, records]) => records)
}

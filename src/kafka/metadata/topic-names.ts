/** Which names a topic may have (Apache's Topic class). */

const lengthMax = 249
/** The topic of a KRaft quorum: no client may make one of that name. */
export const clusterMetadataTopic = '__cluster_metadata'

/** Why a name is not valid, in Apache's words; undefined when it is. */
export function topicNameFault(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.') return "'.' is not allowed"
  if (name === '..') return "'..' is not allowed"
  if (name.length > lengthMax) return `the length of '${name}' is longer than the max allowed length ${lengthMax}`
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) return `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  return undefined
}
/** Metric names put `_` for `.`, so two topics that differ in nothing else would share theirs. */
export const collisionKey = (name: string): string => name.replaceAll('.', '_')
export function collides(one: string, other: string): boolean {
  return collisionKey(one) === collisionKey(other)
}

/** Partitions are numbered from 0. Beyond this a number is damage: every partition below it would need room in every view. */
const partitionsMax = 1_000_000
export const isPartitionIndex = (index: number): boolean => Number.isInteger(index) && index >= 0 && index < partitionsMax

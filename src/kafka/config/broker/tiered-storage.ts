/** Keys of tiered storage. Without it a broker keeps everything on its own disk, so a file that asks for it is refused. */
import { bool, double, int, long, longMax, text } from '../definition.ts'
import { notEmpty } from '../rules.ts'

const no = { refused: 'tiered storage does not work yet' } as const
const atLeastOne = { ...no, from: 1 } as const
const pool = { ...no, rule: { range: '[1,...] or -1', refuse: (value: unknown) => (value === -1 || Number(value) >= 1 ? undefined : 'Value must be at least 1, or -1') } }

export const tieredStorageConfigs = {
  'remote.log.storage.system.enable': bool(false, 'Whether closed segments move to remote storage.', no),
  'remote.log.storage.manager.class.name': text(null, 'Class that stores segments.', { ...no, rule: notEmpty }),
  'remote.log.storage.manager.class.path': text(null, 'Where that class lies.', no),
  'remote.log.storage.manager.impl.prefix': text('rsm.config.', 'Prefix of that class\'s own keys.', { ...no, rule: notEmpty }),
  'remote.log.metadata.manager.class.name': text('org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager', 'Class that remembers what was stored.', { ...no, rule: notEmpty }),
  'remote.log.metadata.manager.class.path': text(null, 'Where that class lies.', no),
  'remote.log.metadata.manager.impl.prefix': text('rlmm.config.', 'Prefix of that class\'s own keys.', { ...no, rule: notEmpty }),
  'remote.log.metadata.manager.listener.name': text(null, 'Listener that class connects to.', { ...no, rule: notEmpty }),
  'remote.log.metadata.custom.metadata.max.bytes': int(128, 'Bytes a storage class may add to a segment\'s metadata.', { ...no, from: 0 }),
  'remote.log.index.file.cache.total.size.bytes': long(1073741824, 'Local space for indexes of remote segments.', { ...atLeastOne, update: 'cluster-wide' }),
  'remote.log.manager.thread.pool.size': int(10, 'Threads of the task that tiers.', atLeastOne),
  'remote.log.manager.copier.thread.pool.size': int(-1, 'Threads that copy segments.', pool),
  'remote.log.manager.expiration.thread.pool.size': int(-1, 'Threads that delete remote segments.', pool),
  'remote.log.manager.task.interval.ms': long(30000, 'How often segments are looked for.', atLeastOne),
  'remote.log.manager.task.retry.backoff.ms': long(500, 'First wait after a failed try.', { ...atLeastOne, internal: true }),
  'remote.log.manager.task.retry.backoff.max.ms': long(30000, 'Longest wait after failed tries.', { ...atLeastOne, internal: true }),
  'remote.log.manager.task.retry.jitter': double(0.2, 'Chance added to those waits.', { ...no, from: 0, to: 0.5, internal: true }),
  'remote.log.manager.copy.max.bytes.per.second': long(longMax, 'Limit on copying.', { ...atLeastOne, update: 'cluster-wide' }),
  'remote.log.manager.copy.quota.window.num': int(11, 'Samples of that limit.', atLeastOne),
  'remote.log.manager.copy.quota.window.size.seconds': int(1, 'Length of a sample.', atLeastOne),
  'remote.log.manager.fetch.max.bytes.per.second': long(longMax, 'Limit on fetching back.', { ...atLeastOne, update: 'cluster-wide' }),
  'remote.log.manager.fetch.quota.window.num': int(11, 'Samples of that limit.', atLeastOne),
  'remote.log.manager.fetch.quota.window.size.seconds': int(1, 'Length of a sample.', atLeastOne),
  'remote.log.reader.threads': int(10, 'Threads that read remote segments.', atLeastOne),
  'remote.log.reader.max.pending.tasks': int(100, 'Reads that may wait.', atLeastOne),
  'remote.fetch.max.wait.ms': int(500, 'How long a fetch waits for remote storage.', { ...atLeastOne, update: 'cluster-wide' }),
}

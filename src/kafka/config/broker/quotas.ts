/** Keys of quotas and of figures about the broker. */
import { className, int, list, long, longMax, text } from '../definition.ts'

const quota = { from: 1, refused: 'quotas do not work yet' } as const
/** Dynamic alone in Apache's table, and shown only where it is set. */
const rate = { from: 0, update: 'cluster-wide', internal: true } as const
const plugIn = 'plug-in classes of the JVM cannot work here'

export const quotaConfigs = {
  'quota.window.num': int(11, 'Samples kept for client quotas.', quota),
  'quota.window.size.seconds': int(1, 'Length of such a sample.', quota),
  'controller.quota.window.num': int(11, 'Samples kept for quotas on changes of topics.', quota),
  'controller.quota.window.size.seconds': int(1, 'Length of such a sample.', quota),
  'replication.quota.window.num': int(11, 'Samples kept for quotas of replication.', { from: 1 }),
  'replication.quota.window.size.seconds': int(1, 'Length of such a sample.', { from: 1 }),
  'leader.replication.throttled.rate': long(longMax, 'Bytes a second that throttled replicas elsewhere may take from this broker; set while it runs.', rate),
  'follower.replication.throttled.rate': long(longMax, 'Bytes a second that throttled replicas on this broker may take from elsewhere; set while it runs.', rate),
  'alter.log.dirs.replication.quota.window.num': int(11, 'Samples kept for the bound on moves between folders.', { from: 1 }),
  'alter.log.dirs.replication.quota.window.size.seconds': int(1, 'Length of such a sample.', { from: 1 }),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(longMax, 'Bytes a second that are copied when replicas move between folders; set while it runs.', rate),
  'client.quota.callback.class': className(null, 'Class that decides about quotas.', { refused: plugIn }),
  'metric.reporters': list('', 'Classes that report figures.', { refused: plugIn, update: 'cluster-wide' }),
  'kafka.metrics.reporters': list('', 'Classes that report figures, of the older kind.', { refused: plugIn }),
  'kafka.metrics.polling.interval.secs': int(10, 'How often those look.', { from: 1, ignored: 'there are no such classes' }),
  'metrics.num.samples': int(2, 'Samples kept for a figure.', { from: 1, ignored: 'figures are counted without samples' }),
  'metrics.sample.window.ms': long(30000, 'Length of such a sample.', { from: 1, ignored: 'figures are counted without samples' }),
  'metrics.recording.level': text('INFO', 'How much is counted.', { ignored: 'figures are counted without levels' }),
  'telemetry.max.bytes': int(1048576, 'Largest report of a client about itself.', { from: 1, ignored: 'reports of clients belong to KRaft' }),
}

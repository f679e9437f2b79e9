/** Keys of topics, of the controller's work on them, and of replication. */
import { bool, className, int, long, text } from '../definition.ts'

const plugIn = 'plug-in classes of the JVM cannot work here'

export const topicAndReplicaConfigs = {
  'num.partitions': int(1, 'Partitions of a topic that is created without saying how many.', { from: 1 }),
  'default.replication.factor': int(1, 'Replicas of a topic that is created without saying how many.'),
  'auto.create.topics.enable': bool(true, 'Whether a topic comes into being when a client asks for it.'),
  'delete.topic.enable': bool(true, 'Whether topics may be deleted.'),
  'min.insync.replicas': int(1, 'Replicas that must have a record of acks=all before it is acknowledged; never more than the topic has.', { from: 1, update: 'cluster-wide' }),
  'unclean.leader.election.enable': bool(false, 'Whether a replica outside the ISR may become leader, at the price of lost records.', { update: 'cluster-wide' }),
  'unclean.leader.election.interval.ms': long(300000, 'How often an unclean election is tried.', { from: 1, internal: true, ignored: 'belongs to KRaft' }),
  'auto.leader.rebalance.enable': bool(true, 'Whether the controller moves leaderships back to the preferred replicas.'),
  'leader.imbalance.check.interval.seconds': long(300, 'How often the controller looks for leaderships to move back.', { from: 1 }),
  'leader.imbalance.per.broker.percentage': int(10, 'Share of misplaced leaderships from which they are moved back.'),
  'replica.lag.time.max.ms': long(30000, 'A follower that has not caught up for this long leaves the ISR.'),
  'replica.fetch.max.bytes': int(1048576, 'Bytes of one partition that a follower asks for.', { from: 0 }),
  'replica.fetch.response.max.bytes': int(10485760, 'Bytes of one answer that a follower asks for.', { from: 0 }),
  'replica.fetch.wait.max.ms': int(500, 'How long the leader may keep a follower waiting for records.'),
  'replica.fetch.min.bytes': int(1, 'Bytes the leader waits for before it answers a follower.'),
  'replica.fetch.backoff.ms': int(1000, 'How long a follower waits after a failed fetch.', { from: 0 }),
  'replica.socket.timeout.ms': int(30000, 'How long a follower waits for an answer.'),
  'replica.socket.receive.buffer.bytes': int(65536, 'SO_RCVBUF of a follower.', { ignored: 'the kernel sizes it' }),
  'replica.high.watermark.checkpoint.interval.ms': long(5000, 'How often the high watermarks are written.'),
  'replica.selector.class': text(null, 'Class that sends consumers to a replica near them: that of racks, or none.', { only: { ok: (value) => value === null || value === 'org.apache.kafka.common.replica.RackAwareReplicaSelector', why: `${plugIn}; org.apache.kafka.common.replica.RackAwareReplicaSelector does` } }),
  'num.replica.fetchers': int(1, 'Fetchers per source broker.', { update: 'cluster-wide' }),
  'num.replica.alter.log.dirs.threads': int(null, 'Threads that move replicas between folders.', { ignored: 'one task moves replicas' }),
  'controller.socket.timeout.ms': int(30000, 'How long the controller waits for the answer of a broker.'),
  'controlled.shutdown.enable': bool(true, 'Whether a stop hands leaderships over first.'),
  'controlled.shutdown.max.retries': int(3, 'How often handing over is tried.'),
  'controlled.shutdown.retry.backoff.ms': long(5000, 'Wait between two tries of handing over.'),
  'create.topic.policy.class.name': className(null, 'Class that judges topics before they are created.', { refused: plugIn }),
  'alter.config.policy.class.name': className(null, 'Class that judges configuration changes.', { refused: plugIn }),
}

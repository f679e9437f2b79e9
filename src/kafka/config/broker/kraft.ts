/** Keys of KRaft mode. Known so that a file for both modes is accepted; a file that asks for KRaft itself is refused. */
import { bool, int, list, long, longMax, text } from '../definition.ts'

const kraft = { ignored: 'belongs to KRaft' } as const
const none = { refused: 'Ottla, like Kafka with ZooKeeper, has no KRaft quorum: remove the key and set zookeeper.connect' } as const

export const kraftConfigs = {
  'process.roles': list('', 'Roles of a process in KRaft.', { ...none, oneOf: ['broker', 'controller'] }),
  'controller.listener.names': text(null, 'Listeners of the KRaft controller.', none),
  'controller.quorum.voters': list('', 'Voters of the quorum.', kraft),
  'controller.quorum.bootstrap.servers': list('', 'Where the quorum is found.', kraft),
  'controller.quorum.election.timeout.ms': int(1000, 'Wait before an election.', kraft),
  'controller.quorum.election.backoff.max.ms': int(1000, 'Longest wait between elections.', kraft),
  'controller.quorum.fetch.timeout.ms': int(2000, 'Wait without a leader before a candidacy.', kraft),
  'controller.quorum.request.timeout.ms': int(2000, 'Wait for an answer within the quorum.', kraft),
  'controller.quorum.retry.backoff.ms': int(20, 'Wait between tries within the quorum.', kraft),
  'controller.quorum.append.linger.ms': int(25, 'How long the leader gathers records.', kraft),
  'metadata.log.dir': text(null, 'Folder of the metadata log.', kraft),
  'metadata.log.segment.bytes': int(1073741824, 'Size of its segments.', { ...kraft, from: 12 }),
  'metadata.log.segment.min.bytes': int(8388608, 'Smallest size of its segments.', { ...kraft, from: 12, internal: true }),
  'metadata.log.segment.ms': long(604800000, 'Age of its segments.', kraft),
  'metadata.log.max.record.bytes.between.snapshots': long(20971520, 'Bytes between two snapshots.', { ...kraft, from: 1 }),
  'metadata.log.max.snapshot.interval.ms': long(3600000, 'Time between two snapshots.', { ...kraft, from: 0 }),
  'metadata.max.retention.bytes': long(104857600, 'Bytes of metadata kept.', kraft),
  'metadata.max.retention.ms': long(604800000, 'Age of metadata kept.', kraft),
  'metadata.max.idle.interval.ms': int(500, 'How often an idle controller writes.', { ...kraft, from: 0 }),
  'broker.heartbeat.interval.ms': int(2000, 'Heartbeat to the KRaft controller.', kraft),
  'broker.session.timeout.ms': int(9000, 'Lease of a broker with the KRaft controller.', kraft),
  'initial.broker.registration.timeout.ms': int(60000, 'How long a first registration may take.', kraft),
  'early.start.listeners': text(null, 'Listeners that start before the authorizer.', kraft),
  'eligible.leader.replicas.enable': bool(false, 'Whether eligible leader replicas are kept.', kraft),
  'server.max.startup.time.ms': long(longMax, 'How long a start may take.', { ...kraft, from: 0, internal: true }),
  'unstable.api.versions.enable': bool(false, 'Whether unfinished request versions are served.', { ...kraft, internal: true }),
  'unstable.feature.versions.enable': bool(false, 'Whether unfinished features are allowed.', { ...kraft, internal: true }),
}

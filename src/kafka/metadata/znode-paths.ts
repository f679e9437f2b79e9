/** Where Kafka keeps what in ZooKeeper (reference §1.2). All below the chroot of `zookeeper.connect`. */

export const paths = {
  clusterId: '/cluster/id',
  sequenceId: '/brokers/seqid',
  brokers: '/brokers/ids',
  broker: (id: number) => `/brokers/ids/${id}`,
  topics: '/brokers/topics',
  topic: (topic: string) => `/brokers/topics/${topic}`,
  partitions: (topic: string) => `/brokers/topics/${topic}/partitions`,
  partition: (topic: string, index: number) => `/brokers/topics/${topic}/partitions/${index}`,
  partitionState: (topic: string, index: number) => `/brokers/topics/${topic}/partitions/${index}/state`,
  controller: '/controller',
  controllerEpoch: '/controller_epoch',
  /** There while the cluster is being migrated to KRaft. */
  migration: '/migration',
  configs: '/config',
  entityConfigs: (type: ConfigType) => `/config/${type}`,
  /** The entity's name as it stands in the path: topics, broker ids and `<default>` raw, the others sanitized. */
  entityConfig: (type: ConfigType, entity: string) => `/config/${type}/${entity}`,
  configChanges: '/config/changes',
  configChange: '/config/changes/config_change_',
  deletedTopics: '/admin/delete_topics',
  deletedTopic: (topic: string) => `/admin/delete_topics/${topic}`,
  reassignment: '/admin/reassign_partitions',
  preferredElection: '/admin/preferred_replica_election',
  isrChanges: '/isr_change_notification',
  logDirEvents: '/log_dir_event_notification',
  logDirEvent: '/log_dir_event_notification/log_dir_event_',
  producerIds: '/latest_producer_id_block',
  feature: '/feature',
  committedOffset: (group: string, topic: string, partition: number) => `/consumers/${group}/offsets/${topic}/${partition}`,
} as const

export const configTypes = ['topics', 'clients', 'users', 'brokers', 'ips'] as const
export type ConfigType = (typeof configTypes)[number]

/** Made by whichever broker starts first, with null data. */
export const persistentPaths = [
  '/consumers', paths.brokers, paths.topics, paths.configChanges, paths.deletedTopics, paths.sequenceId, paths.isrChanges, paths.producerIds,
  paths.logDirEvents, ...configTypes.map((type) => paths.entityConfigs(type)),
] as const

/** User, client and ip names in paths: Java's URLEncoder with `*` and blanks escaped as well. */
export function sanitize(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
export const desanitize = (text: string): string => decodeURIComponent(text.replaceAll('+', '%20'))

/** The number at the end of a sequential node's name. */
export const sequenceOf = (name: string): number => Number.parseInt(name.slice(-10), 10)

/** Kafka's tools by the names of their scripts in `bin/`: help and docs read this table. */
import { consumerOptions } from './console-consumer-options.ts'
import { apiVersionsOptions } from './kafka-broker-api-versions.ts'
import { configsOptions } from './kafka-configs.ts'
import { producerOptions } from './kafka-console-producer.ts'
import { groupsOptions } from './kafka-consumer-groups.ts'
import { deleteRecordsOptions } from './kafka-delete-records.ts'
import { getOffsetsOptions } from './kafka-get-offsets.ts'
import { dumpLogOptions } from './kafka-dump-log.ts'
import { electionOptions } from './kafka-leader-election.ts'
import { logDirsOptions } from './kafka-log-dirs.ts'
import { reassignOptions } from './kafka-reassign-partitions.ts'
import { verificationOptions } from './kafka-replica-verification.ts'
import { topicsOptions } from './kafka-topics.ts'
import { transactionsOptions } from './kafka-transactions.ts'
import type { OptionSpec } from './options.ts'

export const kafkaTools: Readonly<Record<string, readonly OptionSpec[]>> = {
  'kafka-topics.sh': topicsOptions,
  'kafka-console-producer.sh': producerOptions,
  'kafka-console-consumer.sh': consumerOptions,
  'kafka-consumer-groups.sh': groupsOptions,
  'kafka-configs.sh': configsOptions,
  'kafka-reassign-partitions.sh': reassignOptions,
  'kafka-leader-election.sh': electionOptions,
  'kafka-log-dirs.sh': logDirsOptions,
  'kafka-transactions.sh': transactionsOptions,
  'kafka-replica-verification.sh': verificationOptions,
  'kafka-delete-records.sh': deleteRecordsOptions,
  'kafka-get-offsets.sh': getOffsetsOptions,
  'kafka-broker-api-versions.sh': apiVersionsOptions,
  'kafka-dump-log.sh': dumpLogOptions,
}

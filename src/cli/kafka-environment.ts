/** Environment variables of Apache's kafka-run-class.sh: which mean something here, which do not, and which must not be ignored. */
import { UsageError } from './usage-error.ts'

/** LOG_DIR and KAFKA_HEAP_OPTS (its -Xmx) are honoured by the scripts; NODE_OPTIONS by Node itself. */
const withoutEffect = ['KAFKA_OPTS', 'KAFKA_LOG4J_OPTS', 'KAFKA_JVM_PERFORMANCE_OPTS', 'KAFKA_GC_LOG_OPTS', 'KAFKA_JMX_OPTS', 'JMX_PORT', 'KAFKA_DEBUG'] as const

/** Options of a JVM that protect something: who sets them relies on them. */
const protective = /-D(java\.security\.[\w.]+|javax\.net\.ssl\.[\w.]+|zookeeper\.(?:sasl|ssl|client\.secure|clientCnxnSocket)[\w.]*|sun\.security\.[\w.]+)/

/** One line for all that has no effect; throws for what must not be ignored. */
export function kafkaEnvironmentNotice(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const found = protective.exec(environment['KAFKA_OPTS'] ?? '')
  if (found) throw new UsageError(`KAFKA_OPTS sets -D${found[1]}, which protects connections; TLS and SASL do not work yet. Remove it if nothing needs protection here`)
  const set = withoutEffect.filter((name) => environment[name] !== undefined && environment[name] !== '')
  return set.length === 0 ? undefined : `${set.join(', ')}: no effect, there is no JVM`
}

/** kafkajs as the tests use it: patient, and asked again where it gives up. */
import { Kafka, logLevel, type KafkaConfig } from 'kafkajs'
import { until } from './process.ts'

/**
 * Its own limit for a connection is one second, which is over before it was looked at when the process or the machine stands still. Requests that a broker keeps (frozen,
 * say) are asked elsewhere after `requestTimeout`.
 */
export function kafkaAt(addresses: readonly string[], more: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING, connectionTimeout: 30_000, requestTimeout: 30_000, retry: { retries: 300, initialRetryTime: 100, maxRetryTime: 500 }, ...more })
}

/**
 * Asks until it is answered: kafkajs turns to the broker that it asked last or takes for the controller, also when that one has just stopped, has just begun, or
 * has not heard of something yet, and does not try another one by itself. Not for what must not be done twice.
 */
export async function asking<T>(what: string, ask: () => Promise<T>): Promise<T> {
  let last: unknown
  const { answer } = await until(what, () => ask().then((answer) => ({ answer }), (error: unknown) => void (last = error))).catch((cause: Error) => {
    // What failed together is told one by one.
    const parts = last instanceof Error && 'errors' in last ? ` (${(last.errors as Error[]).map(({ message }) => message).join('; ')})` : ''
    throw new Error(`${cause.message}; last ${String(last)}${parts}`, { cause: last })
  })
  return answer
}

/** What `ottla up` prints when everything listens. */

export interface ReadyFacts {
  version: string
  /** HOST:PORT lists as clients take them. */
  bootstrapServers: string
  zookeeperConnect: string
  dataDir: string
  /** Said to clients instead, when there is one. */
  advertised: string | undefined
  /** Where the tools lie, as one would type it here. */
  bin: string
  seconds: number
}

export function readyMessage({ version, bootstrapServers, zookeeperConnect, dataDir, advertised, bin, seconds }: ReadyFacts): string {
  const kafka = `--bootstrap-server ${bootstrapServers}`
  return `Ottla ${version} is ready after ${seconds.toFixed(2)} s.

  Kafka      ${bootstrapServers}${advertised === undefined ? '' : `   (clients are told ${advertised})`}
  ZooKeeper  ${zookeeperConnect}
  Data       ${dataDir}

To try it, in another terminal:

  ${bin}/kafka-topics.sh ${kafka} --create --topic hello
  echo 'Hello, world' | ${bin}/kafka-console-producer.sh ${kafka} --topic hello
  ${bin}/kafka-console-consumer.sh ${kafka} --topic hello --from-beginning --max-messages 1

Ctrl-C stops both cleanly.
`
}

/** Keys of listeners, connections and requests. */
import { bool, int, long, text } from '../definition.ts'

const loop = 'one event loop does this work'
const kernel = 'the kernel sizes socket buffers by itself'
const limits = 'limits of connections do not work yet'

export const listenerConfigs = {
  'listeners': text('PLAINTEXT://:9092', 'Where the broker listens: NAME://HOST:PORT, comma separated; an empty host is every interface, port 0 any free port.', { update: 'per-broker', atStart: true }),
  'advertised.listeners': text(null, 'Addresses told to clients and to other brokers. Not set: a client is told the local address of its own connection.', { update: 'per-broker', atStart: true }),
  'listener.security.protocol.map': text('SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT', 'Security protocol of each listener name: NAME:PROTOCOL, comma separated. A listener may have PLAINTEXT only, so far.', { update: 'per-broker', atStart: true }),
  'inter.broker.listener.name': text(null, 'Name of the listener that brokers use among themselves; excludes security.inter.broker.protocol.'),
  'security.inter.broker.protocol': text('PLAINTEXT', 'Security protocol between brokers, when inter.broker.listener.name is not set.', { oneOf: ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'], refused: 'TLS and SASL do not work yet' }),
  'control.plane.listener.name': text(null, 'Name of a listener kept for requests of the controller.', { refused: 'a listener kept for the controller does not work yet' }),
  'num.network.threads': int(3, 'Threads that read and write sockets.', { from: 1, update: 'cluster-wide', ignored: loop }),
  'num.io.threads': int(8, 'Threads that handle requests.', { from: 1, update: 'cluster-wide', ignored: loop }),
  'background.threads': int(10, 'Threads for background tasks.', { from: 1, update: 'cluster-wide', ignored: loop }),
  'queued.max.requests': int(500, 'Requests that may wait for a handler before sockets are no longer read.', { from: 1, ignored: 'requests wait per connection, each with a bound of its own' }),
  'queued.max.request.bytes': long(-1, 'Bytes of waiting requests before sockets are no longer read; −1: no bound.', { refused: 'a bound on the bytes of waiting requests does not work yet' }),
  'request.timeout.ms': int(30000, 'How long the broker waits for the answer of another broker.'),
  'socket.send.buffer.bytes': int(102400, 'SO_SNDBUF of client sockets; −1: the system default.', { ignored: kernel }),
  'socket.receive.buffer.bytes': int(102400, 'SO_RCVBUF of client sockets; −1: the system default.', { ignored: kernel }),
  'socket.request.max.bytes': int(104857600, 'Largest request taken; a larger one ends its connection.', { from: 1 }),
  'socket.listen.backlog.size': int(50, 'Connections that may wait to be accepted.', { from: 1 }),
  'socket.connection.setup.timeout.ms': long(10000, 'How long a connection to another broker may take to stand.', { ignored: 'connections to other brokers have a bound of their own' }),
  'socket.connection.setup.timeout.max.ms': long(30000, 'Largest wait for a connection after repeated failures.', { ignored: 'connections to other brokers have a bound of their own' }),
  'connections.max.idle.ms': long(600000, 'A connection without a request for this long is closed; negative: never.'),
  'connection.failed.authentication.delay.ms': int(100, 'Delay before a connection is closed after failed authentication.', { from: 0, ignored: 'nobody authenticates yet' }),
  'max.connections': int(2147483647, 'Connections the broker takes at one time.', { from: 0, update: 'cluster-wide', refused: limits }),
  'max.connections.per.ip': int(2147483647, 'Connections the broker takes from one address.', { from: 0, update: 'cluster-wide', refused: limits }),
  'max.connections.per.ip.overrides': text('', 'Connections from single addresses or host names: HOST:COUNT, comma separated.', { update: 'cluster-wide', refused: limits }),
  'max.connection.creation.rate': int(2147483647, 'New connections a second.', { from: 0, update: 'cluster-wide', refused: limits }),
  'max.request.partition.size.limit': int(2000, 'Partitions in one answer of DescribeTopicPartitions.', { from: 1, ignored: 'that request belongs to KRaft' }),
  'fetch.max.bytes': int(57671680, 'Largest answer to one fetch request.', { from: 1024 }),
  'max.incremental.fetch.session.cache.slots': int(1000, 'Fetch sessions kept at one time.', { from: 0 }),
  'fetch.purgatory.purge.interval.requests': int(1000, 'Waiting fetches after which finished ones are dropped.', { ignored: 'a finished request is dropped at once' }),
  'producer.purgatory.purge.interval.requests': int(1000, 'Waiting produce requests after which finished ones are dropped.', { ignored: 'a finished request is dropped at once' }),
  'delete.records.purgatory.purge.interval.requests': int(1, 'Waiting DeleteRecords requests after which finished ones are dropped.', { ignored: 'a finished request is dropped at once' }),
  'auto.include.jmx.reporter': bool(true, 'Whether figures go to JMX.', { ignored: 'there is no JVM' }),
}

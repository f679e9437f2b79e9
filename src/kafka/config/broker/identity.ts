/** Keys of the broker's identity and of its ZooKeeper. */
import { isSpoken } from '../protocol-version.ts'
import { bool, int, list, password, text } from '../definition.ts'
import { protocolVersionRule } from '../rules.ts'

const tls = 'TLS to ZooKeeper does not work yet'

export const identityConfigs = {
  'broker.id': int(-1, 'Number of this broker; −1: taken from the log folder, or drawn from ZooKeeper.'),
  'broker.id.generation.enable': bool(true, 'Whether a broker without a number draws one.'),
  'reserved.broker.max.id': int(1000, 'Largest number a person may give; drawn ones lie above.', { from: 0 }),
  'broker.rack': text(null, 'Rack of this broker, told to clients and used to spread replicas.'),
  'node.id': int(-1, 'The same as broker.id, under the name it has in KRaft.'),
  'inter.broker.protocol.version': text('3.9-IV0', 'Protocol among brokers; a cluster is upgraded by raising it last.', { rule: protocolVersionRule, only: { ok: (value) => isSpoken(String(value)), why: 'brokers here speak the protocols of 2.8 to 3.9 among themselves; upgrade the older brokers to 2.8 or later first' } }),
  'zookeeper.connect': text(null, 'Servers of ZooKeeper: HOST:PORT, comma separated, and perhaps /chroot at the end.'),
  'zookeeper.session.timeout.ms': int(18000, 'Without a heartbeat for this long ZooKeeper drops the broker.'),
  'zookeeper.connection.timeout.ms': int(null, 'How long the start waits for ZooKeeper; not set: zookeeper.session.timeout.ms.'),
  'zookeeper.max.in.flight.requests': int(10, 'Requests to ZooKeeper under way at one time.', { from: 1 }),
  'zookeeper.set.acl': bool(false, 'Whether znodes are protected with ACLs.', { refused: 'protected znodes do not work yet' }),
  'zookeeper.clientCnxnSocket': text(null, 'Class of the ZooKeeper client connection.', { refused: tls }),
  'zookeeper.ssl.client.enable': bool(false, 'Whether the connection to ZooKeeper uses TLS.', { refused: tls }),
  'zookeeper.ssl.protocol': text('TLSv1.2', 'Version of TLS to ZooKeeper.', { refused: tls }),
  'zookeeper.ssl.enabled.protocols': list(null, 'Versions of TLS to ZooKeeper.', { refused: tls }),
  'zookeeper.ssl.cipher.suites': list(null, 'Ciphers of TLS to ZooKeeper.', { refused: tls }),
  'zookeeper.ssl.crl.enable': bool(false, 'Whether revoked certificates are looked up.', { refused: tls }),
  'zookeeper.ssl.ocsp.enable': bool(false, 'Whether certificates are checked by OCSP.', { refused: tls }),
  'zookeeper.ssl.endpoint.identification.algorithm': text('HTTPS', 'How the name of the ZooKeeper server is checked.', { refused: tls }),
  'zookeeper.ssl.keystore.location': text(null, 'Key store of the broker towards ZooKeeper.', { refused: tls }),
  'zookeeper.ssl.keystore.password': password('Password of that key store.', { refused: tls }),
  'zookeeper.ssl.keystore.type': text(null, 'Type of that key store.', { refused: tls }),
  'zookeeper.ssl.truststore.location': text(null, 'Trust store of the broker towards ZooKeeper.', { refused: tls }),
  'zookeeper.ssl.truststore.password': password('Password of that trust store.', { refused: tls }),
  'zookeeper.ssl.truststore.type': text(null, 'Type of that trust store.', { refused: tls }),
  'zookeeper.metadata.migration.enable': bool(false, 'Whether the cluster moves its metadata to KRaft.', { refused: 'moving to KRaft does not work here' }),
  'zookeeper.metadata.migration.min.batch.size': int(200, 'Records per batch of that move.', { from: 1, internal: true, ignored: 'moving to KRaft does not work here' }),
}

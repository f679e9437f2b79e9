/**
 * `npm run bench [-- WHAT] [options]`: measures, beside Apache's servers where they are at hand. WHAT is `broker` (the default),
 * `cluster` (three brokers, replicated), `transactions`, `compaction` (the cleaner, and coordinators that load), `zookeeper` (speed of a server alone and of an ensemble) or `zookeeper-limits` (a million
 * znodes; a quarter of an hour and 6 GB of disk).
 */
const files = {
  broker: './bench-broker.js', cluster: './bench-cluster.js', transactions: './bench-transactions.js', compaction: './bench-compaction.js',
  zookeeper: './bench-zookeeper.js', 'zookeeper-limits': './bench-zookeeper-limits.js',
}

const what = process.argv[2] && !process.argv[2].startsWith('-') ? process.argv[2] : 'broker'
if (!Object.hasOwn(files, what)) {
  console.error(`There is no bench called ${what}; there are ${Object.keys(files).join(', ')}`)
  process.exit(1)
}
await import(files[what])

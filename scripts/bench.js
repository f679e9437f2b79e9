/**
 * `npm run bench [-- WHAT] [options]`: measures, beside Apache's servers where they are at hand. WHAT is `broker` (the default),
 * `cluster` (three brokers, replicated) or `zookeeper` (speed of a server alone and of an ensemble).
 */
const files = { broker: './bench-broker.js', cluster: './bench-cluster.js', zookeeper: './bench-zookeeper.js' }

const what = process.argv[2] && !process.argv[2].startsWith('-') ? process.argv[2] : 'broker'
if (!Object.hasOwn(files, what)) {
  console.error(`There is no bench called ${what}; there are ${Object.keys(files).join(', ')}`)
  process.exit(1)
}
await import(files[what])

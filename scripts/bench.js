/**
 * `npm run bench [-- WHAT] [options]`: measures, beside Apache's servers where they are at hand. `--help` behind a WHAT tells of its options.
 */
const benches = {
  broker: ['./bench-broker.js', 'one broker (the default)'],
  cluster: ['./bench-cluster.js', 'three brokers, replicated'],
  transactions: ['./bench-transactions.js', 'transactional producers'],
  compaction: ['./bench-compaction.js', 'the cleaner, and coordinators that load'],
  zookeeper: ['./bench-zookeeper.js', 'speed of a server alone and of an ensemble'],
  'zookeeper-limits': ['./bench-zookeeper-limits.js', 'a million znodes; a quarter of an hour and 6 GB of disk'],
}

const [first] = process.argv.slice(2)
if (first === '--help' || first === '-h') {
  const lines = Object.entries(benches).map(([name, [, says]]) => `  ${name.padEnd(18)}${says}`)
  console.log(`Usage: npm run bench -- [WHAT] [options]; WHAT is one of\n${lines.join('\n')}\nnpm run bench -- WHAT --help tells of its options. KAFKA_LIBS=<folder with the jars of Kafka 3.9> measures Apache's servers, too.`)
  process.exit(0)
}
const what = first && !first.startsWith('-') ? first : 'broker'
if (!Object.hasOwn(benches, what)) {
  console.error(`There is no bench called ${what}; there are ${Object.keys(benches).join(', ')}`)
  process.exit(1)
}
await import(benches[what][0])

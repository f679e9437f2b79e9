/** `npm run docs`: writes the generated pages. `--check` writes nothing and fails when one is not current. */
import { readFileSync, writeFileSync } from 'node:fs'
import { handlers } from '../dist/kafka/broker/handlers/table.js'
import { kafkaTools } from '../dist/cli/kafka-tools.js'
import { statusOptions } from '../dist/cli/status-options.js'
import { upOptions } from '../dist/cli/up-options.js'
import { commands, usageOf } from '../dist/cli/zk-cli/commands.js'
import { brokerConfigs } from '../dist/kafka/config/broker-configs.js'
import { topicConfigs, topicSynonyms } from '../dist/kafka/config/topic-configs.js'
import { errors } from '../dist/kafka/protocol/errors.js'
import { configKeys } from '../dist/zookeeper/server/config-table.js'
import { words } from '../dist/zookeeper/server/four-letter-words.js'
import { apisPage, configurationPage, errorsPage, toolsPage, wordsPage } from './pages.js'

const pages = {
  'docs/apis.md': apisPage(handlers),
  'docs/configuration.md': configurationPage({ brokerConfigs, topicConfigs, topicSynonyms, zookeeperKeys: configKeys }),
  'docs/errors.md': errorsPage(errors),
  'docs/four-letter-words.md': wordsPage(words),
  'docs/tools.md': toolsPage({
    options: kafkaTools,
    zkCli: commands, usageOf, ottla: upOptions, status: statusOptions,
  }),
}

for (const [path, text] of Object.entries(pages)) {
  const file = new URL(`../${path}`, import.meta.url)
  let present = ''
  try {
    present = readFileSync(file, 'utf8')
  } catch {
    // Not there yet.
  }
  if (present === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${path} is not current: run npm run docs`)
    process.exitCode = 1
  } else {
    writeFileSync(file, text)
    console.log(`${path} written`)
  }
}

/** `npm run docs`: writes the generated pages. `--check` writes nothing and fails when one is not current. */
import { readFileSync, writeFileSync } from 'node:fs'
import { handlers } from '../dist/kafka/broker/handlers/table.js'
import { brokerConfigs } from '../dist/kafka/config/broker-configs.js'
import { topicConfigs, topicSynonyms } from '../dist/kafka/config/topic-configs.js'
import { configKeys } from '../dist/zookeeper/server/config-table.js'
import { apisPage, configurationPage } from './pages.js'

const pages = {
  'docs/apis.md': apisPage(handlers),
  'docs/configuration.md': configurationPage({ brokerConfigs, topicConfigs, topicSynonyms, zookeeperKeys: configKeys }),
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

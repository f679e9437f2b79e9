import { readdirSync, readFileSync, existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { kafkaTools } from '../../src/cli/kafka-tools.ts'
import { statusOptions } from '../../src/cli/status-options.ts'
import { upOptions } from '../../src/cli/up-options.ts'
import { commands, usageOf } from '../../src/cli/zk-cli/commands.ts'
import { handlers } from '../../src/kafka/broker/handlers/table.ts'
import { brokerConfigs } from '../../src/kafka/config/broker-configs.ts'
import { topicConfigs, topicSynonyms } from '../../src/kafka/config/topic-configs.ts'
import { errors } from '../../src/kafka/protocol/errors.ts'
import { configKeys } from '../../src/zookeeper/server/config-table.ts'
import { words } from '../../src/zookeeper/server/four-letter-words.ts'

const root = resolve(import.meta.dirname, '../..')
const pages = (await import(new URL('../../scripts/pages.js', import.meta.url).href)) as {
  apisPage(table: unknown): string
  configurationPage(tables: unknown): string
  errorsPage(table: unknown): string
  wordsPage(table: unknown): string
  toolsPage(tables: unknown): string
}

test.each([
  ['docs/apis.md', () => pages.apisPage(handlers)],
  ['docs/configuration.md', () => pages.configurationPage({ brokerConfigs, topicConfigs, topicSynonyms, zookeeperKeys: configKeys })],
  ['docs/errors.md', () => pages.errorsPage(errors)],
  ['docs/four-letter-words.md', () => pages.wordsPage(words)],
  ['docs/tools.md', () => pages.toolsPage({
    options: kafkaTools,
    zkCli: commands, usageOf, ottla: upOptions, status: statusOptions,
  })],
])('%s is what `npm run docs` writes now', (path, page) => {
  expect(readFileSync(join(root, path), 'utf8') === page()).toBe(true)
})

test('links between the documents lead somewhere', () => {
  const documents = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.md')).map((path) => `docs/${path}`)]
  const broken = documents.flatMap((document) => {
    const links = [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target)
    return links.filter((target) => !existsSync(join(root, dirname(document), target))).map((target) => `${document} → ${target}`)
  })
  expect(broken).toEqual([])
})

test('every command of the README exists', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts
  for (const [, name] of readme.matchAll(/npm run ([\w-]+)/g)) expect(scripts).toHaveProperty([name])
  for (const [, name] of readme.matchAll(/\bbin\/([\w.-]+)/g)) expect(existsSync(join(root, 'bin', name)), `bin/${name}`).toBe(true)
})

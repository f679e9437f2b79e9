/** Topics by regular expression, as Apache's tools take them: the whole name matches, a comma means "or". */
import { OptionError } from './options.ts'

/** Names of topics that brokers keep for themselves. */
export const internalTopics: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state'])

export function topicPattern(text: string): (name: string) => boolean {
  const source = text.trim().replaceAll(',', '|').replaceAll(' ', '').replace(/^["']+|["']+$/g, '')
  let pattern: RegExp
  try {
    pattern = new RegExp(`^(?:${source})$`)
  } catch {
    throw new OptionError(`${source} is an invalid regex.`)
  }
  return (name) => pattern.test(name)
}

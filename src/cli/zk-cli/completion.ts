/** TAB in zkCli.sh: names of commands, then paths of znodes. */
import { commands } from './commands.ts'

/** What the line's last word may become, and that word. */
export async function complete(line: string, childrenOf: (path: string) => Promise<string[]>): Promise<[candidates: string[], word: string]> {
  const word = /\S*$/.exec(line)![0]
  if (word === line.trimStart()) return [commands.map(({ name }) => name).filter((name) => name.startsWith(word)).map((name) => `${name} `), word]
  if (!word.startsWith('/')) return [[], word]
  const slash = word.lastIndexOf('/')
  const children = await childrenOf(slash === 0 ? '/' : word.slice(0, slash))
  const names = children.filter((child) => child.startsWith(word.slice(slash + 1))).sort()
  return [names.map((name) => `${word.slice(0, slash + 1)}${name}`), word]
}

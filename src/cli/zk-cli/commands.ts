/** The commands of zkCli.sh: one row each, with the usage that Apache's shows and what it does. */
import type { ZooKeeperClient, CreateMode } from '../../zookeeper/client/client.ts'
import { isZooKeeperError, type ZooKeeperError } from '../../zookeeper/client/errors.ts'
import { pathFault } from '../../zookeeper/client/paths.ts'
import type { RemovalType, Watcher } from '../../zookeeper/client/watches.ts'
import type { Stat } from '../../zookeeper/protocol/records.ts'
import { versionText } from '../../zookeeper/server/version.ts'
import { deleteQuota, limitsPath, listQuota, setQuota, type Limits } from './quotas.ts'
import { reconfigure, shortConfig } from './reconfig.ts'
import { aclLines, hexDump, keeperText, parseAcl, statLines } from './texts.ts'
import { Arguments, CommandError, type OptionSpecs } from './words.ts'

/** What a command works with. */
export interface CommandContext {
  readonly client: ZooKeeperClient
  /** The one watcher of this shell: it prints what happens. */
  readonly watcher: Watcher
  out(line: string): void
  err(line: string): void
}
export interface Command {
  readonly name: string
  /** What stands behind the name in the usage. */
  readonly usage: string
  readonly options?: OptionSpecs
  /** Arguments beside the options that it cannot do without. */
  readonly required?: number
  readonly run?: (args: Arguments, context: CommandContext) => Promise<void>
}

export const usageOf = ({ name, usage }: Command): string => `${name} ${usage}`
const printStat = (stat: Stat, { out }: CommandContext): void => statLines(stat).forEach((line) => out(line))
const printStatIf = (args: Arguments, stat: Stat, context: CommandContext): void => {
  if (args.has('s')) printStat(stat, context)
}
const listText = (names: readonly string[]): string => `[${names.join(', ')}]`
/** Java sorts by UTF-16 units, as `sort()` does. */
const sorted = (names: readonly string[]): string[] => [...names].sort()

function pathOf(text: string, sequential = false): string {
  const fault = pathFault(text, sequential)
  if (fault !== undefined) throw new CommandError(fault)
  return text
}
/** `-w`, or the word behind the path that it replaced long ago. */
function watching(args: Arguments, context: CommandContext, old: string, now: string): { watch?: Watcher } {
  if (args.rest.length > 1) context.err(`'${old}' has been deprecated. Please use '${now}' instead.`)
  return args.has('w') || args.rest.length > 1 ? { watch: context.watcher } : {}
}

export const commands: readonly Command[] = [
  {
    name: 'addWatch', usage: '[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE', options: { m: 'value' }, required: 1,
    async run(args, { client, watcher }) {
      const mode = (args.value('m') ?? 'PERSISTENT_RECURSIVE').toUpperCase()
      if (mode !== 'PERSISTENT' && mode !== 'PERSISTENT_RECURSIVE') throw new CommandError(usageOf(commandNamed('addWatch')!))
      await client.addWatch(pathOf(args.rest[0]), mode === 'PERSISTENT' ? 'persistent' : 'persistentRecursive', watcher)
    },
  },
  {
    name: 'addauth', usage: 'scheme auth', required: 1,
    run: async (args, { client }) => client.addAuth(args.rest[0], args.rest[1] ?? ''),
  },
  { name: 'close', usage: '' },
  {
    name: 'config', usage: '[-c] [-w] [-s]', options: { c: 'flag', w: 'flag', s: 'flag' },
    async run(args, context) {
      const { data, stat } = await context.client.getConfig(args.has('w') ? { watch: context.watcher } : {})
      const text = String(data ?? '')
      context.out(args.has('c') ? shortConfig(text) : text)
      printStatIf(args, stat, context)
    },
  },
  { name: 'connect', usage: 'host:port' },
  { name: 'create', usage: '[-s] [-e] [-c] [-t ttl] path [data] [acl]', options: { s: 'flag', e: 'flag', c: 'flag', t: 'value' }, required: 1, run: create },
  {
    name: 'delete', usage: '[-v version] path', options: { v: 'value' }, required: 1,
    async run(args, context) {
      let version = args.int('v', -1)
      if (args.rest.length > 1) {
        context.err("'delete path [version]' has been deprecated. Please use 'delete [-v version] path' instead.")
        version = new Arguments({ v: 'value' }, ['-v', args.rest[1]]).int('v', -1)
      }
      await context.client.delete(pathOf(args.rest[0]), version)
    },
  },
  { name: 'deleteall', usage: 'path [-b batch size]', options: { b: 'value' }, required: 1, run: deleteAll },
  {
    name: 'delquota', usage: '[-n|-b|-N|-B] path', options: { n: 'flag', b: 'flag', N: 'flag', B: 'flag' }, required: 1,
    async run(args, { client, out }) {
      const path = pathOf(args.rest[0])
      const names = Object.entries(limitOptions).filter(([letter]) => args.has(letter)).map(([, name]) => name)
      if (!(await deleteQuota(client, path, names))) out(`Quota does not exist for ${path}`)
    },
  },
  {
    name: 'get', usage: '[-s] [-w] [-b] [-x] path', options: { s: 'flag', w: 'flag', b: 'flag', x: 'flag' }, required: 1,
    async run(args, context) {
      const path = pathOf(args.rest[0])
      const { data, stat } = await context.client.getData(path, watching(args, context, 'get path [watch]', 'get [-s] [-w] path'))
      if (data === null) context.out('null')
      else if (args.has('b')) context.out(data.toString('base64'))
      else if (args.has('x')) hexDump(data).forEach((line) => context.out(line))
      else context.out(data.toString())
      printStatIf(args, stat, context)
    },
  },
  {
    name: 'getAcl', usage: '[-s] path', options: { s: 'flag' }, required: 1,
    async run(args, context) {
      const { acl, stat } = await context.client.getAcl(pathOf(args.rest[0]))
      for (const line of aclLines(acl)) context.out(line)
      printStatIf(args, stat, context)
    },
  },
  {
    name: 'getAllChildrenNumber', usage: 'path', required: 1,
    run: async (args, { client, out }) => out(String(await client.getAllChildrenNumber(pathOf(args.rest[0])))),
  },
  {
    name: 'getEphemerals', usage: 'path',
    run: async (args, { client, out }) => out(listText(await client.getEphemerals(pathOf(args.rest[0] ?? '/')))),
  },
  { name: 'history', usage: '' },
  {
    name: 'listquota', usage: 'path', required: 1,
    async run(args, { client, out, err }) {
      const path = pathOf(args.rest[0])
      err(`absolute path is ${limitsPath(path)}`)
      const quota = await listQuota(client, path)
      if (!quota) throw new CommandError(`quota for ${path} does not exist.`)
      out(`Output quota for ${path} ${quota.limits}`)
      out(`Output stat for ${path} ${quota.stats}`)
    },
  },
  { name: 'ls', usage: '[-s] [-w] [-R] path', options: { s: 'flag', w: 'flag', R: 'flag' }, required: 1, run: list },
  { name: 'printwatches', usage: 'on|off' },
  { name: 'quit', usage: '' },
  {
    name: 'reconfig',
    usage: '[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]',
    options: { s: 'flag', v: 'value', file: 'value', members: 'value', add: 'value', remove: 'value' },
    async run(args, context) {
      const { data, stat } = await reconfigure(context.client, args, usageOf(commandNamed('reconfig')!))
      context.out(`Committed new configuration:\n${String(data ?? '')}`)
      printStatIf(args, stat, context)
    },
  },
  { name: 'redo', usage: 'cmdno' },
  {
    name: 'removewatches', usage: 'path [-c|-d|-a] [-l]', options: { c: 'flag', d: 'flag', a: 'flag', l: 'flag' }, required: 1,
    async run(args, { client }) {
      const type: RemovalType = args.has('c') ? 'children' : args.has('d') ? 'data' : 'any'
      await client.removeWatches(pathOf(args.rest[0]), type, { local: args.has('l') })
    },
  },
  {
    name: 'set', usage: '[-s] [-v version] [-b] path data', options: { s: 'flag', v: 'value', b: 'flag' }, required: 2,
    async run(args, context) {
      const [path, text] = args.rest
      if (args.has('b') && !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new CommandError(`'${text}' is not base64`)
      const data = Buffer.from(text, args.has('b') ? 'base64' : 'utf8')
      printStatIf(args, await context.client.setData(pathOf(path), data, args.int('v', -1)), context)
    },
  },
  { name: 'setAcl', usage: '[-s] [-v version] [-R] path acl', options: { s: 'flag', v: 'value', R: 'flag' }, required: 2, run: setAcl },
  {
    name: 'setquota', usage: '-n|-b|-N|-B val path', options: { n: 'value', b: 'value', N: 'value', B: 'value' },
    async run(args, { client }) {
      const given = Object.keys(limitOptions).filter((letter) => args.has(letter)) as (keyof typeof limitOptions)[]
      if (given.length !== 1) throw new CommandError(given.length === 0 ? 'Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]' : `Only one of -${given.join(', -')} can be set at a time`)
      if (args.rest.length === 0) throw new CommandError(usageOf(commandNamed('setquota')!))
      const [letter] = given
      const text = args.value(letter) ?? ''
      if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new CommandError('NumberFormatException happens when parsing the option value')
      if (Number(text) <= 0) throw new CommandError(`the ${letter.toLowerCase() === 'n' ? 'num' : 'bytes'} quota must be greater than zero`)
      await setQuota(client, pathOf(args.rest[0]), { [limitOptions[letter]]: Number(text) })
    },
  },
  {
    name: 'stat', usage: '[-w] path', options: { w: 'flag' }, required: 1,
    async run(args, context) {
      const path = pathOf(args.rest[0])
      const stat = await context.client.exists(path, watching(args, context, 'stat path [watch]', 'stat [-w] path'))
      if (!stat) throw new CommandError(`Node does not exist: ${path}`)
      printStat(stat, context)
    },
  },
  {
    name: 'sync', usage: 'path', required: 1,
    async run(args, { client, out }) {
      await client.sync(pathOf(args.rest[0]))
      out('Sync is OK')
    },
  },
  { name: 'version', usage: '' },
  {
    name: 'whoami', usage: '',
    async run(_args, { client, out }) {
      out('Auth scheme: User')
      for (const { scheme, user } of await client.whoAmI()) out(`${scheme}: ${user}`)
    },
  },
]
export const versionLine = `ZooKeeper CLI version: ${versionText}`

export function commandNamed(name: string): Command | undefined {
  return commands.find((command) => command.name === name)
}
export function usageLines(): string[] {
  return ['ZooKeeper -server host:port -client-configuration properties-file cmd args', ...commands.map((command) => `\t${usageOf(command)}`)]
}

const limitOptions = { n: 'count', b: 'bytes', N: 'countHardLimit', B: 'byteHardLimit' } as const satisfies Record<string, keyof Limits>
const ttlMax = 0xff_ffff_ffff

async function create(args: Arguments, { client, err }: CommandContext): Promise<void> {
  const sequential = args.has('s')
  if (args.has('c') && (sequential || args.has('e'))) throw new CommandError('-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.')
  const ttl = args.value('t')
  if (ttl !== undefined) {
    if (!/^[+-]?\d+$/.test(ttl)) throw new CommandError('-t argument must be a long value')
    if (args.has('e')) throw new CommandError('TTLs cannot be used with Ephemeral znodes')
    if (args.has('c')) throw new CommandError('TTLs cannot be used with Container znodes')
    if (Number(ttl) <= 0 || Number(ttl) > ttlMax) throw new CommandError(`ttl must be positive and cannot be larger than: ${ttlMax}`)
  }
  const path = pathOf(args.rest[0], sequential)
  const mode: CreateMode = args.has('c')
    ? 'container'
    : ttl !== undefined
      ? sequential ? 'persistentSequentialTtl' : 'persistentTtl'
      : args.has('e')
        ? sequential ? 'ephemeralSequential' : 'ephemeral'
        : sequential ? 'persistentSequential' : 'persistent'
  const acl = args.rest[2] === undefined ? undefined : parseAcl(args.rest[2], err)
  try {
    const made = await client.create(path, args.rest[1] ?? null, { mode, ...(ttl !== undefined && { ttlMs: Number(ttl) }), ...(acl && { acl }) })
    err(`Created ${made}`)
  } catch (error) {
    if (isZooKeeperError(error, 'ephemeralOnLocalSession')) throw new CommandError('Unable to create ephemeral node on a local session', 1, { cause: error })
    if (isZooKeeperError(error, 'invalidACL')) err(keeperText(error))
    throw error
  }
}

async function list(args: Arguments, context: CommandContext): Promise<void> {
  const { client, out } = context
  const top = pathOf(args.rest[0])
  const watch = watching(args, context, 'ls path [watch]', 'ls [-w] path')
  if (args.has('R')) return visitTree(client, top, watch, (path) => Promise.resolve(out(path)))
  const { children, stat } = await client.getChildren(top, watch)
  out(listText(sorted(children)))
  printStatIf(args, stat, context)
}
/** The top, then the children of each znode in order before any of their own: the order in which Apache's shows a tree. */
async function visitTree(client: ZooKeeperClient, top: string, watch: { watch?: Watcher }, visit: (path: string) => Promise<void>): Promise<void> {
  const children = await client.listChildren(top, watch)
  await visit(top)
  const open: string[] = []
  const visitAll = async (parent: string, names: readonly string[]): Promise<void> => {
    const paths = sorted(names).map((name) => below(parent, name))
    for (const path of paths) await visit(path)
    open.push(...paths.reverse())
  }
  await visitAll(top, children)
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    // A znode that vanished meanwhile has no children to show.
    const names = await client.listChildren(path, watch).catch((error: unknown) => {
      if (isZooKeeperError(error, 'noNode')) return []
      throw error
    })
    await visitAll(path, names)
  }
}
const below = (parent: string, child: string): string => (parent === '/' ? `/${child}` : `${parent}/${child}`)

async function setAcl(args: Arguments, context: CommandContext): Promise<void> {
  const { client, err } = context
  const path = pathOf(args.rest[0])
  const acl = parseAcl(args.rest[1], err)
  if (acl.length === 0) throw new CommandError('Acl is not valid : null')
  const version = args.int('v', -1)
  if (!args.has('R')) return printStatIf(args, await client.setAcl(path, acl, version), context)
  await visitTree(client, path, {}, async (each) => {
    try {
      await client.setAcl(each, acl, version)
    } catch (error) {
      if (!isZooKeeperError(error)) throw error
      err(keeperText(error))
    }
  })
}

/** As many deletions as a batch has are under way at once. */
const batchSizeDefault = 1000
async function deleteAll(args: Arguments, { client }: CommandContext): Promise<void> {
  const batchSize = args.int('b', batchSizeDefault)
  if (batchSize <= 0) throw new CommandError(`-b argument must be above zero, and is ${batchSize}`)
  const paths: string[] = []
  await visitTree(client, pathOf(args.rest[0]), {}, async (path) => void paths.push(path))
  const depthOf = (path: string): number => (path === '/' ? 0 : path.split('/').length)
  // Children before parents: the server takes the requests of one connection in order.
  paths.sort((one, other) => depthOf(other) - depthOf(one))
  let refused: ZooKeeperError | undefined
  for (let from = 0; from < paths.length; from += batchSize) {
    await Promise.all(paths.slice(from, from + batchSize).map((path) =>
      client.delete(path).catch((error: unknown) => {
        if (!isZooKeeperError(error)) throw error
        if (!error.is('noNode')) refused ??= error
      }),
    ))
  }
  if (refused) throw new CommandError(`Failed to delete some node(s) in the subtree! ${keeperText(refused)}`, 1, { cause: refused })
}

/** Quotas as zkCli.sh keeps them: two znodes below /zookeeper/quota for each subtree (Apache's SetQuotaCommand and its sisters). */
import { isZooKeeperError } from '../../zookeeper/client/errors.ts'
import type { ZooKeeperClient } from '../../zookeeper/client/client.ts'
import { CommandError } from './words.ts'

const quotaRoot = '/zookeeper/quota'
const limitsName = 'zookeeper_limits'
const statsName = 'zookeeper_stats'
export const limitsPath = (path: string): string => `${quotaRoot}${path === '/' ? '' : path}/${limitsName}`
const statsPath = (path: string): string => `${quotaRoot}${path === '/' ? '' : path}/${statsName}`

/** −1: no limit. */
export interface Limits {
  count: number
  bytes: number
  countHardLimit: number
  byteHardLimit: number
}
const noLimits: Limits = { count: -1, bytes: -1, countHardLimit: -1, byteHardLimit: -1 }

function parseLimits(data: Buffer | null): Limits {
  const limits = { ...noLimits }
  for (const pair of (data?.toString() ?? '').split(/[,;]+/)) {
    const [key, value] = pair.split('=')
    if (Object.hasOwn(limits, key) && /^-?\d+$/.test(value)) limits[key as keyof Limits] = Number(value)
  }
  return limits
}
/** The stray `=` is Apache's, and its parser counts on nothing else. */
function formatLimits({ count, bytes, countHardLimit, byteHardLimit }: Limits): string {
  const soft = `count=${count},bytes=${bytes}`
  return countHardLimit >= 0 || byteHardLimit >= 0 ? `${soft}=;byteHardLimit=${byteHardLimit};countHardLimit=${countHardLimit}` : soft
}

export async function listQuota(client: ZooKeeperClient, path: string): Promise<{ limits: string; stats: string } | undefined> {
  try {
    const limits = await client.getData(limitsPath(path))
    const stats = await client.getData(statsPath(path))
    return { limits: String(limits.data ?? ''), stats: String(stats.data ?? '') }
  } catch (error) {
    if (isZooKeeperError(error, 'noNode')) return undefined
    throw error
  }
}

/** Sets one limit and leaves the others. Throws a CommandError where the subtree is missing, reserved or overlaps another quota. */
export async function setQuota(client: ZooKeeperClient, path: string, change: Partial<Limits>): Promise<void> {
  if (!(await client.exists(path))) throw new CommandError(`${path} does not exist.`)
  if (path === quotaRoot || path.startsWith(`${quotaRoot}/`)) throw new CommandError(`cannot set a quota under the path: ${path}`)
  await refuseChildQuota(client, path)
  await refuseParentQuota(client, path)
  await makePath(client, `${quotaRoot}${path === '/' ? '' : path}`)
  const existing = await client.getData(limitsPath(path)).catch(ignoreMissing)
  if (existing) {
    await client.setData(limitsPath(path), formatLimits({ ...parseLimits(existing.data), ...change }), existing.stat.version)
    return
  }
  await client.create(limitsPath(path), formatLimits({ ...noLimits, ...change }))
  // The server counts what is there when this one appears.
  await client.create(statsPath(path), 'count=0,bytes=0')
}

/** Takes the named limits away, or the whole quota; false where there is none. */
export async function deleteQuota(client: ZooKeeperClient, path: string, names: readonly (keyof Limits)[]): Promise<boolean> {
  const existing = await client.getData(limitsPath(path)).catch(ignoreMissing)
  if (!existing) return false
  if (names.length > 0) {
    const limits = parseLimits(existing.data)
    for (const name of names) limits[name] = -1
    await client.setData(limitsPath(path), formatLimits(limits), existing.stat.version)
    return true
  }
  await client.delete(statsPath(path)).catch(ignoreMissing)
  await client.delete(limitsPath(path)).catch(ignoreMissing)
  // Parents that were made for this quota alone go with it.
  for (let parent = `${quotaRoot}${path === '/' ? '' : path}`; parent !== quotaRoot; parent = parent.slice(0, parent.lastIndexOf('/'))) {
    if ((await client.listChildren(parent)).length > 0) break
    await client.delete(parent)
  }
  return true
}

async function refuseParentQuota(client: ZooKeeperClient, path: string): Promise<void> {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    const parent = path.slice(0, at)
    if (await client.exists(limitsPath(parent))) throw new CommandError(`${path} has a parent ${parent} which has a quota`)
  }
}
async function refuseChildQuota(client: ZooKeeperClient, path: string): Promise<void> {
  const top = `${quotaRoot}${path === '/' ? '' : path}`
  const open = [top]
  for (let parent = open.pop(); parent !== undefined; parent = open.pop()) {
    const children = await client.listChildren(parent).catch(ignoreMissing)
    for (const child of children ?? []) {
      if (child === limitsName && parent !== top) throw new CommandError(`${path} has a child ${parent.slice(quotaRoot.length)} which has a quota`)
      if (child !== limitsName && child !== statsName) open.push(`${parent}/${child}`)
    }
  }
}
async function makePath(client: ZooKeeperClient, path: string): Promise<void> {
  for (let at = path.indexOf('/', quotaRoot.length + 1); ; at = path.indexOf('/', at + 1)) {
    const part = at < 0 ? path : path.slice(0, at)
    if (part !== quotaRoot) {
      await client.create(part).catch((error: unknown) => {
        if (!isZooKeeperError(error, 'nodeExists')) throw error
      })
    }
    if (at < 0) return
  }
}
function ignoreMissing(error: unknown): undefined {
  if (isZooKeeperError(error, 'noNode')) return undefined
  throw error
}

/** What a znode's path may look like (PathUtils.validatePath, reference §1.12). */

export const reserved = { zookeeper: '/zookeeper', quota: '/zookeeper/quota', config: '/zookeeper/config' } as const

/** The parent of `path`; '' is the root. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
/** The four that always exist and cannot be deleted. */
export function isReserved(path: string): boolean {
  return path === '/' || path === reserved.zookeeper || path === reserved.quota || path === reserved.config
}

/** Why `path` is no path, or undefined where it is one. */
export function pathFault(path: string): string | undefined {
  const { length } = path
  if (length === 0) return 'it is empty'
  if (path.charCodeAt(0) !== 0x2f) return 'it does not begin with /'
  if (length === 1) return undefined
  if (path.charCodeAt(length - 1) === 0x2f) return 'it ends with /'
  let previous = 0x2f
  for (let at = 1; at < length; at++) {
    const unit = path.charCodeAt(at)
    if (unit === 0x2f) {
      if (previous === 0x2f) return `an empty name at ${at}`
      if (previous === 0x2e && endsInDots(path, at)) return `a relative name before ${at}`
    } else if (unit < 0x20 || (unit > 0x7e && isForbidden(unit))) return `the character U+${unit.toString(16).padStart(4, '0')} at ${at}`
    previous = unit
  }
  return previous === 0x2e && endsInDots(path, length) ? 'its last name is relative' : undefined
}
/** Whether the name that ends before `end` is '.' or '..'. */
function endsInDots(path: string, end: number): boolean {
  const one = path.charCodeAt(end - 2)
  return one === 0x2f || (one === 0x2e && path.charCodeAt(end - 3) === 0x2f)
}
function isForbidden(unit: number): boolean {
  return (unit >= 0x7f && unit <= 0x9f) || (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0
}

/** The name a sequential znode gets: Java's `%010d` of the parent's count of creations. */
export function sequenceSuffix(cversion: number): string {
  return cversion >= 0 ? String(cversion).padStart(10, '0') : `-${String(-cversion).padStart(9, '0')}`
}

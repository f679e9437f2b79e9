/** What `envi` shows: Apache's keys, with what stands in their place here. Reads the process, changes nothing. */
export function environmentOf(version: string, hostName: string): Map<string, string> {
  const { env, platform, arch, versions, execPath } = process
  const { rss, heapTotal, heapUsed } = process.memoryUsage()
  const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)}MB`
  return new Map([
    ['zookeeper.version', version],
    ['host.name', hostName],
    ['java.version', `none (Node.js ${versions.node})`],
    ['java.vendor', 'none'],
    ['java.home', execPath],
    ['java.class.path', ''],
    ['java.library.path', ''],
    ['java.io.tmpdir', env['TMPDIR'] ?? '/tmp'],
    ['java.compiler', '<NA>'],
    ['os.name', platform],
    ['os.arch', arch],
    ['os.version', ''],
    ['user.name', env['USER'] ?? env['LOGNAME'] ?? ''],
    ['user.home', env['HOME'] ?? ''],
    ['user.dir', process.cwd()],
    ['os.memory.free', megabytes(heapTotal - heapUsed)],
    ['os.memory.max', megabytes(rss)],
    ['os.memory.total', megabytes(heapTotal)],
  ])
}

/** A client's address as Java prints one (`InetAddress.toString` without a name): what group records and DescribeGroups hold. */

export function javaHostOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped) return `/${mapped[1]}`
  return `/${address.includes(':') ? expanded(address) : address}`
}

/** Eight groups without leading zeros and without `::`; a zone stays as it is. */
function expanded(address: string): string {
  const [plain, zone] = address.split('%')
  const [head, tail] = plain.split('::')
  const groupsOf = (text: string | undefined) => (text ? text.split(':') : [])
  const before = groupsOf(head)
  const after = groupsOf(tail)
  const middle = plain.includes('::') ? Array.from({ length: 8 - before.length - after.length }, () => '0') : []
  const all = [...before, ...middle, ...after].map((group) => Number.parseInt(group, 16).toString(16)).join(':')
  return zone === undefined ? all : `${all}%${zone}`
}

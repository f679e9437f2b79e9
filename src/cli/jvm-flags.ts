/** What ZooKeeper's scripts hand to a JVM in SERVER_JVMFLAGS and JVMFLAGS, as far as it means something without one. */
import type { PropertyEntry } from '../wire/properties.ts'

/** Properties that zoo.cfg cannot set for Apache's server, because they lack its prefix; here a line in zoo.cfg does the same. */
const withoutPrefix = /^(jute\.maxbuffer|readonlymode\.enabled|znode\.container\.\w+|java\.security\.auth\.login\.config)$/

/** `-Dzookeeper.KEY=VALUE` and the few without prefix, as keys of zoo.cfg. */
export function propertiesOfFlags(environment: Readonly<Record<string, string | undefined>>): (PropertyEntry & { variable: string })[] {
  const found: (PropertyEntry & { variable: string })[] = []
  for (const variable of ['JVMFLAGS', 'SERVER_JVMFLAGS', 'KAFKA_OPTS']) {
    for (const [, quoted, plain] of (environment[variable] ?? '').matchAll(/(?:^|\s)(?:"-D([^"]*)"|-D(\S+))/g)) {
      const [name, ...rest] = (quoted ?? plain).split('=')
      const key = name.startsWith('zookeeper.') ? name.slice('zookeeper.'.length) : withoutPrefix.test(name) ? name : undefined
      if (key !== undefined) found.push({ key, value: rest.join('='), line: 0, variable })
    }
  }
  return found
}

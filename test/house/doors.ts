/**
 * Which room may import which: the table of the design, as data. A room's own files and its subfolders are always allowed;
 * `wire` and `host` (its interfaces) are open to every room, `kafka/protocol` and `kafka/config` to every room of that wing.
 */
export interface Door {
  room: string
  may: readonly string[]
  /** Why this differs from the design's table, where it does. */
  because?: string
}

export const doors: readonly Door[] = [
  { room: 'wire', may: [] },
  { room: 'host', may: [] },
  { room: 'security', may: [] },

  { room: 'zookeeper/protocol', may: [] },
  { room: 'zookeeper/znodes', may: ['zookeeper/protocol'] },
  { room: 'zookeeper/storage', may: ['zookeeper/protocol', 'zookeeper/znodes'] },
  { room: 'zookeeper/zab', may: ['zookeeper/protocol'] },
  { room: 'zookeeper/server', may: ['zookeeper/protocol', 'zookeeper/znodes', 'zookeeper/storage', 'zookeeper/zab', 'security'] },
  { room: 'zookeeper/client', may: ['zookeeper/protocol'] },

  { room: 'kafka/protocol', may: [] },
  { room: 'kafka/config', may: [] },
  { room: 'kafka/records', may: [] },
  { room: 'kafka/log', may: ['kafka/records'] },
  { room: 'kafka/metadata', may: ['zookeeper/client'] },
  { room: 'kafka/controller', may: ['kafka/metadata', 'kafka/client', 'zookeeper/client'], because: 'it reacts to the same errors and watches of ZooKeeper as metadata, which hands them through' },
  { room: 'kafka/replication', may: ['kafka/log', 'kafka/metadata', 'kafka/client', 'kafka/records'], because: 'a partition looks at batch headers when it hands them to the log' },
  { room: 'kafka/groups', may: ['kafka/records'] },
  { room: 'kafka/transactions', may: ['kafka/records'] },
  { room: 'kafka/security', may: ['kafka/metadata'] },
  {
    room: 'kafka/broker',
    may: ['kafka/records', 'kafka/log', 'kafka/metadata', 'kafka/controller', 'kafka/replication', 'kafka/groups', 'kafka/transactions', 'kafka/security', 'kafka/client', 'security', 'zookeeper/client'],
    because: 'it opens the connection to ZooKeeper that metadata and controller share',
  },
  { room: 'kafka/client', may: ['security'] },

  { room: 'pipeline', may: ['kafka/client', 'kafka/protocol', 'kafka/records'] },
  { room: 'console', may: ['kafka/client', 'kafka/protocol', 'zookeeper/client'] },
  {
    room: 'cli',
    may: ['ottla.ts', 'kafka/client', 'kafka/protocol', 'kafka/records', 'kafka/config', 'kafka/log', 'kafka/groups', 'kafka/transactions', 'kafka/broker', 'kafka/metadata', 'zookeeper/client', 'zookeeper/protocol', 'zookeeper/storage', 'zookeeper/server'],
    because: 'a tool that starts one server loads that server alone, and reads its configuration file; tools of consumers decode records, kafka-dump-log.sh those of the coordinators; tools on ZooKeeper know the znodes',
  },
  { room: 'simulation', may: ['*'] },
  { room: 'ottla.ts', may: ['*'] },
]

/** Rooms that may touch the world: `host` is its door, tools are processes of their own. */
export const worldly: readonly string[] = ['host', 'cli']

/** Files that look at their own process, and change nothing. */
export const aboutTheProcess: Readonly<Record<string, string>> = {
  'zookeeper/server/environment.ts': 'what the word `envi` shows is the process itself',
}

/** What is taken from Node outside `host` and `cli`: pure functions, and the loading of optional natives. */
export const pureOfNode: Readonly<Record<string, readonly string[] | '*'>> = {
  'node:assert': '*',
  'node:assert/strict': '*',
  'node:path': '*',
  'node:util': '*',
  'node:module': ['createRequire'],
  'node:net': ['isIP', 'isIPv4', 'isIPv6', 'BlockList'],
  'node:crypto': ['createHash', 'createHmac', 'timingSafeEqual'],
  'node:zlib': ['crc32', 'constants', 'gzipSync', 'gunzipSync', 'zlib', 'zstdCompressSync', 'zstdDecompressSync', 'inflateSync', 'deflateSync', '*'],
}

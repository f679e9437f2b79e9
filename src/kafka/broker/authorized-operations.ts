/** Operations a client may use on a resource, as a bit field of AclOperation codes (KIP-430). Without an authorizer: all there are. */

const operations = { read: 3, write: 4, create: 5, delete: 6, alter: 7, describe: 8, clusterAction: 9, describeConfigs: 10, alterConfigs: 11, idempotentWrite: 12 } as const
const bits = (...names: (keyof typeof operations)[]): number => names.reduce((field, name) => field | (1 << operations[name]), 0)

export const operationsOn = {
  topic: bits('read', 'write', 'create', 'delete', 'alter', 'describe', 'describeConfigs', 'alterConfigs'),
  group: bits('read', 'delete', 'describe'),
  cluster: bits('create', 'alter', 'describe', 'clusterAction', 'describeConfigs', 'alterConfigs', 'idempotentWrite'),
  /** The client did not ask. */
  notAsked: -0x8000_0000,
} as const

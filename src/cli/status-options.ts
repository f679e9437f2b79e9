/** The options of `ottla status`: parsing, help and docs read them. */
import type { OptionSpec } from './options.ts'

export const statusOptions: readonly OptionSpec[] = [
  { name: 'bootstrap-server', takes: 'String', value: 'servers', help: 'Brokers to ask, HOST:PORT[,HOST:PORT...]; they also tell where ZooKeeper is.' },
  { name: 'data-dir', takes: 'String', value: 'folder', byDefault: './data', help: 'The folder of an `ottla up` on this machine.' },
  { name: 'json', help: 'Print one JSON document.' },
  { name: 'timeout', takes: 'Integer', value: 'ms', byDefault: '5000', help: 'How long to wait for the cluster.' },
  { name: 'zookeeper', takes: 'String', value: 'servers', help: 'ZooKeeper servers to ask, HOST:PORT[,...][/chroot]; they also tell where the brokers are.' },
]

/** Commands of the AdminServer about a member of an ensemble, by Apache's keys. A server that is alone answers them as Apache's does. */
import { hostPort } from '../../wire/host-port.ts'
import type { PeerAddress } from '../zab/quorum-config.ts'
import type { AdminCommand } from './admin-commands.ts'
import type { ServerFacts } from './facts.ts'

/** What Jackson makes of Apache's class for the addresses of a member. */
function addresses(all: readonly PeerAddress[], portOf: (address: PeerAddress) => number): Record<string, unknown> {
  const texts = all.map((address) => hostPort(address.host, portOf(address)))
  return {
    empty: all.length === 0, all_addresses: texts, wildcard_addresses: all.map((address) => hostPort('0.0.0.0', portOf(address))), all_ports: all.map(portOf),
    all_host_strings: all.map(({ host }) => host), reachable_address: texts[0], all_reachable_addresses: texts, all_reachable_addresses_or_all: texts, reachable_or_one: texts[0], one: texts[0],
  }
}
const clientAddress = ({ config, port }: ServerFacts): string => hostPort(config.clientPortAddress ?? '0.0.0.0', port)

function zabState(server: ServerFacts): Record<string, unknown> {
  const { membership, serverId, mode, tree } = server
  const own = membership?.config.servers.get(serverId)
  if (!membership || !own) return { voting: false, zabstate: '' }
  const { lastProcessedZxid } = tree
  return {
    myid: serverId, is_leader: mode === 'leader', quorum_address: addresses(own.addresses, ({ quorumPort }) => quorumPort),
    election_address: addresses(own.addresses, ({ electionPort }) => electionPort), client_address: clientAddress(server), voting: membership.config.voters.has(serverId),
    last_zxid: `0x${BigInt.asUintN(64, lastProcessedZxid).toString(16)}`, zab_epoch: Number(lastProcessedZxid >> 32n), zab_counter: Number(lastProcessedZxid & 0xffff_ffffn),
    zabstate: mode === 'looking' || mode === 'read-only' ? 'election' : 'broadcast',
  }
}

export const ensembleCommands: readonly AdminCommand[] = [
  { names: ['zabstate'], run: zabState },
  {
    names: ['observers', 'obsr'],
    run({ learners }) {
      const observers = learners?.syncedObservers ?? []
      return {
        synced_observers: observers.length,
        observers: observers.map(({ serverId, address, queuedSize }) => ({ remote_socket_address: address, sid: serverId, queued_packets_size: queuedSize })),
      }
    },
  },
  { names: ['observer_connection_stat_reset', 'orst'], run: () => ({}) },
  {
    names: ['last_snapshot', 'lsnp'],
    async run({ store }) {
      const last = await store.lastSnapshot?.()
      return { zxid: last ? BigInt.asUintN(64, last.zxid).toString(16) : 'ffffffffffffffff', timestamp: last ? Math.floor(last.modifiedMs / 1000) : -1 }
    },
  },
  // What Apache keeps of a configuration that it was started with beside its file; there is none.
  { names: ['initial_configuration', 'icfg'], run: ({ membership }) => ({ initial_configuration: membership && membership.config.version > 0n ? membership.configText : null }) },
  { names: ['system_properties', 'sysp'], run: (server) => Object.fromEntries([...server.environment()].sort(([one], [other]) => (one < other ? -1 : 1))) },
  { names: ['get_trace_mask', 'gtmk'], run: ({ statistics }) => ({ tracemask: statistics.traceMask }) },
  {
    names: ['set_trace_mask', 'stmk'],
    run({ statistics }, query) {
      const mask = query.get('traceMask')
      if (mask === null) return { error: 'setTraceMask requires long traceMask argument' }
      if (!/^[+-]?\d{1,19}$/.test(mask)) return { error: `setTraceMask requires long traceMask argument, got ${mask}` }
      statistics.traceMask = BigInt.asIntN(64, BigInt(mask))
      return { tracemask: statistics.traceMask }
    },
  },
]

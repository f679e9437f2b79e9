/** Configurations for tests of machines. */
import { quorumConfig, type QuorumConfig, type QuorumServer, type Role } from '../../../src/zookeeper/zab/quorum-config.ts'

export function serverOf(id: number, role: Role = 'participant', change: Partial<QuorumServer> = {}): QuorumServer {
  return { id, role, addresses: [{ host: `10.0.0.${id}`, quorumPort: 2888, electionPort: 3888 }], client: undefined, ...change }
}
/** Participants with these ids. */
export function ensembleOf(...ids: number[]): QuorumConfig {
  return quorumConfig({ servers: ids.map((id) => serverOf(id)) })
}

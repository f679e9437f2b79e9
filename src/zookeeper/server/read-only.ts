/**
 * Read-only mode (`readonlymode.enabled`; reference §1.19): a member that has seen no quorum for a while serves, from what it has, clients that
 * asked for that. Their sessions are local, whether local sessions are enabled or not: nobody else could hear of them.
 */
import { op } from '../protocol/op-codes.ts'
import type { WritePath } from './write-path.ts'

/** What such a server refuses with NotReadOnly: all that changes something, and `sync`, which asks a leader. */
export const needsQuorum: ReadonlySet<number> = new Set([
  op.sync, op.create, op.create2, op.createTTL, op.createContainer, op.delete, op.deleteContainer, op.setData, op.reconfig, op.setACL, op.multi, op.check,
])
/** How long a member looks for a leader before it serves without one: Apache's, and never less than a tick. */
export const readOnlyAfterMs = 2000

/** Writes of a server that takes none: every request is refused before it comes here. */
export const readOnlyWrites: WritePath = { outstanding: 0, submit() {}, drained: () => Promise.resolve() }

/** Tells the laws of an ensemble what a shipped member does to its history: its own methods do the work, and are overheard. */
import { crc32 } from 'node:zlib'
import { op } from '../zookeeper/protocol/op-codes.ts'
import type { EnsembleReplica } from '../zookeeper/server/ensemble-replica.ts'
import type { ZooKeeperServer } from '../zookeeper/server/server.ts'
import type { EnsembleLaws } from './checkers/ensembles.ts'
import { Violation } from './checkers/violation.ts'

export interface ReplicaEvents {
  readonly laws: EnsembleLaws
  readonly violated: (violation: unknown) => void
  /** A leader has written the end of a session to its log. `leadership`: which one that was. */
  readonly sessionEnds: (session: bigint, leadership: string) => void
  readonly leads: (leadership: string) => void
}

/** From here on everything that this process does is overheard; it has only just read its files. */
export function watchReplica(server: ZooKeeperServer, { laws, violated, sessionEnds, leads }: ReplicaEvents): void {
  const { replica, tree, serverId } = server
  if (!replica) return
  const told = (tell: () => void): void => {
    try {
      tell()
    } catch (violation) {
      violated(violation)
    }
  }
  const shipped: Pick<EnsembleReplica, 'appendOwn' | 'commit' | 'truncate' | 'finishInstall' | 'abandonInstall' | 'serve' | 'stopServing' | 'writeEpoch'> = {
    appendOwn: replica.appendOwn.bind(replica), commit: replica.commit.bind(replica), truncate: replica.truncate.bind(replica), finishInstall: replica.finishInstall.bind(replica),
    abandonInstall: replica.abandonInstall.bind(replica), serve: replica.serve.bind(replica), stopServing: replica.stopServing.bind(replica), writeEpoch: replica.writeEpoch.bind(replica),
  }
  let leadership = ''
  told(() => laws.restored(serverId, tree.lastProcessedZxid))
  server.configurations?.onChange.push(({ isActivation }) => {
    // A leader that is established in a configuration without it only says so, and hands over.
    if (isActivation && server.leaderId === serverId && server.mode !== 'leader' && server.membership) {
      const { config } = server.membership
      told(() => laws.establishes(serverId, config))
    }
  })
  replica.appendOwn = (transaction, bytes, whenApplied, zxid) => {
    shipped.appendOwn(transaction, bytes, whenApplied, zxid)
    told(() => {
      const { header, body } = transaction
      // A refusal changes nothing; sessions are opened and ended by servers.
      const isAsked = header.cxid > 0 && body.type !== op.error && body.type !== op.createSession && body.type !== op.closeSession
      laws.appended(
        serverId, header.zxid, `${header.type} ${bytes.length} ${crc32(bytes)}`, body.type === op.reconfig ? votersIn(String(body.data)) : undefined,
        isAsked ? { session: header.clientId, cxid: header.cxid } : undefined,
      )
      if (body.type === op.closeSession && server.mode === 'leader') sessionEnds(header.clientId, leadership)
    })
  }
  replica.commit = (zxid) => {
    shipped.commit(zxid)
    told(() => {
      laws.delivered(serverId, zxid, `${tree.digest} with ${tree.sessions.size} sessions`)
      for (const session of tree.ephemerals().keys())
        if (!tree.sessions.has(session)) throw new Violation('ephemerals die with their session', `server ${serverId} has ephemerals of 0x${session.toString(16)} at 0x${zxid.toString(16)}, and no such session`)
    })
  }
  replica.truncate = async (zxid) => {
    await shipped.truncate(zxid)
    told(() => laws.truncated(serverId, zxid))
  }
  replica.finishInstall = async (zxid) => {
    laws.installs(serverId, server.leaderId ?? serverId, zxid)
    await shipped.finishInstall(zxid)
    told(() => laws.installed(serverId))
  }
  replica.abandonInstall = async () => {
    await shipped.abandonInstall()
    told(() => laws.restored(serverId, tree.lastProcessedZxid))
  }
  replica.serve = (role) => {
    told(() => {
      const config = server.membership?.config
      if (role.kind === 'leader') {
        laws.leads(serverId, role.epoch, config)
        leads((leadership = `server ${serverId} in epoch ${role.epoch}`))
      } else laws.follows(serverId, role.epoch, config?.version)
    })
    shipped.serve(role)
  }
  replica.stopServing = async () => {
    await shipped.stopServing()
    told(() => laws.stopped(serverId))
  }
  replica.writeEpoch = async (name, epoch) => {
    await shipped.writeEpoch(name, epoch)
    if (name === 'acceptedEpoch') told(() => laws.promised(serverId, epoch))
  }
}
/** Read here once more: what reads configurations may be wrong. */
function votersIn(text: string): ReadonlySet<number> {
  return new Set([...text.matchAll(/^server\.(\d+)=.*:participant;/gm)].map(([, id]) => Number(id)))
}

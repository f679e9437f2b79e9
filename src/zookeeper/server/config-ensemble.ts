/** What the server lines of zoo.cfg, or of the dynamic file that it names, say of an ensemble. */
import { parseDynamicFile, QuorumConfigError, readQuorumLines, type QuorumConfig, type QuorumLine } from '../zab/quorum-config.ts'
import { ConfigError } from './config-error.ts'
import type { LocalSessionsConfig } from './local-sessions.ts'

/** What the members of an ensemble agree on, and how this one takes part; its own number is in the file `myid`. Limits in ticks, times in ms. */
export interface EnsembleConfig {
  readonly quorum: QuorumConfig
  readonly initLimit: number
  readonly syncLimit: number
  readonly listenOnAll: boolean
  readonly connectTimeoutMs: number
  readonly handshakeTimeoutMs: number
  readonly bindRetries: number
  readonly minNotificationMs: number
  readonly maxNotificationMs: number
  readonly commitLogCount: number
  readonly forceSnapshot: boolean
  readonly readOnly: boolean
  readonly localSessions: LocalSessionsConfig
  readonly leaderServes: boolean
  readonly multiAddress: boolean
  /** Whether there is a line clientPort; otherwise the own server line has to say where clients are served. */
  readonly isClientPortSaid: boolean
  /** A single participant is an ensemble only without it. */
  readonly standaloneEnabled: boolean
  /** zoo.cfg itself, where there is such a file: reconfigurations are written next to it. */
  readonly file: string | undefined
  /** The server lines stand in a file of their own. */
  readonly isDynamic: boolean
}

/** Members by the lines of this file or of the dynamic one; undefined where they make no ensemble. Throws ConfigError. */
export function readMembership({ lines, file, dynamicFile, standaloneEnabled, peerType, multiAddress, read }: {
  lines: readonly QuorumLine[]; file: string; dynamicFile: string; standaloneEnabled: boolean; peerType: string; multiAddress: boolean; read?: (path: string) => string
}): { quorum: QuorumConfig; notices: string[] } | undefined {
  if (peerType !== 'participant' && peerType !== 'observer') throw new ConfigError(`${file}: peerType=${peerType} is neither participant nor observer`)
  const quorum = asConfigError(file, () => {
    if (dynamicFile === '') return readQuorumLines(lines)
    if (lines.length > 0) throw new ConfigError(`${lines[0].where}: ${lines[0].key} stands here although dynamicConfigFile=${dynamicFile} is named. Move all server, group and weight lines there`)
    if (!read) throw new ConfigError(`${file}: dynamicConfigFile=${dynamicFile} cannot be read here. Write the server lines into the configuration itself`)
    return parseDynamicFile(read(dynamicFile), dynamicFile)
  })
  const voters = quorum.voters.size
  if (voters === 0 && !standaloneEnabled) throw new ConfigError(`${file}: standaloneEnabled=false needs server lines. Add one for each member, or remove the line`)
  if (voters === 0 || (voters === 1 && standaloneEnabled)) {
    if (quorum.servers.size > voters) throw new ConfigError(`${file}: one participant with observers is an ensemble of one voter. Add standaloneEnabled=false to have that, or more participants`)
    return undefined
  }
  for (const { id, addresses } of quorum.servers.values())
    if (addresses.length > 1 && !multiAddress) throw new ConfigError(`${file}: server.${id} has ${addresses.length} addresses; that needs multiAddress.enabled=true, here and in the files of all members. Add that line, or leave one address`)
  const notices: string[] = []
  if (voters === 2) notices.push(`${file}: with two participants, both have to be up: three survive the loss of one`)
  else if (voters % 2 === 0) notices.push(`${file}: ${voters} participants survive the loss of no more servers than ${voters - 1} do`)
  return { quorum, notices }
}
function asConfigError<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof QuorumConfigError)) throw error
    // What concerns several lines names none of them.
    throw new ConfigError(/ line \d+: /.test(error.message) ? error.message : `${file}: ${error.message}`, { cause: error })
  }
}

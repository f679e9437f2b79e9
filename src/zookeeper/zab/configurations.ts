/**
 * Which configuration of the ensemble is in force at this server, and which one it has seen proposed. Both have to agree to everything
 * while they differ. What was seen is durable before anybody is told so; what is in force is written right afterwards.
 */
import type { Logger } from '../../host/host.ts'
import { sameMembership, type QuorumConfig, type QuorumServer } from './quorum-config.ts'
import type { ServerId } from './vote.ts'

/** Keeps configurations over a restart. */
export interface ConfigKeeper {
  /** Resolves when the proposed configuration is durable. */
  writeSeen(config: QuorumConfig): Promise<void>
  /** No configuration is proposed any more. */
  removeSeen(): Promise<void>
  write(config: QuorumConfig): Promise<void>
}

export class Configurations {
  readonly serverId: ServerId
  /** `reconfigEnabled`: without it nothing here ever changes. */
  readonly isEnabled: boolean
  /** Called after each change; `isActivation`: another configuration is in force now. */
  onChange: ((change: { readonly isActivation: boolean; readonly previous: QuorumConfig }) => void)[] = []
  readonly #keeper: ConfigKeeper | undefined
  readonly #logger: Logger
  #committed: QuorumConfig
  #lastSeen: QuorumConfig
  #own: QuorumServer | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor({ serverId, config, lastSeen, isEnabled, keeper, logger }: {
    serverId: ServerId; config: QuorumConfig; lastSeen?: QuorumConfig | undefined; isEnabled: boolean; keeper?: ConfigKeeper | undefined; logger: Logger
  }) {
    this.serverId = serverId
    this.isEnabled = isEnabled
    this.#keeper = keeper
    this.#logger = logger
    this.#committed = config
    this.#lastSeen = isEnabled && lastSeen && lastSeen.version > config.version ? lastSeen : config
    this.#own = config.servers.get(serverId)
  }

  /** In force. */
  get committed(): QuorumConfig {
    return this.#committed
  }
  /** The one in force, or a later one that has been proposed. */
  get lastSeen(): QuorumConfig {
    return this.#lastSeen
  }
  /** This server's line in the latest configuration that had one: where it listens, also while it is no member. */
  get own(): QuorumServer | undefined {
    return this.#own
  }
  get isObserver(): boolean {
    return this.#committed.servers.get(this.serverId)?.role === 'observer'
  }

  /** Resolves when it is durable: only then may anybody be told that this server knows it. */
  see(config: QuorumConfig): Promise<void> {
    if (!this.isEnabled || config.version === this.#lastSeen.version || config.version < this.#committed.version) return this.#writing
    this.#lastSeen = config.version > this.#committed.version ? config : this.#committed
    this.#changed({ isActivation: false, previous: this.#committed })
    const keeper = this.#keeper
    if (!keeper) return this.#writing
    const written = this.#writing.then(() => (config.version > this.#committed.version ? keeper.writeSeen(config) : keeper.removeSeen()))
    this.#writing = written.catch(() => {})
    return written
  }
  /** Puts a later configuration in force. Answers whether it was later. */
  activate(config: QuorumConfig): boolean {
    const previous = this.#committed
    if (!this.isEnabled || config.version <= previous.version) return false
    this.#committed = config
    if (config.version >= this.#lastSeen.version) this.#lastSeen = config
    this.#own = config.servers.get(this.serverId) ?? this.#own
    const isNextDone = this.#lastSeen === config
    const keeper = this.#keeper
    this.#logger.info('another configuration of the ensemble is in force', { version: config.version.toString(16), members: [...config.servers.keys()].join(','), same: sameMembership(previous, config) })
    if (keeper) {
      this.#writing = this.#writing
        .then(() => keeper.write(config))
        .then(() => (isNextDone ? keeper.removeSeen() : undefined))
        // What was seen stays on disk: after a restart both are asked, which is safe.
        .catch((cause: unknown) => this.#logger.error('the configuration of the ensemble cannot be written: after a restart this server begins with the one before', { cause }))
    }
    this.#changed({ isActivation: true, previous })
    return true
  }
  /** Resolves when everything so far is on disk, or was told to be not. */
  written(): Promise<void> {
    return this.#writing
  }
  #changed(change: { isActivation: boolean; previous: QuorumConfig }): void {
    for (const listener of this.onChange) listener(change)
  }
}

/** `/brokers/topics/<topic>/partitions/<index>/state`: leader and ISR, written by the controller alone (reference §1.5). */
import { paths } from './znode-paths.ts'
import { asInteger, asIntegers, encodeZnode, parseZnode } from './znode-json.ts'

export const noLeader = -1
/** What brokers are told of a partition that is being deleted. */
export const leaderDuringDelete = -2
export const recoveryStates = { recovered: 0, recovering: 1 } as const

export interface PartitionState {
  readonly leader: number
  readonly leaderEpoch: number
  /** In the order of the controller's decisions: proposals are compared as lists. */
  readonly isr: readonly number[]
  /** 1 after an unclean election, until the leader has recovered. */
  readonly leaderRecoveryState: number
  readonly controllerEpoch: number
  /** The znode's version. */
  readonly partitionEpoch: number
}

export function encodePartitionState({ controllerEpoch, leader, leaderEpoch, isr, leaderRecoveryState }: Omit<PartitionState, 'partitionEpoch'>): Buffer {
  return encodeZnode({
    controller_epoch: controllerEpoch,
    leader,
    version: 1,
    leader_epoch: leaderEpoch,
    isr,
    ...(leaderRecoveryState === recoveryStates.recovered ? {} : { leader_recovery_state: leaderRecoveryState }),
  })
}
export function decodePartitionState(topic: string, index: number, data: Uint8Array | null, znodeVersion: number): PartitionState {
  const path = paths.partitionState(topic, index)
  const json = parseZnode(path, data)
  return {
    leader: asInteger(path, 'leader', json.leader),
    leaderEpoch: asInteger(path, 'leader_epoch', json.leader_epoch),
    isr: asIntegers(path, 'isr', json.isr),
    leaderRecoveryState: json.leader_recovery_state === undefined ? recoveryStates.recovered : asInteger(path, 'leader_recovery_state', json.leader_recovery_state),
    controllerEpoch: asInteger(path, 'controller_epoch', json.controller_epoch),
    partitionEpoch: znodeVersion,
  }
}

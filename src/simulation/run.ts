/** What every kind of run is asked for, and what it tells. A broken law is thrown as a Violation. */
import type { FaultKind } from './faults.ts'

export interface RunOptions {
  readonly seed: number
  readonly onTrace?: ((line: string) => void) | undefined
  /** Virtual ms during which faults are injected. */
  readonly faultyMs?: number
  /** What goes wrong, the likelier the oftener it is named; default: everything the run knows. */
  readonly kinds?: readonly FaultKind[]
  /** The situation to look at, of those that the run knows by name; default: the seed chooses. */
  readonly scenario?: string | undefined
}
export interface RunReport {
  readonly seed: number
  readonly virtualMs: number
  readonly events: number
  /** Equal for two runs of one seed, and for nothing else. */
  readonly traceSum: number
  readonly operations: number
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly facts: Readonly<Record<string, number>>
  /** What a power cut has taken that may take it: the run ended there. */
  readonly lost?: string | undefined
  /** How often each law was looked at, where that is counted. */
  readonly laws?: ReadonlyMap<string, number>
}

/** Which processes `ottla up` starts: what is asked, and what the data folder holds already. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brokerFolder, coordinatorFolder } from './up-layout.ts'
import type { UpOptions } from './up-options.ts'
import { readRecord } from './up-record.ts'
import { UsageError } from './usage-error.ts'

export interface Shape {
  brokers: number
  coordinators: number
}

/** Undefined: one broker and one coordinator, in one process. Throws a UsageError where the folder's data does not fit what is asked. */
export function shapeOf(options: UpOptions): Shape | undefined {
  const dataDir = resolve(options.dataDir)
  const asked = options.brokers !== undefined || options.coordinators !== undefined
  const before = readRecord(dataDir)
  const shape = asked
    ? { brokers: options.brokers ?? 0, coordinators: options.coordinators ?? 1 }
    : { brokers: before?.brokers.length ?? 1, coordinators: before?.coordinators.length ?? 1 }
  const single = shape.brokers === 1 && shape.coordinators === 1
  checkFits(shape, before && { brokers: before.brokers.length, coordinators: before.coordinators.length }, dataDir)
  return single ? undefined : shape
}

function checkFits(shape: Shape, before: Shape | undefined, dataDir: string): void {
  if (before && shape.brokers < before.brokers && shape.brokers > 0)
    throw new UsageError(`${dataDir} holds the data of ${before.brokers} brokers, and --brokers ${shape.brokers} would leave partitions without their replicas. Start with --brokers ${before.brokers}, or choose another folder with --data-dir`)
  // A majority of new members without data would elect one of themselves and forget everything.
  const held = before?.coordinators ?? (existsSync(join(coordinatorFolder(dataDir, 1, 1), 'version-2')) ? 1 : undefined)
  if (held !== undefined && held !== shape.coordinators)
    throw new UsageError(`${dataDir} holds the data of ${held === 1 ? 'one coordinator' : `an ensemble of ${held} coordinators`}, which cannot be started as ${shape.coordinators}: a majority of empty members would forget it. Start with --coordinators ${held}, or choose another folder with --data-dir`)
  if (shape.brokers === 0 && existsSync(brokerFolder(dataDir, 0)) && !before) throw new UsageError(`${dataDir} holds the data of a broker. Start with --brokers 1 too, or choose another folder with --data-dir`)
}

/** How many files the process may open. Node has raised its own limit to the hard one by then. */
import { readFileSync } from 'node:fs'

/** 2,000 partitions with three files each and 2,000 connections fit. */
export const fileDescriptorsWanted = 8192

/** Undefined where the system does not tell. */
export function fileDescriptorLimit(limits = readLimits()): number | undefined {
  const line = limits?.split('\n').find((text) => text.startsWith('Max open files'))
  const soft = line?.trim().split(/\s{2,}/)[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Infinity : Number(soft)
}

/** A sentence when there are too few, undefined when there are enough. */
export function tooFewFileDescriptors(limit = fileDescriptorLimit()): string | undefined {
  if (limit === undefined || limit >= fileDescriptorsWanted) return undefined
  return `This process may open ${limit} files only. A broker needs three for each segment and one for each connection: raise the limit to ${fileDescriptorsWanted} or more with \`ulimit -n\` (or LimitNOFILE=) before many partitions or clients come`
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return undefined
  }
}

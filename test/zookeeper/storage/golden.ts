/** Golden files: one comment line on where the bytes came from, then hexadecimal. */
import { readFileSync } from 'node:fs'

/** Size of a log file that Apache has preallocated. */
export const preallocatedSize = 16 + 64 * 1024 * 1024

export function golden(name: string): Buffer {
  const text = readFileSync(new URL(`./golden/${name}.hex`, import.meta.url), 'latin1')
  return Buffer.from(text.replace(/^#.*$/gm, '').replace(/\s/g, ''), 'hex')
}

import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestModule } from 'vitest/node'

const longestReason = 1_500
/** Where the differing lines are shown by themselves, the sentence before them need not be whole. */
const longestBeforeDifference = 700

/** As much of an error of a test as vitest hands to reporters. */
interface Reason {
  readonly message?: string
  /** Of an assertion: what was expected and received, line by line. */
  readonly diff?: string
  readonly cause?: unknown
}

/**
 * Ends a run with one line that any machine can read: "N passed, N failed, N skipped". Before it one line for each failure, "failed: FILE > TEST: REASON",
 * so that the end of a long print is enough to know what to look at.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly Reason[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 }
    const failure = (name: string, reasons: readonly Reason[]) => console.log(`failed: ${name}: ${reasons.map(told).join('; ')}`)
    // An error that no test caught fails the run, whatever its tests say.
    for (const error of unhandledErrors) {
      count.failed++
      failure('outside of every test', [error])
    }
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'pending') continue
        count[result.state]++
        if (result.state !== 'failed') continue
        failedHere++
        failure(`${module.relativeModuleId} > ${test.fullName}`, result.errors)
      }
      // Preparation that failed fails without a failed test, and so does a file that could not be loaded.
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length === 0) continue
        count.failed++
        failedHere++
        failure(`${module.relativeModuleId} > ${suite.fullName}`, suite.errors())
      }
      if (module.state() !== 'failed' || failedHere > 0) continue
      count.failed++
      failure(module.relativeModuleId, module.errors())
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  }
}

/** A failure on one line: what was said, what is behind it, and of two long values what differs. */
export function told({ message = 'no message', diff, cause }: Reason): string {
  const difference = differing(diff)
  const because = cause !== null && typeof cause === 'object' && 'message' in cause ? ` (because: ${String(cause.message)})` : ''
  const sentence = onOneLine(message + because)
  if (difference === '' || sentence.length + difference.length <= longestBeforeDifference) return sentence.slice(0, longestReason)
  return `${sentence.slice(0, longestBeforeDifference)} | ${difference}`.slice(0, longestReason)
}
/** The lines of a diff that are not the same on both sides, behind their sign. */
function differing(diff = ''): string {
  const lines = stripVTControlCharacters(diff).split('\n')
  return onOneLine(lines.filter((line) => /^[-+] (?!Expected|Received)/.test(line)).join(' '))
}
function onOneLine(text: string): string {
  return stripVTControlCharacters(text).replace(/\s+/g, ' ')
}

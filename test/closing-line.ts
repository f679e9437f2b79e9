import type { Reporter, TestModule } from 'vitest/node'

const longestReason = 600

/**
 * Ends a run with one line that any machine can read: "N passed, N failed, N skipped". Before it one line for each failure, "failed: FILE > TEST: REASON",
 * so that the end of a long print is enough to know what to look at.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly { readonly message?: string }[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 }
    const failure = (name: string, reasons: readonly { readonly message?: string }[]) => {
      const reason = reasons.map(({ message }) => message ?? 'no message').join('; ').replace(/\s+/g, ' ')
      console.log(`failed: ${name}: ${reason.slice(0, longestReason)}`)
    }
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

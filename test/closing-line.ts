import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with one line that any machine can read: "N passed, N failed, N skipped". */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    // An error that no test caught fails the run, whatever its tests say.
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      let ran = 0
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed' || state === 'failed' || state === 'skipped') count[state]++
        ran++
      }
      // A file that could not even be loaded has no tests, and is a failure all the same.
      if (ran === 0 && module.state() === 'failed') count.failed++
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  }
}

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'node_modules/**'],
    // Tests wait for conditions: a limit says only that something stands still, on the slowest machine.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    // A failure shows whole values: often the print is all that is left of it.
    chaiConfig: { truncateThreshold: 0 },
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/closing-line.ts'],
  },
})

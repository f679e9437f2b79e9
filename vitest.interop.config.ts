import { defineConfig } from 'vitest/config'

// Foreign programs are heavy and share ports and caches: one file at a time.
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    globalSetup: ['test/interop/programs.setup.ts'],
    // Tests wait for conditions: a limit says only that something stands still, on the slowest machine.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // A failure shows whole values: often the print is all that is left of it.
    chaiConfig: { truncateThreshold: 0 },
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
  },
})

import { defineConfig } from 'vitest/config'

// Foreign programs are heavy and share ports and caches: one file at a time.
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    globalSetup: ['test/interop/programs.setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    reporters: ['default', './test/closing-line.ts'],
  },
})

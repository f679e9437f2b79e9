/**
 * Puts what `ottla up` loads into one file, dist/start/: reading and linking some 270 modules one by one is a third of the
 * time to the first answer. The modules stay beside it, for the library, the tools and whoever reads a stack trace.
 */
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
rmSync(`${dist}start`, { recursive: true, force: true })
const bundle = await rolldown({ input: `${dist}cli/ottla.js`, platform: 'node', logLevel: 'warn' })
await bundle.write({ dir: `${dist}start`, format: 'esm', chunkFileNames: '[name].js' })
await bundle.close()

/**
 * `npm run dev`: compiles on every save and restarts `ottla up --verbose` when the compiler is done. Arguments go to `ottla up`;
 * data lies in ./data/dev, so that a restart finds what was there.
 */
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const compiler = spawn(process.execPath, [fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url)), '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
let server
let stopping = false
let restarting

compiler.stdout.setEncoding('utf8')
compiler.stdout.on('data', (text) => {
  process.stdout.write(text)
  const found = /Found (\d+) errors?\. Watching/.exec(text)
  if (!found) return
  if (found[1] === '0') void restart()
  else console.log(server ? 'dev: the server that runs is the one before these errors' : 'dev: no server yet')
})
compiler.on('exit', (code) => stop(code ?? 0))
// The tables of bin/ and the configuration are not the compiler's business.
watch(fileURLToPath(new URL('../bin', import.meta.url)), () => void restart())

async function restart() {
  if (stopping) return
  clearTimeout(restarting)
  restarting = setTimeout(async () => {
    await ended(server)
    if (stopping) return
    server = spawn(fileURLToPath(new URL('../bin/ottla', import.meta.url)), ['up', '--data-dir', 'data/dev', '--verbose', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
  }, 50)
}
/** Asks a server to stop and waits until it has; a stop is clean, so the next start recovers nothing. */
function ended(child) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    child.once('exit', done)
    child.kill('SIGTERM')
  })
}
async function stop(code) {
  if (stopping) return
  stopping = true
  await ended(server)
  compiler.kill()
  process.exit(code)
}
process.on('SIGINT', () => void stop(0))
process.on('SIGTERM', () => void stop(0))

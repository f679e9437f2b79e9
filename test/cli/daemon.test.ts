/** Daemons: their start is told truly, their logs stay small. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { rotatingSink, startDaemon } from '../../src/cli/daemon.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ottla-daemon-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a log is put aside when it has grown, and the oldest of them goes', () => {
  const path = join(folder, 'deep', 'server.log')
  const sink = rotatingSink(path, { sizeMax: 100, count: 2 })
  for (let line = 0; line < 20; line++) sink(`line ${line} ${'.'.repeat(30)}`, 'info')
  expect(readdirSync(join(folder, 'deep'))).toEqual(['server.log', 'server.log.1', 'server.log.2'])
  expect(readFileSync(path, 'utf8')).toMatch(/^line 18 .*\nline 19 /)
  expect(readFileSync(`${path}.1`, 'utf8')).toMatch(/^line 16 /)
  // A restart goes on in the same file.
  rotatingSink(path, { sizeMax: 200 })('again', 'info')
  expect(readFileSync(path, 'utf8')).toMatch(/line 19 .*\nagain\n$/)
})

test('the parent hears when the child is ready, and then may go', async () => {
  const script = join(folder, 'server.js')
  writeFileSync(script, `console.log(process.argv.slice(2).join()); process.send('ready'); setTimeout(() => {}, 60000)`)
  const started = await startDaemon({ script, args: ['a', 'b'], outFile: join(folder, 'server.out') })
  if ('failure' in started) throw new Error(started.failure)
  expect(started.ready).toBe(true)
  process.kill(started.processId, 'SIGKILL')
  expect(readFileSync(join(folder, 'server.out'), 'utf8')).toBe('a,b\n')
})

test('a child that ends before it is ready is a failure, with its last words', async () => {
  const script = join(folder, 'server.js')
  writeFileSync(script, `console.error('port 1 is in use'); process.exitCode = 1`)
  expect(await startDaemon({ script, args: [], outFile: join(folder, 'server.out') })).toEqual({ failure: 'port 1 is in use' })
  writeFileSync(script, `process.exit(3)`)
  expect(await startDaemon({ script, args: [], outFile: join(folder, 'server.out') })).toEqual({ failure: expect.stringMatching(/ended at once \(code 3\); see .*server\.out/) })
})

/** A pipe or a directory where a file belongs: an error that says so at once, never a wait for somebody at the other end. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nodeHost, temporaryDirectory } from '../../src/host/node.ts'

const { disk } = nodeHost()
let folder: string
let pipe: string
beforeAll(async () => {
  folder = await temporaryDirectory('ottla-not-a-file-')
  pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  mkdirSync(join(folder, 'directory'))
})
afterAll(() => disk.removeTree(folder))

test('reading', async () => {
  await expect(disk.readFile(pipe)).rejects.toMatchObject({ code: 'ENOTFILE', message: `ENOTFILE: ${pipe} is a pipe, a socket or a device where a file belongs` })
  expect(() => disk.readFileSync(pipe)).toThrow(/ENOTFILE: .*pipe is a pipe/)
  await expect(disk.readFile(join(folder, 'directory'))).rejects.toMatchObject({ code: 'EISDIR', message: expect.stringContaining(`${join(folder, 'directory')} is a directory where a file belongs`) })
})
test('opening and looking at it', async () => {
  await (await disk.open(pipe, 'read')).close()
  disk.openSync(pipe, 'read').closeSync()
  expect((await disk.facts(pipe))?.kind).toBe('other')
})
test('writing a file whole over one', async () => {
  execFileSync('mkfifo', [join(folder, 'new.tmp')])
  await expect(disk.replaceFile(join(folder, 'new'), 'text')).rejects.toMatchObject({ code: 'ENXIO' })
})
test('a lock', async () => {
  await expect(disk.lock(pipe)).rejects.toMatchObject({ code: 'ENOTFILE' })
  const lock = await disk.lock(join(folder, 'lock'))
  await lock.release()
})
test('files are read as before, those of the kernel too, which say that they are empty', async () => {
  await disk.replaceFile(join(folder, 'file'), 'text')
  expect(String(await disk.readFile(join(folder, 'file')))).toBe('text')
  expect(String(disk.readFileSync(join(folder, 'file')))).toBe('text')
  if (process.platform === 'linux') expect(String(await disk.readFile('/proc/self/limits'))).toContain('open files')
})

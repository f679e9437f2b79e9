import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { aboutTheProcess, doors, pureOfNode, worldly } from './doors.ts'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'src')
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts')).map((path) => path.replaceAll('\\', '/')).sort()
const rooms = doors.map(({ room }) => room).sort((a, b) => b.length - a.length)
const textOf = (path: string): string => readFileSync(join(source, path), 'utf8')

/** The room a file belongs to: the longest name that begins its path. */
const roomOf = (path: string): string | undefined => rooms.find((room) => path === room || path.startsWith(`${room}/`))

interface Import {
  from: string
  names: string
}
function importsOf(text: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(/^(?:import|export)\s+(?:type\s+)?([^'";]*?)\s*from\s+'([^']+)'/gm)) found.push({ names: match[1], from: match[2] })
  for (const match of text.matchAll(/^import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm)) found.push({ names: '*', from: match[1] ?? match[2] })
  return found
}
/** The code alone: comments and strings are blanked. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, (part) => part.replace(/[^\n]/g, ' '))
}
function places(path: string, pattern: RegExp): string[] {
  return code(textOf(path)).split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []))
}

test('every file lies in a room of the table', () => {
  expect(files.filter((path) => roomOf(path) === undefined)).toEqual([])
})

test('no import goes through a door that the table does not have', () => {
  const broken: string[] = []
  for (const path of files) {
    const room = roomOf(path)
    const may = doors.find((door) => door.room === room)?.may ?? []
    for (const { from } of importsOf(textOf(path))) {
      if (!from.startsWith('.')) continue
      const target = relative(source, resolve(source, dirname(path), from)).replaceAll('\\', '/')
      const other = roomOf(target)
      const open = other === room || other === 'wire' || other === 'host' || may.includes('*') || (other !== undefined && may.includes(other))
      const wing = room?.startsWith('kafka/') && (other === 'kafka/protocol' || other === 'kafka/config') && room !== 'kafka/protocol' && room !== 'kafka/config'
      const ground = (room === 'wire' || room === 'host') && other !== room
      if (ground || !(open || wing)) broken.push(`${path} imports ${target}`)
      if (other === 'host' && target !== 'host/host.ts' && room !== 'host' && !may.includes('*') && !worldly.includes(room ?? '') && target !== 'host/logger.ts') broken.push(`${path} imports ${target}, and may only know the interfaces`)
    }
  }
  expect(broken).toEqual([])
})

test('the world is touched only in host and by tools', () => {
  const broken: string[] = []
  for (const path of files) {
    if (worldly.includes(roomOf(path) ?? '') || path in aboutTheProcess) continue
    broken.push(...places(path, /\bnew Date\b|\bDate\.now\b|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\s*\(|\bperformance\.now\b|(?<![.\w])process\.(?!versions\b)\w|(?<![.\w])console\.|(?<![.\w])fetch\s*\(\s*[`'"]/))
    for (const { from, names } of importsOf(textOf(path))) {
      if (!/^(node:|[a-z@])/.test(from)) continue
      const pure = pureOfNode[from]
      const unknown = pure === undefined ? [from] : pure === '*' || pure.includes('*') ? [] : names.replace(/[{}]/g, ' ').split(/[,\s]+/).filter((name) => name !== '' && name !== 'type' && name !== 'as' && !pure.includes(name) && /^[a-z]/.test(name))
      if (unknown.length > 0) broken.push(`${path} imports ${unknown.join(', ')} of ${from}`)
    }
  }
  expect(broken).toEqual([])
})

test('no module keeps state that changes', () => {
  const mutable = /^(?:export )?(?:let|var)\s|^(?:export )?const \w+(?:: (?!readonly|Readonly)[^=]*)? = (?:new (?:Map|Set|WeakMap|WeakSet|Array)(?:<.*>)?\(\)|\[\]|\{\})\s*;?$/
  expect(files.flatMap((path) => places(path, mutable))).toEqual([])
})

test('files are named after what they know, and none only passes others on', () => {
  expect(files.filter((path) => /(^|\/)(utils?|common|helpers?|types?|misc|index|shared)(\.ts|\/)/.test(path))).toEqual([])
  const barrels = files.filter((path) => {
    const lines = code(textOf(path)).split('\n').map((line) => line.trim()).filter((line) => line !== '')
    return lines.length > 0 && lines.every((line) => /^(export (\*|\{)|\}|[\w, ]+$)/.test(line))
  })
  expect(barrels).toEqual([])
})

test('every room has a README of at most a screen', () => {
  const missing: string[] = []
  for (const room of rooms) {
    if (room.endsWith('.ts') || !files.some((path) => path.startsWith(`${room}/`))) continue
    const readme = join(source, room, 'README.md')
    const lines = existsSync(readme) ? readFileSync(readme, 'utf8').split('\n').length : 0
    if (lines === 0) missing.push(`${room} has no README.md`)
    if (lines > 75) missing.push(`${room}/README.md has ${lines} lines`)
  }
  expect(missing).toEqual([])
})

test('nothing tracked names a machine: no absolute paths, no package registry', () => {
  let tracked: string[]
  try {
    tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\0').filter((path) => path !== '')
  } catch {
    return // A tarball without its history.
  }
  // In pieces, so that this file does not find itself.
  const machine = new RegExp([['/wo', 'rk/(main|shared)'], ['/ro', 'ot/'], ['/tmp/ba', 'sh_'], ['"resol', 'ved": "http'], ['arti', 'factory'], ['regi', 'stry\\.[a-z-]+\\.[a-z]'], ['_auth', 'Token']].map((pieces) => pieces.join('')).join('|'))
  const found = tracked.filter((path) => existsSync(join(root, path)) && !/\.(gz|zip|png|jar|bin)$/.test(path)).flatMap((path) => {
    const lines = readFileSync(join(root, path), 'utf8').split('\n')
    return lines.flatMap((line, index) => (machine.test(line) ? [`${path}:${index + 1}: ${line.slice(0, 120)}`] : []))
  })
  expect(found).toEqual([])
})

test('the lock file knows every package that another one names, for every platform: otherwise npm ci refuses to install', () => {
  interface Locked {
    dependencies?: Record<string, string>
    optionalDependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
  const missing = Object.entries(packages).flatMap(([path, locked]) => {
    const names = Object.keys({ ...locked.dependencies, ...locked.optionalDependencies, ...locked.devDependencies })
    return names.filter((name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages)).map((name) => `${path || 'package.json'} → ${name}`)
  })
  expect(missing).toEqual([])
})

/** Finds processes of this user by their command line, as Apache's stop scripts do. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'

export interface FoundProcess {
  id: number
  arguments: string[]
  /** The folder its relative paths start from, where the system tells. */
  folder: string | undefined
}

/** Processes of this user in which Node runs a script whose path ends with `script`. */
export function processesRunning(script: string): FoundProcess[] {
  return ownProcesses().filter(({ id, arguments: [program, ...rest] }) => {
    if (id === process.pid || program === undefined || !/(^|\/)node[^/]*$/.test(program)) return false
    const first = rest.find((argument) => !argument.startsWith('-'))
    return first !== undefined && first.replaceAll('\\', '/').endsWith(script)
  })
}

function ownProcesses(): FoundProcess[] {
  const user = process.getuid?.()
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  } catch {
    return listedProcesses()
  }
  return names.flatMap((name) => {
    try {
      if (user !== undefined && statSync(`/proc/${name}`).uid !== user) return []
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
      words.pop()
      return [{ id: Number(name), arguments: words, folder: `/proc/${name}/cwd` }]
    } catch {
      return [] // It has ended meanwhile.
    }
  })
}

/** Where there is no /proc: `ps`, which cannot tell a blank in an argument from one between two. */
function listedProcesses(): FoundProcess[] {
  const user = process.getuid?.()
  const lines = execFileSync('ps', user === undefined ? ['-axo', 'pid=,args='] : ['-U', String(user), '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => {
    const match = /^\s*([0-9]+)\s+(.*)$/.exec(line)
    return match ? [{ id: Number(match[1]), arguments: match[2].split(' '), folder: undefined }] : []
  })
}

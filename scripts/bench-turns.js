/**
 * Loaded into a server by `NODE_OPTIONS=--import`: how long its thread computes at a stretch. Between two callbacks of a timer of two milliseconds
 * lie as many turns of the event loop as fit, or one that is longer; counted is the processor time the thread has had, so that a
 * thread that waits for a processor does not count. Every tenth of a second the longest stretch goes into BENCH_TURNS.<pid>: `time ms ms-of-wall`.
 */
import { appendFileSync, openSync, readSync } from 'node:fs'

const everyMs = 2
const into = process.env['BENCH_TURNS']
let fd
try {
  fd = openSync('/proc/thread-self/schedstat', 'r')
} catch {
  // Without it, all threads count.
}
const text = Buffer.alloc(96)
/** Milliseconds of processor time. The figure in the file is brought up to date by asking for the other one. */
function cpuMs() {
  const { user, system } = process.cpuUsage()
  if (fd === undefined) return (user + system) / 1000
  return parseInt(text.latin1Slice(0, readSync(fd, text, 0, text.length, 0)), 10) / 1e6
}

if (into !== undefined && /zk-server|zookeeper-server-start/.test(process.argv[1] ?? '')) {
  let cpu = cpuMs()
  let wall = performance.now()
  let longest = 0
  let longestWall = 0
  let since = wall
  let lines = ''
  setInterval(() => {
    const cpuNow = cpuMs()
    const now = performance.now()
    longest = Math.max(longest, cpuNow - cpu)
    longestWall = Math.max(longestWall, now - wall)
    cpu = cpuNow
    wall = now
    if (now - since < 100) return
    since = now
    lines += `${Date.now()} ${longest.toFixed(2)} ${longestWall.toFixed(2)}\n`
    longest = longestWall = 0
    if (lines.length < 500) return
    appendFileSync(`${into}.${process.pid}`, lines)
    lines = ''
    cpu = cpuMs()
    wall = performance.now()
  }, everyMs).unref()
}

/** zookeeper-server-stop.sh: asks every ZooKeeper server of this user that the scripts here started to stop cleanly. */
import { processesRunning } from './processes.ts'

const inForeground = processesRunning('/cli/zk-server.js').filter(({ arguments: words }) => words.includes('start-foreground'))
const found = [...processesRunning('/cli/zookeeper-server-start.js'), ...inForeground]
const signal = (process.env['SIGNAL'] ?? 'TERM').replace(/^(?!SIG)/, 'SIG') as NodeJS.Signals
for (const { id } of found) process.kill(id, signal)
if (found.length === 0) {
  process.stderr.write('No zookeeper server to stop\n')
  process.exitCode = 1
}

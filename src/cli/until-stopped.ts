/** Runs a server in the foreground until a signal asks it to stop. */

export interface Stoppable {
  stop(): Promise<void>
}

/**
 * SIGINT and SIGTERM stop it cleanly and end the process with code 0; SIGHUP too, unless `ignoreHangup` (a daemon outlives
 * its terminal). A second SIGINT ends the process at once: what was acknowledged is safe, the next start recovers.
 */
export function untilStopped(server: Stoppable, { say, ignoreHangup = false }: { say(text: string): void; ignoreHangup?: boolean }): void {
  // Whoever read what it says may be gone: that is no reason not to stop cleanly.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {})
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      if (signal === 'SIGINT') process.exit(130)
      return
    }
    stopping = true
    say(`${signal}: stopping`)
    server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`The stop was not clean: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  if (ignoreHangup) process.on('SIGHUP', () => {})
  else process.on('SIGHUP', stop)
}

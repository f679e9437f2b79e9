/** Ends a tool's process when whoever reads its output has got all of it: what waits in a pipe would be lost with the process. */
export function exitWhenWritten(code: number): void {
  let left = 2
  const written = (): void => {
    if (--left === 0) process.exit(code)
  }
  // Told in the order of the writes, and when nobody reads any more.
  for (const stream of [process.stdout, process.stderr]) stream.write('', written)
}

/** Runs a tool inside the test's process. */
import type { Tool } from '../../src/cli/tool.ts'
import { silentLogger } from '../../src/host/logger.ts'
import { nodeHost } from '../../src/host/node.ts'

export interface ToolRan {
  code: number
  out: string
  err: string
}
export async function runTool(tool: Tool, argv: readonly string[], { until }: { until?: (out: string) => boolean } = {}): Promise<ToolRan> {
  let out = ''
  let err = ''
  let stop = (): void => {}
  const code = await tool(argv, {
    host: nodeHost({ logger: silentLogger }),
    input: (async function* () {})(),
    interactive: false,
    out: (data) => {
      out += typeof data === 'string' ? data : Buffer.from(data).toString()
      if (until?.(out)) stop()
      return true
    },
    err: (line) => void (err += `${line}\n`),
    onStop: (then) => (stop = () => then(130)),
  })
  return { code, out, err }
}

/** A door in front of a server's port that a test can shut: for clients that must not knock while a server starts. */
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { freePort } from '../free-port.ts'

export interface Gate {
  /** `127.0.0.1:port`, the same after every `open`. */
  readonly address: string
  open(): Promise<void>
  /** Cuts every connection and refuses new ones. */
  shut(): Promise<void>
}

/** A gate before `port`, open. */
export async function gateTo(port: number): Promise<Gate> {
  const sockets = new Set<Socket>()
  const gatePort = await freePort()
  let server: Server | undefined
  const open = () =>
    new Promise<void>((resolve, reject) => {
      server = createServer((near) => {
        const far = connect(port, '127.0.0.1')
        for (const [from, to] of [[near, far], [far, near]] as const) {
          sockets.add(from)
          from.on('error', () => to.destroy())
          from.on('close', () => {
            sockets.delete(from)
            to.destroy()
          })
          from.pipe(to)
        }
      })
      server.on('error', reject)
      server.listen(gatePort, '127.0.0.1', resolve)
    })
  const shut = () =>
    new Promise<void>((resolve) => {
      server?.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  await open()
  return { address: `127.0.0.1:${gatePort}`, open, shut }
}

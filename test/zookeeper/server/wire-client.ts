/** A client as small as a test needs: frames out, frames in, in order. Knows nothing of reconnecting. */
import { connect, type Socket } from 'node:net'
import { Reader } from '../../../src/wire/reader.ts'
import type { JuteRecord } from '../../../src/wire/codec.ts'
import type { Encodable, Fields } from '../../../src/wire/schema.ts'
import { encodeConnectRequest, readConnectResponse, type ConnectResponseMessage } from '../../../src/zookeeper/protocol/connect.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { CreateRequest, RequestHeader, type Acl } from '../../../src/zookeeper/protocol/records.ts'

export const open: Acl[] = [{ perms: 31, id: { scheme: 'world', id: 'anyone' } }]

export interface Reply {
  xid: number
  zxid: bigint
  err: number
  body: Buffer
}

export class WireClient {
  readonly socket: Socket
  #rest: Buffer = Buffer.alloc(0)
  #frames: Buffer[] = []
  #waiting: ((frame: Buffer | undefined) => void)[] = []
  #xid = 0
  /** Resolves when the server has closed. */
  readonly closed: Promise<void>
  #isClosed = false
  session: ConnectResponseMessage | undefined

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (chunk) => {
      this.#rest = Buffer.concat([this.#rest, chunk])
      while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
        const size = this.#rest.readInt32BE(0)
        const frame = this.#rest.subarray(4, 4 + size)
        this.#rest = this.#rest.subarray(4 + size)
        const waiting = this.#waiting.shift()
        if (waiting) waiting(frame)
        else this.#frames.push(frame)
      }
    })
    this.socket.on('error', () => {})
    this.closed = new Promise((done) => this.socket.on('close', () => {
      this.#isClosed = true
      for (const waiting of this.#waiting.splice(0)) waiting(undefined)
      done()
    }))
  }
  /** Waits for a session; undefined where the server closes instead. */
  static async session(port: number, request: Partial<Parameters<typeof encodeConnectRequest>[0]> = {}): Promise<WireClient> {
    const client = new WireClient(port)
    client.sendFrame(encodeConnectRequest({ protocolVersion: 0, lastZxidSeen: 0n, timeOut: 30_000, sessionId: 0n, passwd: Buffer.alloc(16), readOnly: false, ...request }))
    const frame = await client.frame()
    if (frame) client.session = readConnectResponse(new Reader(frame))
    return client
  }
  get sessionId(): bigint {
    return this.session?.sessionId ?? 0n
  }
  sendFrame(payload: Buffer): void {
    const size = Buffer.alloc(4)
    size.writeInt32BE(payload.length)
    this.socket.write(Buffer.concat([size, payload]))
  }
  frame(): Promise<Buffer | undefined> {
    const frame = this.#frames.shift()
    if (frame) return Promise.resolve(frame)
    if (this.#isClosed) return Promise.resolve(undefined)
    return new Promise((done) => this.#waiting.push(done))
  }
  async reply(): Promise<Reply> {
    const frame = await this.frame()
    if (!frame) throw new Error('the server has closed the connection')
    return { xid: frame.readInt32BE(0), zxid: frame.readBigInt64BE(4), err: frame.readInt32BE(12), body: frame.subarray(16) }
  }
  /** Sends without waiting; returns the xid. */
  send(type: number, body: Buffer = Buffer.alloc(0), xid = ++this.#xid): number {
    this.sendFrame(Buffer.concat([RequestHeader.encode({ xid, type }), body]))
    return xid
  }
  async ask(type: number, body?: Buffer, xid?: number): Promise<Reply> {
    this.send(type, body, xid)
    return this.reply()
  }
  request<F extends Fields>(type: number, schema: JuteRecord<F>, message: Encodable<F>): Promise<Reply> {
    return this.ask(type, schema.encode(message))
  }
  create(path: string, flags = 0, data: Buffer | null = Buffer.from('x'), acl: Acl[] = open): Promise<Reply> {
    return this.request(op.create, CreateRequest, { path, data, acl, flags })
  }
  close(): void {
    this.socket.destroy()
  }
}

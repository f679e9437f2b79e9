/**
 * Load for ZooKeeper servers: raw frames, encoded once and patched in place, answers counted and checked for errors and looked at no
 * further, so that one process can keep three servers busy.
 */
import { connect } from 'node:net'

export const op = { create: 1, delete: 2, exists: 3, getData: 4, setData: 5, ping: 11, setWatches: 101, closeSession: -11 }
const valueSize = 100
const value = Buffer.alloc(valueSize)
for (let index = 0; index < valueSize; index++) value[index] = 32 + ((index * 7919) % 90)

const int32 = (number) => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(number); return bytes }
const int64 = (number) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64BE(BigInt(number)); return bytes }
const string = (text) => Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)])
const openAcl = Buffer.concat([int32(1), int32(31), string('world'), string('anyone')])

/** A whole frame; its xid stands at byte 4, its path behind byte 16. */
export function frame(type, ...body) {
  const bytes = Buffer.concat([int32(0), int32(1), int32(type), ...body])
  bytes.writeInt32BE(bytes.length - 4, 0)
  return bytes
}
export const requests = {
  create: (path, data = value, flags = 0) => frame(op.create, string(path), int32(data.length), data, openAcl, int32(flags)),
  delete: (path) => frame(op.delete, string(path), int32(-1)),
  set: (path) => frame(op.setData, string(path), int32(value.length), value, int32(-1)),
  get: (path, watch = false) => frame(op.getData, string(path), Buffer.from([watch ? 1 : 0])),
}
const pathAt = 16

/** One session. `onAnswers(count)` is called once for each chunk that came. */
export class Client {
  static open(port, { timeoutMs = 30_000, session } = {}) {
    return new Promise((done, failed) => {
      const client = new Client(port)
      client.socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
        const body = [int32(0), int64(0), int32(timeoutMs), int64(session?.id ?? 0n), int32(16), session?.password ?? Buffer.alloc(16), Buffer.from([0])]
        const bytes = Buffer.concat(body)
        client.socket.write(Buffer.concat([int32(bytes.length), bytes]))
      })
      client.onGreeting = (answer) => {
        const timeout = answer.readInt32BE(8)
        if (timeout <= 0) return failed(new Error('the session has expired'))
        client.session = { id: answer.readBigInt64BE(12), password: Buffer.from(answer.subarray(24, 40)) }
        done(client)
      }
      client.socket.on('data', (chunk) => client.receive(chunk))
      client.socket.on('error', (error) => (client.error = error))
      client.socket.on('close', () => {
        client.isClosed = true
        failed(client.error ?? new Error(`port ${port} closed the connection`))
        client.onClose(client.error)
      })
    })
  }
  constructor(port) {
    this.port = port
    this.isClosed = false
    this.xid = 0
    this.rest = undefined
    this.onAnswers = () => {}
    this.onClose = () => {}
    /** Error codes other than 0, by code. */
    this.refused = new Map()
  }
  receive(arrived) {
    const chunk = this.rest ? Buffer.concat([this.rest, arrived]) : arrived
    let at = 0
    let count = 0
    while (chunk.length - at >= 4) {
      const size = chunk.readInt32BE(at) + 4
      if (chunk.length - at < size) break
      if (this.onGreeting) {
        const greet = this.onGreeting
        this.onGreeting = undefined
        greet(chunk.subarray(at, at + size))
      } else if (chunk.readInt32BE(at + 4) >= 0) {
        const code = chunk.readInt32BE(at + 16)
        if (code !== 0) this.refused.set(code, (this.refused.get(code) ?? 0) + 1)
        count++
      }
      at += size
    }
    this.rest = at < chunk.length ? chunk.subarray(at) : undefined
    if (count > 0) this.onAnswers(count)
  }
  /** One request at a time: resolves when it is answered. */
  ask(bytes) {
    bytes.writeInt32BE((this.xid = (this.xid + 1) & 0x3fff_ffff), 4)
    return new Promise((done, failed) => {
      const closed = () => failed(new Error('the connection was closed'))
      if (this.isClosed) return closed()
      this.onAnswers = () => done()
      this.onClose = closed
      this.socket.write(bytes)
    })
  }
  /** Ends the session. */
  close() {
    if (this.isClosed) return Promise.resolve()
    return new Promise((done) => {
      this.onClose = () => done()
      this.onAnswers = () => this.socket.end()
      this.socket.write(frame(op.closeSession))
    })
  }
  destroy() {
    this.onClose = () => {}
    this.socket.destroy()
  }
}

/** What to send: `next(into, at, index)` writes request number `index` of this client and returns where the next one goes. */
export function numbered(template, digitsAt, numberOf) {
  const { length } = template
  return {
    size: length,
    next(into, at, index, xid) {
      template.copy(into, at)
      into.writeInt32BE(xid, at + 4)
      let number = numberOf(index)
      for (let digit = at + digitsAt + 7; number > 0; digit--) {
        into[digit] = 48 + (number % 10)
        number = Math.floor(number / 10)
      }
      return at + length
    },
  }
}
/** Requests for znodes `<folder>/00000000` and so on: eight digits. */
export const byNumber = (make, folder, numberOf) => numbered(make(`${folder}/00000000`), pathAt + Buffer.byteLength(folder) + 1, numberOf)
/** `share` of a hundred requests are of the second kind, evenly spread. */
export function mixed(one, other, share) {
  return {
    size: Math.max(one.size, other.size),
    next: (into, at, index, xid) => ((index * share) % 100 < share ? other : one).next(into, at, index, xid),
  }
}

/**
 * Keeps `inFlight` requests of each client on their way. Counts answers between `warmMs` and `warmMs + ms`, then lets what is on its way
 * come in. `count`: stop after that many for each client. Resolves with answers per second.
 */
export function pipeline(clients, load, { inFlight = 100, warmMs = 300, ms = 1500, count = Infinity, atStart = () => {}, atEnd = () => {} } = {}) {
  return new Promise((done, failed) => {
    let answered = 0
    let answeredBefore = 0
    let began = performance.now()
    let stopped = false
    let seconds = 0
    let busy = clients.length
    const sent = clients.map(() => 0)
    const finish = () => {
      if (!stopped) end()
      for (const client of clients) client.onClose = () => {}
      done({ perSecond: (answered - answeredBefore) / seconds, answered: answered - answeredBefore, seconds, sent })
    }
    const end = () => {
      stopped = true
      seconds = (performance.now() - began) / 1000
      atEnd()
    }
    clients.forEach((client, index) => {
      if (client.isClosed) return failed(new Error('a server had closed a connection before the load'))
      let outstanding = 0
      const loadOf = typeof load === 'function' ? load(index) : load
      const send = (wanted) => {
        const number = Math.min(wanted, count - sent[index])
        if (number <= 0) return
        const bytes = Buffer.allocUnsafe(loadOf.size * number)
        let at = 0
        for (let left = number; left > 0; left--) at = loadOf.next(bytes, at, sent[index]++, (client.xid = (client.xid + 1) & 0x3fff_ffff))
        outstanding += number
        client.socket.write(at === bytes.length ? bytes : bytes.subarray(0, at))
      }
      client.onClose = (error) => failed(new Error(`a server closed a connection in the middle of the load${error ? `: ${error.message}` : ''}`))
      client.onAnswers = (number) => {
        outstanding -= number
        if (!stopped) {
          answered += number
          send(number)
        }
        if (outstanding === 0 && --busy === 0) finish()
      }
      send(inFlight)
    })
    if (count === Infinity) {
      setTimeout(() => {
        answeredBefore = answered
        began = performance.now()
        atStart()
        setTimeout(end, ms)
      }, warmMs)
    } else atStart()
  })
}

/** One request at a time on one connection for `ms`: sorted latencies in ms. */
export async function sequential(client, load, ms) {
  const took = []
  const bytes = Buffer.alloc(load.size)
  const until = performance.now() + ms
  for (let index = 0; performance.now() < until; index++) {
    const at = load.next(bytes, 0, index, 1)
    const began = performance.now()
    await client.ask(at === bytes.length ? bytes : bytes.subarray(0, at))
    took.push(performance.now() - began)
  }
  return took.sort((a, b) => a - b)
}

/**
 * A writer that goes on whatever happens to the servers: sets one znode again and again, and comes back with its session to the next
 * server when its own has gone. `longestMs`: between two acknowledged writes.
 */
export class PatientWriter {
  constructor(ports, at, path) {
    this.ports = ports
    this.at = at
    this.request = requests.set(path)
    this.longestMs = 0
    this.acknowledged = 0
    this.lastAt = performance.now()
    this.isStopping = false
  }
  async run() {
    let session
    while (!this.isStopping) {
      let client
      try {
        client = await Client.open(this.ports[this.at % this.ports.length], { session })
        session = client.session
        while (!this.isStopping) {
          await client.ask(this.request)
          const now = performance.now()
          if (this.acknowledged++ > 0) this.longestMs = Math.max(this.longestMs, now - this.lastAt)
          this.lastAt = now
          await new Promise((done) => setTimeout(done, 2))
        }
        await client.close()
      } catch (error) {
        if (/expired/.test(error.message)) session = undefined
        client?.destroy()
        this.at++
        await new Promise((done) => setTimeout(done, 5))
      }
    }
  }
}

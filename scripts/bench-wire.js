/** What the load processes of the broker's benchmarks share: request frames put together by hand, connections, and how a job ends. */
import { connect } from 'node:net'

/** int32 size, then the request header v1 and the body. */
export function frame(apiKey, version, body, clientId = 'bench') {
  const client = Buffer.from(clientId)
  const head = Buffer.alloc(4 + 2 + 2 + 4 + 2 + client.length)
  head.writeInt32BE(head.length - 4 + body.length, 0)
  head.writeInt16BE(apiKey, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(7, 8)
  head.writeInt16BE(client.length, 12)
  client.copy(head, 14)
  return Buffer.concat([head, body])
}
export const int16 = (value) => Buffer.from([(value >> 8) & 255, value & 255])
export const int32 = (value) => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes }
export const int64 = (value) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64BE(BigInt(value)); return bytes }
export const string = (text) => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])

export const metadataFrame = (topic) => frame(3, 5, Buffer.concat([int32(1), string(topic), Buffer.from([1])]))

/** What all connections read into: looked at before the next read. */
const readRoom = Buffer.allocUnsafe(256 * 1024)

/** A connection that hands over whole answers; each is valid only during the call. */
export async function open(port, onAnswer, { bufferSize = 1 << 16 } = {}) {
  let buffer = Buffer.allocUnsafe(bufferSize)
  let filled = 0
  const keep = (chunk) => {
    if (filled + chunk.length > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, filled + chunk.length))
      buffer.copy(larger, 0, 0, filled)
      buffer = larger
    }
    chunk.copy(buffer, filled)
    filled += chunk.length
  }
  /** Hands over what is whole; returns where the rest begins. */
  const cut = (bytes) => {
    let at = 0
    while (bytes.length - at >= 4) {
      const size = bytes.readInt32BE(at) + 4
      if (bytes.length - at < size) break
      onAnswer(bytes.subarray(at, at + size))
      at += size
    }
    return at
  }
  const received = (chunk) => {
    if (filled === 0) {
      const at = cut(chunk)
      if (at < chunk.length) keep(chunk.subarray(at))
      return
    }
    keep(chunk)
    const at = cut(buffer.subarray(0, filled))
    if (at > 0) buffer.copyWithin(0, at, filled)
    filled -= at
  }
  const callback = (size) => {
    received(readRoom.subarray(0, size))
    return true
  }
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: readRoom, callback } })
  await new Promise((done, failed) => socket.once('connect', done).once('error', failed))
  socket.on('error', (error) => fail(`the connection broke: ${error.message}`))
  socket.on('close', () => fail('the broker closed the connection'))
  return socket
}
export function fail(reason) {
  console.error(reason)
  process.exit(1)
}
export function end(result) {
  const { user, system } = process.cpuUsage()
  console.log(JSON.stringify({ ...result, loadCpuSeconds: (user + system) / 1e6 }))
  process.exit(0)
}

export function quantiles(latencies) {
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
  return { p50: at(0.5), p99: at(0.99) }
}

/** Where a topic's first partition is, and the ports of all its partitions' leaders, as a broker of the cluster says. Undefined while nobody can be asked. */
export async function described(ports, topic) {
  for (const port of ports) {
    const answer = await askOnce(port, metadataFrame(topic), 1_000)
    if (!answer) continue
    let at = 4 + 4 + 4 // size, correlation id, throttle time
    const int = () => answer.readInt32BE((at += 4) - 4)
    const text = () => {
      const size = answer.readInt16BE((at += 2) - 2)
      return answer.toString('utf8', at, (at += Math.max(0, size)))
    }
    const list = (item) => Array.from({ length: Math.max(0, int()) }, item)
    const portOf = new Map(list(() => {
      const id = int()
      text() // host
      const port = int()
      text() // rack
      return [id, port]
    }))
    text() // cluster id
    const controllerPort = portOf.get(int())
    if (int() < 1) continue
    at += 2
    text()
    at += 1
    const partitions = list(() => {
      at += 2
      const [index, leader] = [int(), int()]
      const [, isr] = [list(int), list(int), list(int)]
      return { index, leader, port: portOf.get(leader), isr }
    }).sort((a, b) => a.index - b.index)
    if (partitions.length > 0 && partitions.every(({ port }) => port !== undefined))
      return { ...partitions[0], controllerPort, leaderPorts: partitions.map(({ port }) => port), isrSizeMin: Math.min(...partitions.map(({ isr }) => isr.length)) }
  }
  return undefined
}
/** One request on a connection of its own; undefined when there is no answer in time. */
export function askOnce(port, request, timeoutMs) {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let bytes = Buffer.alloc(0)
    const finish = (answer) => {
      clearTimeout(timer)
      socket.destroy()
      done(answer)
    }
    const timer = setTimeout(finish, timeoutMs)
    socket.on('error', () => finish())
    socket.on('close', () => finish())
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) finish(bytes)
    })
  })
}
/** `what` may be a function: what is said about it in the end. */
export async function eventually(what, patienceMs, ask, pollMs = 20) {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const result = await ask()
    if (result !== undefined) return result
    if (performance.now() > deadline) fail(`${typeof what === 'function' ? what() : what}: not within ${patienceMs} ms`)
    await new Promise((done) => setTimeout(done, pollMs))
  }
}

/** A connection for one request at a time: hands over a copy of each answer behind its size and correlation id. */
export async function caller(port, options) {
  let resolve
  const socket = await open(port, (answer) => {
    const done = resolve
    resolve = undefined
    done(Buffer.from(answer.subarray(8)))
  }, options)
  return {
    ask(request) {
      socket.write(request)
      return new Promise((done) => (resolve = done))
    },
  }
}
/** CreateTopics v2; made already is as good. Any broker of the cluster may be asked: the controller is found. */
export async function createTopic(ports, { topic, partitions = 1, replicas = 1, configs = {} }) {
  const entries = Object.entries(configs)
  const request = frame(19, 2, Buffer.concat([
    int32(1), string(topic), int32(partitions), int16(replicas), int32(0), int32(entries.length), ...entries.flatMap(([key, value]) => [string(key), string(String(value))]), int32(30_000), Buffer.from([0]),
  ]))
  const errorAt = 4 + 4 + 4 + 4 + 2 + Buffer.byteLength(topic)
  await eventually(`topic ${topic}`, 60_000, async () => {
    for (const port of ports) {
      const code = (await askOnce(port, request, 30_000))?.readInt16BE(errorAt)
      if (code === 0 || code === 36) return true
    }
    return undefined
  })
  return eventually(`leaders of ${topic}`, 60_000, async () => {
    const found = await described(ports, topic)
    return found && found.leaderPorts.length === partitions && found.isrSizeMin === replicas ? found : undefined
  })
}

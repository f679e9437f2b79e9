/**
 * Load for a broker, run as a process of its own so that it takes no turn from what it measures. Gets one job as JSON in
 * argv[2] and prints one line of JSON. Requests are encoded once and sent again and again: the load is never the limit for long.
 */
import { connect } from 'node:net'
import { encodeBatch } from '../dist/kafka/records/encode.js'
import { askOnce, described, end, eventually, fail, frame, int16, int32, int64, metadataFrame, open, quantiles, string } from './bench-wire.js'

const job = JSON.parse(process.argv[2])
const jobs = { produce, fetch, requests, ready, placed, committed, deleted, ledger, open: opened }

/** Produce v7: transactional id, acks, timeout, [topic [partition records]]. */
const produceFrame = (topic, partition, records, acks) =>
  frame(0, 7, Buffer.concat([int16(-1), int16(acks), int32(30_000), int32(1), string(topic), int32(1), int32(partition), int32(records.length), records]))
const produceErrorAt = (topic) => 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
/** Fetch v11 without a session. The offset to fetch from is patched in place. */
function fetchFrame(topic, partition, bytesMax) {
  const before = [int32(-1), int32(500), int32(1), int32(bytesMax), Buffer.from([0]), int32(0), int32(-1), int32(1), string(topic), int32(1), int32(partition), int32(-1)]
  const bytes = frame(1, 11, Buffer.concat([...before, int64(0), int64(-1), int32(bytesMax), int32(0), string('')]))
  return { bytes, offsetAt: 4 + 2 + 2 + 4 + 2 + 5 + before.reduce((size, part) => size + part.length, 0) }
}
function batchOf({ records, size }) {
  // Neither zeros nor noise: values look a little like log lines.
  const value = Buffer.alloc(size)
  for (let index = 0; index < size; index++) value[index] = 32 + ((index * 7919) % 90)
  return encodeBatch(Array.from({ length: records }, () => ({ key: null, value, timestamp: Date.now() })))
}

/**
 * `bytes` in batches of `records` × `size`, `inFlight` requests at a time over `connections`. With `rate`, bytes a second, batches leave
 * by the clock instead, whatever is in flight; waiting before the socket counts as latency, too.
 */
async function produce({ port, topic, partition = 0, records, size, bytes, inFlight, connections = 1, acks = 1, rate }) {
  const batch = batchOf({ records, size })
  const request = produceFrame(topic, partition, batch, acks)
  const errorAt = produceErrorAt(topic)
  const total = Math.ceil(bytes / batch.length)
  const latencies = []
  let sent = 0
  let acknowledged = 0
  const senders = await Promise.all(Array.from({ length: connections }, async () => {
    const waiting = []
    const socket = await open(port, (answer) => {
      const error = answer.readInt16BE(errorAt)
      if (error !== 0) fail(`produce answered error ${error}`)
      latencies.push(performance.now() - waiting.shift())
      if (++acknowledged === total) end({ seconds: (performance.now() - began) / 1000, bytes: total * batch.length, records: total * records, ...quantiles(latencies) })
      else if (sent < total && !rate) send()
    })
    const send = (due = performance.now()) => {
      sent++
      waiting.push(due)
      socket.write(request)
    }
    return send
  }))
  const began = performance.now()
  if (!rate) {
    for (let index = 0; index < Math.min(inFlight, total); index++) senders[index % connections]()
    return
  }
  const everyMs = (batch.length / rate) * 1000
  const pace = () => {
    for (; sent < total; ) {
      const due = began + sent * everyMs
      if (due > performance.now()) return void setTimeout(pace, Math.max(0, due - performance.now()))
      senders[sent % connections](due)
    }
  }
  pace()
}
/** Reads from offset 0 until `bytes` of batches have come, one fetch of up to `bytesMax` at a time. */
async function fetch({ port, topic, partition = 0, bytes, bytesMax, bufferSize }) {
  const { bytes: request, offsetAt } = fetchFrame(topic, partition, bytesMax)
  const errorAt = 4 + 4 + 4 + 2 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
  let received = 0
  const began = performance.now()
  const socket = await open(port, (answer) => {
    const error = answer.readInt16BE(errorAt)
    if (error !== 0) fail(`fetch answered error ${error}`)
    // high watermark, last stable and log start offset, aborted transactions, preferred replica, records
    let at = errorAt + 2 + 8 + 8 + 8
    const aborted = answer.readInt32BE(at)
    at += 4 + Math.max(aborted, 0) * 16 + 4
    const recordsEnd = at + 4 + answer.readInt32BE(at)
    at += 4
    let next = -1n
    while (at + 27 <= recordsEnd) {
      const size = 12 + answer.readInt32BE(at + 8)
      if (at + size > recordsEnd) break
      next = answer.readBigInt64BE(at) + BigInt(answer.readInt32BE(at + 23)) + 1n
      received += size
      at += size
    }
    if (received >= bytes) return end({ seconds: (performance.now() - began) / 1000, bytes: received })
    if (next >= 0n) request.writeBigInt64BE(next, offsetAt)
    socket.write(request)
  }, { bufferSize })
  socket.write(request)
}

/** Requests of one record for `seconds`, on `connections` with `inFlight` each. */
async function requests({ port, topic, partitions = 1, size, connections, inFlight, seconds, acks = 1 }) {
  const errorAt = produceErrorAt(topic)
  const latencies = []
  let answered = 0
  let stopped = false
  const batch = batchOf({ records: 1, size })
  const sockets = await Promise.all(Array.from({ length: connections }, async (_, index) => {
    const request = produceFrame(topic, index % partitions, batch, acks)
    const waiting = []
    const send = () => {
      waiting.push(performance.now())
      socket.write(request)
    }
    const socket = await open(port, (answer) => {
      const error = answer.readInt16BE(errorAt)
      if (error !== 0) fail(`produce answered error ${error}`)
      answered++
      latencies.push(performance.now() - waiting.shift())
      if (!stopped) send()
    })
    return send
  }))
  for (const send of sockets) for (let index = 0; index < inFlight; index++) send()
  await new Promise((done) => setTimeout(done, (seconds * 1000) / 4))
  const from = answered
  const began = performance.now()
  await new Promise((done) => setTimeout(done, seconds * 1000))
  const result = { seconds: (performance.now() - began) / 1000, requests: answered - from, ...quantiles(latencies.slice(from)) }
  stopped = true
  end(result)
}

/**
 * Makes the topic and waits until `isrSize` replicas are in sync, and another broker than `not` leads, as each of the brokers asked says: who was just started again
 * has to know, too, and who has not noticed yet that one is gone does not count. Who leads.
 */
async function placed({ ports, topic, isrSize, not, patienceMs = 180_000 }) {
  let seen
  const isThere = (place) => place && place.isr.length >= isrSize && place.leader !== not
  const place = await eventually(() => `${isrSize} replicas of ${topic} in sync${not ? ` without broker ${not} leading` : ''} (said by the brokers at ${ports.join(', ')}: ${seen.map(told).join(', ')})`, patienceMs, async () => {
    seen = []
    for (const port of ports) seen.push(await described([port], topic))
    return seen.every((each) => isThere(each) && each.leader === seen[0].leader) ? seen[0] : undefined
  }, 50)
  end(place)
}
const told = (place) => (place ? `leader ${place.leader}, in sync ${place.isr.join(' ')}` : 'no answer, or no leader')
/** Deletes the topic; the brokers remove its files later. */
async function deleted({ ports, topic }) {
  const request = frame(20, 1, Buffer.concat([int32(1), string(topic), int32(30_000)]))
  await eventually(`${topic} deleted`, 60_000, async () => {
    const place = await described(ports, topic)
    const answer = place && (await askOnce(place.controllerPort, request, 30_000))
    return answer?.readInt16BE(answer.length - 2) === 0 ? true : undefined
  })
  end({})
}
/** Until somebody listens. */
async function opened({ port, patienceMs = 180_000 }) {
  await eventually(`port ${port} open`, patienceMs, () => new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => done(undefined))
    socket.on('connect', () => {
      socket.destroy()
      done(true)
    })
  }))
  end({})
}
/** Until as many records are committed: all followers in sync have them. */
async function committed({ port, topic, offset, patienceMs = 60_000 }) {
  const request = frame(2, 1, Buffer.concat([int32(-1), int32(1), string(topic), int32(1), int32(0), int64(-1)]))
  const offsetAt = 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4 + 2 + 8
  await eventually(`offset ${offset} of ${topic} committed`, patienceMs, async () => {
    const answer = await askOnce(port, request, 5_000)
    return answer && answer.readBigInt64BE(offsetAt) >= BigInt(offset) ? true : undefined
  })
  end({})
}
/**
 * One record after the other with acks=all until standard input ends, whatever becomes of brokers; the longest time without an acknowledgement,
 * and what was met in the longest ones.
 */
async function ledger({ ports, topic }) {
  const request = produceFrame(topic, 0, batchOf({ records: 1, size: 100 }), -1)
  const errorAt = produceErrorAt(topic)
  let acknowledged = 0
  let last = 0
  let longestMs = 0
  let over = false
  const pauses = []
  let met = []
  const meet = (what) => met.length < 8 && met.push(`${what} after ${Math.round(performance.now() - last)} ms`)
  process.stdin.on('data', () => {}).on('end', () => (over = true))
  const report = () => end({ longestMs, acknowledged, pauses: pauses.sort((a, b) => b.ms - a.ms).slice(0, 3) })
  const note = () => {
    const now = performance.now()
    if (acknowledged++ === 0) console.log('armed')
    else longestMs = Math.max(longestMs, now - last)
    if (acknowledged > 1 && now - last > 100) pauses.push({ ms: now - last, at: Date.now() - (now - last), met })
    met = []
    last = now
  }
  for (;;) {
    // A pause that has not ended has no length yet.
    if (over && performance.now() - last > 180_000) fail('no record was acknowledged for three minutes')
    const place = await described(ports, topic)
    if (!place) {
      meet('no leader')
      await new Promise((done) => setTimeout(done, 5))
      continue
    }
    meet(`leader ${place.leader}`)
    await new Promise((done) => {
      const socket = connect({ port: place.port, host: '127.0.0.1', noDelay: true })
      let bytes = Buffer.alloc(0)
      let timer
      const send = () => {
        clearTimeout(timer)
        // A leader that was stopped in its tracks does not close its connections.
        timer = setTimeout(() => {
          meet('no answer for a second')
          socket.destroy()
        }, 1_000)
        socket.write(request)
      }
      socket.on('error', () => {})
      socket.on('close', () => {
        clearTimeout(timer)
        meet('a closed connection')
        done()
      })
      socket.on('connect', send)
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk])
        if (bytes.length < 4 || bytes.length < 4 + bytes.readInt32BE(0)) return
        const error = bytes.readInt16BE(errorAt)
        bytes = Buffer.alloc(0)
        if (error !== 0) {
          meet(`error ${error}`)
          return socket.destroy()
        }
        note()
        if (over) report()
        else send()
      })
    })
    await new Promise((done) => setTimeout(done, 5))
  }
}

/** Until a record is acknowledged: connects, asks for the topic (which makes it), produces; again until it works. */
async function ready({ port, topic, patienceMs }) {
  const deadline = performance.now() + patienceMs
  const request = produceFrame(topic, 0, batchOf({ records: 1, size: 100 }), 1)
  console.log('armed')
  for (;;) {
    const attempt = await new Promise((done) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let answers = 0
      let bytes = Buffer.alloc(0)
      socket.on('error', () => done(false))
      socket.on('close', () => done(false))
      socket.on('connect', () => socket.write(metadataFrame(topic)))
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk])
        while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
          const answer = bytes.subarray(0, 4 + bytes.readInt32BE(0))
          bytes = bytes.subarray(answer.length)
          if (answers++ === 0) socket.write(request)
          else {
            const good = answer.readInt16BE(produceErrorAt(topic)) === 0
            socket.destroy()
            done(good)
          }
        }
      })
    })
    if (attempt) return end({ at: Date.now() })
    if (performance.now() > deadline) fail(`no record was acknowledged within ${patienceMs} ms`)
    await new Promise((done) => setTimeout(done, 5))
  }
}

await jobs[job.kind](job)

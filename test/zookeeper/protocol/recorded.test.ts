import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { encodeConnectRequest, encodeConnectResponse, readConnectRequest, readConnectResponse } from '../../../src/zookeeper/protocol/connect.ts'
import { readMultiRequest, readMultiResponse, writeMultiRequest, writeMultiResponse } from '../../../src/zookeeper/protocol/multi.ts'
import { op } from '../../../src/zookeeper/protocol/op-codes.ts'
import { LearnerInfo, packetType, QuorumPacket, snapshotSignature } from '../../../src/zookeeper/protocol/quorum.ts'
import * as records from '../../../src/zookeeper/protocol/records.ts'
import { decodeTransaction, encodeTransaction } from '../../../src/zookeeper/protocol/transactions.ts'
import type { JuteRecord } from '../../../src/wire/codec.ts'
import type { Fields } from '../../../src/wire/schema.ts'
import { Reader } from '../../../src/wire/reader.ts'
import { Writer } from '../../../src/wire/writer.ts'

const linesOf = (file: string) => readFileSync(new URL(`recorded/${file}`, import.meta.url), 'utf8').split('\n').filter((line) => line && !line.startsWith('#'))

type Pair = readonly [request: JuteRecord<Fields> | undefined, response: JuteRecord<Fields> | undefined]
const bodies = new Map<number, Pair>([
  [op.create, [records.CreateRequest, records.CreateResponse]],
  [op.delete, [records.DeleteRequest, undefined]],
  [op.exists, [records.ExistsRequest, records.ExistsResponse]],
  [op.getData, [records.GetDataRequest, records.GetDataResponse]],
  [op.setData, [records.SetDataRequest, records.SetDataResponse]],
  [op.getChildren, [records.GetChildrenRequest, records.GetChildrenResponse]],
  [op.getChildren2, [records.GetChildren2Request, records.GetChildren2Response]],
  [op.ping, [undefined, undefined]],
  [op.closeSession, [undefined, undefined]],
])

const frames = linesOf('client-frames.txt')
const conversations = frames.flatMap((line, at) => (line.startsWith('op=') ? [{ op: line.slice(3), request: frames[at + 1], response: frames[at + 2] }] : []))

test.each(conversations)('a recorded conversation of op $op is written again to the same bytes', (recorded) => {
  const request = Buffer.from(recorded.request.slice('request '.length), 'hex')
  const response = Buffer.from(recorded.response.slice('response '.length), 'hex')
  if (recorded.op === 'connect') {
    expect(encodeConnectRequest(readConnectRequest(new Reader(request)))).toEqual(request)
    expect(encodeConnectResponse(readConnectResponse(new Reader(response)))).toEqual(response)
    return
  }
  const asked = new Reader(request)
  const out = new Writer()
  const header = records.RequestHeader.read(asked)
  records.RequestHeader.write(out, header)
  const pair = bodies.get(header.type)
  if (header.type === op.multi) writeMultiRequest(out, readMultiRequest(asked))
  else if (pair?.[0]) pair[0].write(out, pair[0].read(asked) as never)
  expect(asked.remaining).toBe(0)
  expect(out.toBuffer()).toEqual(request)

  const answered = new Reader(response)
  const back = new Writer()
  const reply = records.ReplyHeader.read(answered)
  records.ReplyHeader.write(back, reply)
  if (reply.err === 0) {
    if (header.type === op.multi) writeMultiResponse(back, readMultiResponse(answered))
    else if (pair?.[1]) pair[1].write(back, pair[1].read(answered) as never)
  }
  expect(answered.remaining).toBe(0)
  expect(back.toBuffer()).toEqual(response)
})

const streams = linesOf('quorum-streams.txt')
const quorum = streams.flatMap((line, at) => (line.startsWith('connection') ? [{ name: line, bytes: Buffer.from(streams[at + 1], 'hex') }] : []))

test.each(quorum)('$name: packets and transactions are written again to the same bytes', ({ bytes }) => {
  const reader = new Reader(bytes)
  const out = new Writer()
  while (reader.remaining > 0) {
    const packet = QuorumPacket.read(reader)
    QuorumPacket.write(out, packet)
    if (packet.type === packetType.proposal && packet.data) {
      const transaction = decodeTransaction(packet.data)
      expect(transaction.header.zxid).toBe(packet.zxid)
      expect(transaction.digest?.version).toBe(2)
      expect(encodeTransaction(transaction)).toEqual(packet.data)
    }
    if (packet.type === packetType.followerInfo && packet.data) expect(LearnerInfo.encode(LearnerInfo.decode(packet.data))).toEqual(packet.data)
    if (packet.type === packetType.snap) {
      // A raw snapshot follows; it ends with its signature.
      const end = bytes.indexOf(snapshotSignature, reader.offset) + snapshotSignature.length
      out.raw(reader.view(end - reader.offset))
    }
  }
  expect(out.toBuffer()).toEqual(bytes)
})

test('a create of 3.4, without the parent cversion, decodes to −1', () => {
  const entry = encodeTransaction({
    header: { clientId: 1n, cxid: 2, zxid: 3n, time: 4, type: op.create },
    body: { type: op.create, path: '/a', data: Buffer.from('x'), acl: [], ephemeral: false, parentCVersion: 7 },
  })
  expect(decodeTransaction(entry.subarray(0, -4)).body).toMatchObject({ path: '/a', parentCVersion: -1 })
})

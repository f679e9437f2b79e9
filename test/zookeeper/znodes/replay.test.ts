import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { packetType, QuorumPacket, snapshotSignature } from '../../../src/zookeeper/protocol/quorum.ts'
import { decodeTransaction, type Transaction } from '../../../src/zookeeper/protocol/transactions.ts'
import { ZnodeTree } from '../../../src/zookeeper/znodes/tree.ts'
import { Reader } from '../../../src/wire/reader.ts'

function proposalsOf(bytes: Buffer): Transaction[] {
  const reader = new Reader(bytes)
  const transactions: Transaction[] = []
  while (reader.remaining > 0) {
    const packet = QuorumPacket.read(reader)
    if (packet.type === packetType.proposal && packet.data) transactions.push(decodeTransaction(packet.data))
    if (packet.type === packetType.snap) reader.offset = bytes.indexOf(snapshotSignature, reader.offset) + snapshotSignature.length
  }
  return transactions
}
const recorded = readFileSync(new URL('../protocol/recorded/quorum-streams.txt', import.meta.url), 'utf8').split('\n')
const streams = recorded.flatMap((line, at) => (line.startsWith('connection') ? [proposalsOf(Buffer.from(recorded[at + 1], 'hex'))] : []))

test('what Apache 3.8.4 proposed leads to the digests it proposed with it', () => {
  const all = new Map(streams.flat().map((transaction) => [transaction.header.zxid, transaction]))
  const inOrder = [...all.values()].sort((one, other) => Number(one.header.zxid - other.header.zxid))
  expect(inOrder.length).toBeGreaterThan(10)
  const tree = new ZnodeTree()
  let compared = 0
  for (const transaction of inOrder) {
    tree.apply(transaction)
    if (!transaction.digest) continue
    expect(tree.digest, `after ${transaction.header.zxid.toString(16)}`).toBe(transaction.digest.treeDigest)
    compared++
  }
  expect(compared).toBeGreaterThan(10)
})

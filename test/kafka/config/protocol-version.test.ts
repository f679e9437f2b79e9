import { expect, test } from 'vitest'
import { parseBrokerConfig } from '../../../src/kafka/config/broker-settings.ts'
import { interBrokerProtocol } from '../../../src/kafka/config/protocol-version.ts'

test.each([
  ['3.9', '3.9-IV0', 7, 8, 4, 17, 9, true, true, 2],
  ['3.9.1', '3.9-IV0', 7, 8, 4, 17, 9, true, true, 2],
  ['3.8', '3.8-IV0', 7, 8, 4, 16, 8, true, true, 2],
  ['3.7-IV3', '3.7-IV3', 7, 8, 4, 15, 8, true, true, 2],
  ['3.5-IV0', '3.5-IV0', 7, 8, 4, 14, 8, true, true, 2],
  ['3.4', '3.4-IV0', 7, 8, 4, 13, 7, true, true, 2],
  ['3.3', '3.3-IV3', 6, 7, 3, 13, 7, true, true, 2],
  ['3.2', '3.2-IV0', 6, 7, 3, 13, 7, true, true, 1],
  ['3.1', '3.1-IV0', 5, 7, 3, 13, 7, true, false, 1],
  ['3.0', '3.0-IV1', 5, 7, 3, 12, 7, true, false, 1],
  ['3.0-IV0', '3.0-IV0', 5, 7, 3, 12, 6, true, false, 1],
  ['2.8', '2.8-IV1', 5, 7, 3, 12, 6, false, false, 1],
] as const)('protocol %s is spoken as Apache does', (text, version, leaderAndIsr, updateMetadata, stopReplica, fetch, listOffsets, producerIdsFromController, leaderRecovery, featureZnode) => {
  expect(interBrokerProtocol(text)).toEqual({ version, leaderAndIsr, updateMetadata, stopReplica, fetch, listOffsets, producerIdsFromController, leaderRecovery, featureZnode })
})

test.each(['2.7', '2.8-IV0', '0.10.2', '4.0-IV0', '1.1'])('protocol %s is refused by name', (value) => {
  const { refusals } = parseBrokerConfig([{ key: 'zookeeper.connect', value: 'localhost' }, { key: 'inter.broker.protocol.version', value }])
  expect(refusals.map(({ key, message }) => [key, message.includes('2.8 to 3.9')])).toEqual([['inter.broker.protocol.version', true]])
})

/** Rules that several configuration keys share. */

/** Every value of inter.broker.protocol.version that 3.9 knows. */
export const protocolVersions: readonly string[] = (
  '0.8.0 0.8.1 0.8.2 0.9.0 0.10.0-IV0 0.10.0-IV1 0.10.1-IV0 0.10.1-IV1 0.10.1-IV2 0.10.2-IV0 0.11.0-IV0 0.11.0-IV1 0.11.0-IV2 1.0-IV0 1.1-IV0 2.0-IV0 2.0-IV1 ' +
  '2.1-IV0 2.1-IV1 2.1-IV2 2.2-IV0 2.2-IV1 2.3-IV0 2.3-IV1 2.4-IV0 2.4-IV1 2.5-IV0 2.6-IV0 2.7-IV0 2.7-IV1 2.7-IV2 2.8-IV0 2.8-IV1 3.0-IV0 3.0-IV1 3.1-IV0 3.2-IV0 ' +
  '3.3-IV0 3.3-IV1 3.3-IV2 3.3-IV3 3.4-IV0 3.5-IV0 3.5-IV1 3.5-IV2 3.6-IV0 3.6-IV1 3.6-IV2 3.7-IV0 3.7-IV1 3.7-IV2 3.7-IV3 3.7-IV4 3.8-IV0 3.9-IV0 4.0-IV0 4.0-IV1'
).split(' ')

/** A short version such as `3.9` or `2.8` stands for its newest full one; so does `0.10.1.1` for its release. */
export const protocolVersionRule = {
  range: `[${protocolVersions.join(', ')}]`,
  refuse(value: unknown): string | undefined {
    const known = protocolVersions.some((version) => version === value || version.startsWith(`${String(value)}-`) || String(value).startsWith(`${version}.`))
    return known ? undefined : 'not a version of Kafka that 3.9 knows'
  },
}

export const levelOfGzip = {
  range: '[1,...,9] or -1',
  refuse: (value: unknown): string | undefined => (value === -1 || (Number(value) >= 1 && Number(value) <= 9) ? undefined : 'Value must be between 1 and 9 or equal to -1'),
}

/** Replicas to throttle: `partition:broker` pairs, or `*` for all. */
export const throttledReplicas = {
  range: '[partitionId]:[brokerId],[partitionId]:[brokerId],...',
  refuse(value: unknown): string | undefined {
    const pairs = value as readonly string[]
    if (pairs.length === 1 && pairs[0] === '*') return undefined
    return pairs.every((pair) => /^[0-9]+:[0-9]+$/.test(pair)) ? undefined : "must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
  },
}

export const notEmpty = {
  range: 'non-empty string',
  refuse: (value: unknown): string | undefined => (value === '' ? 'String must be non-empty' : undefined),
}

export const alwaysConverted = 'old consumers are always served in the format they know; refusing them does not work yet'

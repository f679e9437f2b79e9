/** Recorded pairs of request and response: `api=K version=V client=ID`, then `request HEX` and `response HEX`. */
import { readFileSync } from 'node:fs'

export interface RecordedPair {
  key: number
  version: number
  client: string
  request: Buffer
  response: Buffer
}
export function recordedPairs(file: URL): RecordedPair[] {
  const pairs: RecordedPair[] = []
  const found = readFileSync(file, 'utf8').matchAll(/^api=(\d+) version=(\d+) client=(\S*).*\nrequest ([0-9a-f]*)\nresponse ([0-9a-f]*)$/gm)
  for (const [, key, version, client, request, response] of found)
    pairs.push({ key: Number(key), version: Number(version), client, request: Buffer.from(request, 'hex'), response: Buffer.from(response, 'hex') })
  return pairs
}
export const ownFrames = new URL('frames.txt', import.meta.url)
export const allFrames = new URL('../../../../shared/fixtures/kafka-frames.txt', import.meta.url)

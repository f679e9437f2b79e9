/**
 * ApiVersions: what this broker understands. Answers have response header 0 in every version; an unknown version is answered
 * in v0 with error 35. v3 names the client's software and tells features in tags.
 */
import { array, bool, int16, int32, int64, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const ApiVersions = api({
  key: 18, name: 'ApiVersions', versions: [0, 4], flexible: 3,
  request: { clientSoftwareName: string.since(3), clientSoftwareVersion: string.since(3) },
  response: {
    errorCode: int16,
    apiKeys: array({ apiKey: int16, minVersion: int16, maxVersion: int16 }),
    throttleTimeMs: int32.since(1),
    supportedFeatures: array({ name: string, minVersion: int16, maxVersion: int16 }).since(3).tag(0),
    finalizedFeaturesEpoch: int64.since(3).tag(1).or(-1),
    finalizedFeatures: array({ name: string, maxVersionLevel: int16, minVersionLevel: int16 }).since(3).tag(2),
    zkMigrationReady: bool.since(3).tag(3),
  },
})
export type ApiVersionsRequest = RequestOf<typeof ApiVersions>
export type ApiVersionsResponse = ResponseOf<typeof ApiVersions>

/** UpdateFeatures. v1 upgrade types and validation only. */
import { array, bool, int16, int32, int8, string } from '../../wire/schema.ts'
import { api, type RequestOf, type ResponseOf } from './api.ts'

export const UpdateFeatures = api({
  key: 57, name: 'UpdateFeatures', versions: [0, 1], flexible: 0,
  request: {
    timeoutMs: int32.or(60_000),
    featureUpdates: array({
      feature: string,
      maxVersionLevel: int16,
      allowDowngrade: bool.until(0),
      upgradeType: int8.since(1).or(1),
    }),
    validateOnly: bool.since(1),
  },
  response: {
    throttleTimeMs: int32,
    errorCode: int16,
    errorMessage: string.orNull(),
    results: array({ feature: string, errorCode: int16, errorMessage: string.orNull() }),
  },
})
export type UpdateFeaturesRequest = RequestOf<typeof UpdateFeatures>
export type UpdateFeaturesResponse = ResponseOf<typeof UpdateFeatures>

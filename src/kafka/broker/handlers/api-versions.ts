/** ApiVersions: what `table.ts` lists, and nothing else. An unknown version is answered in v0 with the versions of this API alone. */
import { ApiVersions } from '../../protocol/api-versions.ts'
import { errors } from '../../protocol/errors.ts'
import { handler } from '../handler.ts'

/** KIP-511. */
const softwarePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export const apiVersions = handler({
  api: ApiVersions,
  refuse: (errorCode) => ({
    errorCode,
    apiKeys: errorCode === errors.unsupportedVersion.code ? [{ apiKey: ApiVersions.key, minVersion: ApiVersions.versions[0], maxVersion: ApiVersions.versions[1] }] : [],
  }),
  answer({ clientSoftwareName, clientSoftwareVersion }, { broker, version }) {
    if (version >= 3 && !(softwarePattern.test(clientSoftwareName) && softwarePattern.test(clientSoftwareVersion)))
      return { errorCode: errors.invalidRequest.code, apiKeys: [] }
    const finalizedFeaturesEpoch = broker.featureEpoch()
    return {
      errorCode: 0,
      apiKeys: broker.apis.map(({ key, versions }) => ({ apiKey: key, minVersion: versions[0], maxVersion: versions[1] })),
      finalizedFeaturesEpoch,
    }
  },
})

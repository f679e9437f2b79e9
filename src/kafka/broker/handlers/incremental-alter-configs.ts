/** IncrementalAlterConfigs: sets and deletes single overrides, appends to and subtracts from lists. */
import { errors } from '../../protocol/errors.ts'
import { IncrementalAlterConfigs } from '../../protocol/incremental-alter-configs.ts'
import { alterAll } from '../alter-all.ts'
import { handler } from '../handler.ts'

const operations = ['set', 'delete', 'append', 'subtract'] as const

export const incrementalAlterConfigs = handler({
  api: IncrementalAlterConfigs,
  refuse: (errorCode, { resources }) => ({ throttleTimeMs: 0, responses: resources.map(({ resourceType, resourceName }) => ({ errorCode, errorMessage: null, resourceType, resourceName })) }),
  answer: ({ resources, validateOnly }, { broker }) =>
    alterAll(
      broker,
      resources.map(({ configs, ...resource }) => {
        const strange = configs.find(({ configOperation }) => operations[configOperation] === undefined)
        return {
          ...resource,
          refusal: strange && { code: errors.invalidRequest.code, message: `Unknown config operation ${strange.configOperation} for ${strange.name}; known are 0 to 3 (set, delete, append, subtract)` },
          wishes: configs.map(({ name, value, configOperation }) => ({ name, value, operation: operations[configOperation] })),
        }
      }),
      { replaceAll: false, validateOnly },
    ),
})

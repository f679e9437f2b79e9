/** AlterConfigs: replaces all overrides of a resource by those given. */
import { AlterConfigs } from '../../protocol/alter-configs.ts'
import { alterAll } from '../alter-all.ts'
import { handler } from '../handler.ts'

export const alterConfigs = handler({
  api: AlterConfigs,
  refuse: (errorCode, { resources }) => ({ throttleTimeMs: 0, responses: resources.map(({ resourceType, resourceName }) => ({ errorCode, errorMessage: null, resourceType, resourceName })) }),
  answer: ({ resources, validateOnly }, { broker }) =>
    alterAll(
      broker,
      resources.map((resource) => ({ ...resource, wishes: resource.configs.map(({ name, value }) => ({ name, value, operation: 'set' as const })) })),
      { replaceAll: true, validateOnly },
    ),
})

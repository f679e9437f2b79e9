/** Native libraries that make things faster where they are installed. Loaded at first use: all of them together are a tenth of a server's start. */
import { createRequire } from 'node:module'

/** Answers with the library, or undefined where there is no build of it for this platform. */
export function optionalLibrary<Library>(name: string): () => Library | undefined {
  let loaded: { library: Library | undefined } | undefined
  return () => (loaded ??= { library: load<Library>(name) }).library
}
function load<Library>(name: string): Library | undefined {
  try {
    return createRequire(import.meta.url)(name) as Library
  } catch {
    return undefined
  }
}

// What `initialize` says of an installed package.
import { createRequire } from 'node:module'

const installed = createRequire(import.meta.url)

/** No specRevision: these stores were not written against this specification. */
export function described(name, more) {
  return { about: { protocol: 1, name, version: installed(`${name}/package.json`).version, ...more } }
}

// What the tests need around the runtime: a store in a process, workers that die, events by type.

import type { WorkflowEvent } from '@tanstack/workflow-core'
import type { WorkflowExecutionStore } from '@tanstack/workflow-runtime'
import { WireClient, type StoreDescription } from './wire-client.js'
import { wireStore } from './wire-store.js'

/** The command `storeproof`. */
const COMMAND = process.env['STOREPROOF'] ?? 'storeproof'

export interface Served {
  client: WireClient
  store: WorkflowExecutionStore
  description: StoreDescription
}

/** A `storeproof serve` of its own. Two of the same place share what is stored there. */
export async function serve(place: ReadonlyArray<string>): Promise<Served> {
  const { client, store } = await WireClient.start(COMMAND, ['serve', ...place])
  return { client, store: wireStore(client), description: store }
}

/** A worker's store that takes no more calls from the nth one of `method` on, as if the worker had died right before. */
export function dyingBefore(
  store: WorkflowExecutionStore,
  method: keyof WorkflowExecutionStore,
  nth = 1,
): WorkflowExecutionStore {
  let calls = 0
  let dead = false
  return new Proxy(store, {
    get(target, name, receiver) {
      const found = Reflect.get(target, name, receiver)
      if (typeof found !== 'function') return found
      return (...args: Array<unknown>) => {
        dead ||= name === method && ++calls === nth
        return dead ? Promise.reject(new Error('this worker is dead')) : found.apply(target, args)
      }
    },
  })
}

/** The types of a run's stored events, in order. */
export async function log(store: WorkflowExecutionStore, runId: string): Promise<Array<WorkflowEvent['type']>> {
  return (await store.readEvents({ runId })).map((stored) => stored.eventType)
}

/** How often each value occurs. */
export function tally(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

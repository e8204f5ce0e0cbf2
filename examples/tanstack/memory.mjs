// The in-memory store of @tanstack/workflow-runtime.
import { inMemoryWorkflowExecutionStore } from '@tanstack/workflow-runtime'

import { answered } from './operations.mjs'
import { described } from './packages.mjs'

export async function openMemory() {
  let store = inMemoryWorkflowExecutionStore()
  return {
    // it calls subscribers before appendEvents answers
    ...described('@tanstack/workflow-runtime', { capabilities: ['subscribe'], subscribeDelayMs: 0 }),
    answer: (method, params) => answered(store, method, params),
    subscribe: (runId, fromIndex, onEvent) => store.subscribeEvents(runId, fromIndex, onEvent),
    async reset() {
      store = inMemoryWorkflowExecutionStore()
    },
    async close() {},
  }
}

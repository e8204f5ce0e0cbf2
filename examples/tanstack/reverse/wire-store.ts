// A WorkflowExecutionStore whose every operation is a request to a store behind the wire protocol.
//
// Two things differ between TypeScript and JSON, and are put right here. `undefined` is a value in one and absent in
// the other: a field that the contract requires becomes null, an answer of null where nothing was found becomes
// undefined. A conflict is an error class that the engine looks for.

import { LogConflictError, type WorkflowEvent } from '@tanstack/workflow-core'
import type { WorkflowExecutionStore } from '@tanstack/workflow-runtime'
import { type WireClient, WireError } from './wire-client.js'

const LOG_CONFLICT = -32001

export function wireStore(client: WireClient): WorkflowExecutionStore {
  let subscriptions = 0

  async function ask<T>(method: string, params: object): Promise<T> {
    try {
      return (await client.call(method, params)) as T
    } catch (error) {
      if (error instanceof WireError && error.code === LOG_CONFLICT) {
        const { runId, attemptedIndex, existing } = error.data
        throw new LogConflictError(String(runId), Number(attemptedIndex), existing as WorkflowEvent | undefined)
      }
      throw error
    }
  }

  async function tell(method: string, params: object): Promise<void> {
    await ask(method, params)
  }

  async function find<T>(method: string, runId: string): Promise<T | undefined> {
    return (await ask<T | null>(method, { runId })) ?? undefined
  }

  return {
    createRun: (args) => ask('createRun', { ...args, input: args.input ?? null }),
    loadRun: (runId) => find('loadRun', runId),
    loadExecution: (runId) => find('loadExecution', runId),
    getRunTimeline: (runId) => find('getRunTimeline', runId),
    loadRunState: (runId) => find('loadRunState', runId),
    saveRunState: ({ state }) => tell('saveRunState', { state: { ...state, input: state.input ?? null } }),
    deleteRun: (runId, reason) => tell('deleteRun', { runId, reason }),
    appendEvents: (args) => ask('appendEvents', args),
    readEvents: (args) => ask('readEvents', args),
    claimRun: (args) => ask('claimRun', args),
    heartbeatRunLease: (args) => tell('heartbeatRunLease', args),
    releaseRunLease: (args) => tell('releaseRunLease', args),
    claimStaleRuns: (args) => ask('claimStaleRuns', args),
    markRunPaused: (args) => tell('markRunPaused', args),
    markRunFinished: (args) => tell('markRunFinished', { ...args, output: args.output ?? null }),
    markRunErrored: (args) => tell('markRunErrored', args),
    scheduleTimer: (args) => tell('scheduleTimer', args),
    claimDueTimers: (args) => ask('claimDueTimers', args),
    deliverSignal: (args) =>
      ask('deliverSignal', { ...args, delivery: { ...args.delivery, payload: args.delivery.payload ?? null } }),
    deliverApproval: (args) => ask('deliverApproval', args),
    upsertSchedule: (args) => tell('upsertSchedule', args),
    claimDueScheduleBuckets: (args) => ask('claimDueScheduleBuckets', args),
    markScheduleBucketStarted: (args) => tell('markScheduleBucketStarted', args),
    listRuns: (args) => ask('listRuns', args),

    // Upstream's call is synchronous: a request that fails is an unhandled rejection, which Node does not pass over.
    subscribeEvents: (runId, fromIndex, onEvent) => {
      const subscription = `s${++subscriptions}`
      const deaf = client.listen(subscription, (event, index) => onEvent(event as WorkflowEvent, index))
      const subscribed = client.call('subscribe', { subscription, runId, fromIndex })
      return () => {
        deaf()
        void subscribed.then(() => client.call('unsubscribe', { subscription })).catch(() => {})
      }
    },
  }
}

// The operations of the wire protocol as calls of a TanStack WorkflowExecutionStore, and what comes back as answers.
//
// Nothing is checked, completed or repaired on the way: what a store does with its arguments is what is under test.
// Runs in Node and in workerd, so nothing of either is used here.

/** Upstream takes some ids as positional arguments; every other operation takes its arguments object as it is. */
const POSITIONAL = {
  __proto__: null,
  loadRun: ({ runId }) => [runId],
  loadExecution: ({ runId }) => [runId],
  getRunTimeline: ({ runId }) => [runId],
  loadRunState: ({ runId }) => [runId],
  deleteRun: ({ runId, reason }) => [runId, reason],
}

/** subscribeEvents is not among them: it travels as the control methods `subscribe` and `unsubscribe`. */
const OPERATIONS = new Set([
  ...Object.keys(POSITIONAL),
  ...['createRun', 'saveRunState', 'appendEvents', 'readEvents', 'claimRun', 'heartbeatRunLease', 'releaseRunLease'],
  ...['claimStaleRuns', 'markRunPaused', 'markRunFinished', 'markRunErrored', 'scheduleTimer', 'claimDueTimers'],
  ...['deliverSignal', 'deliverApproval', 'upsertSchedule', 'claimDueScheduleBuckets', 'markScheduleBucketStarted'],
  'listRuns',
])

/** The store's answer to one request, `{result}` or `{error}`. Never throws. */
export async function answered(store, method, params) {
  if (!OPERATIONS.has(method) || typeof store[method] !== 'function') return { error: noSuchOperation(method) }
  try {
    const args = POSITIONAL[method]?.(params) ?? [params]
    // undefined is "nothing"; inside of results JSON.stringify leaves it out
    return { result: (await store[method](...args)) ?? null }
  } catch (error) {
    return { error: errorOf(error) }
  }
}

/** Told by its name, as an error of another copy of workflow-core would be no instance of this one's class. */
export function errorOf(error) {
  if (error?.name === 'LogConflictError') {
    const { runId, attemptedIndex, existing } = error
    return { code: -32001, message: error.message, data: { name: 'LogConflict', runId, attemptedIndex, existing } }
  }
  return { code: -32603, message: messages(error), data: { name: String(error?.name ?? typeof error) } }
}

export function noSuchOperation(method) {
  return { code: -32601, message: `no operation ${JSON.stringify(method)}`, data: { name: 'NoSuchMethod' } }
}

/** What was thrown and why: Drizzle names the statement, and the driver's reason is the cause. */
function messages(error) {
  const found = []
  for (let at = error; at !== undefined && at !== null && found.length < 5; at = at.cause) {
    found.push(at.message === undefined ? String(at) : String(at.message))
  }
  return found.join(': ')
}

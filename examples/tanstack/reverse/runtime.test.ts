// The published runtime of TanStack Workflow on Storeproof's stores: every path a driver takes, on each adapter.
//
// STOREPROOF_PG_URL names a Postgres server; `make tanstack-reverse` starts one.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createWorkflow, LogConflictError, runWorkflow, type AnyWorkflowDefinition } from '@tanstack/workflow-core'
import {
  createRunStoreAdapter,
  defineWorkflowRuntime,
  every,
  materializeWorkflowSchedules,
  type WorkflowExecutionStore,
  type WorkflowScheduleDefinition,
} from '@tanstack/workflow-runtime'
import { dyingBefore, log, serve, tally, type Served } from './workers.js'

const url = process.env['STOREPROOF_PG_URL']
assert.ok(url, 'STOREPROOF_PG_URL names no Postgres server; `make tanstack-reverse` starts one')
const folder = mkdtempSync(join(tmpdir(), 'storeproof-reverse-'))
after(() => rmSync(folder, { recursive: true }))

const places: Record<string, ReadonlyArray<string>> = {
  memory: ['memory:'],
  sqlite: [`sqlite:${join(folder, 'store.sqlite')}`],
  postgres: [url, '--schema', 'storeproof_reverse'],
}

for (const [adapter, place] of Object.entries(places)) {
  // What is in memory is in one process only; the others are shared by two.
  const durable = adapter !== 'memory'

  describe(adapter, () => {
    let first: Served
    let second: Served
    before(async () => {
      first = await serve(place)
      second = durable ? await serve(place) : first
    })
    beforeEach(() => first.client.call('reset', {}))
    after(async () => {
      const served = new Set([first, second])
      for (const { client } of served) assert.equal(await client.shutdown(), 0)
    })

    /** What the workflows below did, in this test. */
    let done: Array<string>
    beforeEach(() => (done = []))

    function runtime(
      store: WorkflowExecutionStore,
      workflow: AnyWorkflowDefinition,
      more: { schedules?: Array<WorkflowScheduleDefinition>; previousVersions?: Record<string, AnyWorkflowDefinition> } = {},
    ) {
      const previous = Object.entries(more.previousVersions ?? {})
      return defineWorkflowRuntime({
        store,
        workflows: {
          [workflow.id]: {
            load: async () => workflow,
            schedules: more.schedules,
            previousVersions: Object.fromEntries(previous.map(([version, old]) => [version, async () => old])),
          },
        },
      })
    }

    /** Both workers' runtimes, on stores of their own where two processes can share one. */
    function runtimes(workflow: AnyWorkflowDefinition) {
      return [runtime(first.store, workflow), runtime(second.store, workflow)] as const
    }

    /** Two steps around a wait for the signal `go`. */
    const waiting = createWorkflow({ id: 'waiting' }).handler(async (ctx) => {
      const before = await ctx.step('before', () => done.push(`before ${ctx.runId}`) && 'ready')
      const payload = await ctx.waitForEvent<{ speed: number }>('go')
      await ctx.step('after', () => done.push(`after ${ctx.runId}`))
      return { before, payload }
    })

    const sleeping = createWorkflow({ id: 'sleeping' }).handler(async (ctx) => {
      await ctx.sleepUntil((ctx.input as { until: number }).until)
      await ctx.step('awake', () => done.push(ctx.runId))
      return 'slept'
    })

    const greeting = createWorkflow({ id: 'greeting' }).handler(async (ctx) => {
      await ctx.step('greet', () => done.push(ctx.runId))
      return { greeted: ctx.input }
    })

    test('says what it is', () => {
      assert.deepEqual(first.description.capabilities, durable ? ['durable', 'subscribe'] : ['subscribe'])
      assert.equal(first.description.specRevision, '1')
    })

    test('a run starts and finishes, and is not started twice', async () => {
      const workflow = createWorkflow({ id: 'order' }).handler(async (ctx) => {
        const at = await ctx.now()
        const id = await ctx.uuid()
        const total = await ctx.step('add', () => done.push('add') + 41)
        return { at, id, total, input: ctx.input }
      })
      const [here, there] = runtimes(workflow)
      const input = { items: ['a', 'ß', '🦊'], price: 12.5, none: null }
      const result = await here.startRun({ workflowId: 'order', runId: 'o1', input, now: 1000, leaseOwner: 'w1' })
      assert.equal(result.kind, 'completed')
      assert.equal(result.run?.status, 'finished')
      assert.equal(result.run?.lease, undefined)
      const output = result.run?.output as Record<string, unknown>
      assert.deepEqual([output['total'], output['input']], [42, input])

      const timeline = await second.store.getRunTimeline('o1')
      assert.deepEqual(timeline?.run, result.run)
      assert.deepEqual(
        timeline?.events.map((stored) => [stored.eventIndex, stored.eventType]),
        [
          [0, 'NOW_RECORDED'],
          [1, 'UUID_RECORDED'],
          [2, 'STEP_FINISHED'],
          [3, 'RUN_FINISHED'],
        ],
      )
      const again = await there.startRun({ workflowId: 'order', runId: 'o1', input, now: 2000, leaseOwner: 'w2' })
      assert.deepEqual([again.kind, again.run, done], ['not-claimable', result.run, ['add']])
      const summaries = await second.store.listRuns({ workflowId: 'order', status: 'finished', limit: 10 })
      assert.deepEqual(summaries.map((run) => run.runId), ['o1'])
    })

    test('a run without input starts nothing', async () => {
      const result = await runtime(first.store, greeting).startRun({ workflowId: 'greeting', runId: 'g', input: undefined })
      assert.deepEqual([result.kind, result.run?.input, done], ['running', null, []])
    })

    test('a step is tried again, and each attempt is kept', async () => {
      const workflow = createWorkflow({ id: 'flaky' }).handler((ctx) =>
        ctx.step(
          'call',
          ({ attempt }) => {
            done.push(`attempt ${attempt}`)
            if (attempt < 3) throw new TypeError(`no answer to attempt ${attempt}`)
            return 'at last'
          },
          { retry: { maxAttempts: 3, backoff: 'fixed', baseMs: 1 } },
        ),
      )
      const result = await runtime(first.store, workflow).startRun({ workflowId: 'flaky', runId: 'f', input: 1 })
      assert.deepEqual([result.kind, result.run?.output, done.length], ['completed', 'at last', 3])
      const [step] = await first.store.readEvents({ runId: 'f' })
      assert.ok(step?.event.type === 'STEP_FINISHED')
      assert.deepEqual(
        step.event.attempts?.map((attempt) => attempt.error?.message ?? attempt.result),
        ['no answer to attempt 1', 'no answer to attempt 2', 'at last'],
      )
    })

    test('a step that fails for good fails its run', async () => {
      const workflow = createWorkflow({ id: 'failing' }).handler((ctx) =>
        ctx.step('break', () => {
          throw new RangeError('out of range')
        }),
      )
      const result = await runtime(first.store, workflow).startRun({ workflowId: 'failing', runId: 'f', input: 1 })
      assert.deepEqual([result.kind, result.run?.status, result.run?.lease], ['errored', 'errored', undefined])
      const { name, message } = result.run?.error ?? {}
      assert.deepEqual([name, message], ['RangeError', 'out of range'])
      assert.deepEqual(await log(first.store, 'f'), ['STEP_FAILED', 'RUN_ERRORED'])
    })

    test('a run waits for a signal, and goes on once', async () => {
      const [here, there] = runtimes(waiting)
      const paused = await here.startRun({ workflowId: 'waiting', runId: 'r', input: 1, now: 1000 })
      assert.deepEqual([paused.kind, paused.run?.waitingFor?.signalName, paused.run?.lease], ['paused', 'go', undefined])
      const found = await second.store.listRuns({ status: 'paused', limit: 10 })
      assert.deepEqual(found.map((run) => [run.runId, run.waitingFor?.signalName]), [['r', 'go']])

      const other = await there.deliverSignal({ runId: 'r', signalId: 's0', name: 'stop', payload: 1, now: 1001 })
      const nobody = await there.deliverSignal({ runId: 'x', signalId: 's0', name: 'go', payload: 1, now: 1001 })
      assert.deepEqual([other.kind, nobody.kind], ['not-waiting', 'not-found'])

      const signal = { runId: 'r', signalId: 's1', name: 'go', payload: { speed: 3 } }
      const finished = await there.deliverSignal({ ...signal, now: 1002 })
      assert.deepEqual(finished.run?.output, { before: 'ready', payload: { speed: 3 } })
      const duplicate = await here.deliverSignal({ ...signal, payload: { speed: 4 }, now: 1003 })
      assert.deepEqual([duplicate.kind, duplicate.run], ['duplicate', finished.run])
      const late = await here.deliverSignal({ ...signal, signalId: 's2', now: 1004 })
      assert.equal(late.kind, 'not-waiting')
      assert.deepEqual(done, ['before r', 'after r'])
      const types = ['STEP_FINISHED', 'SIGNAL_AWAITED', 'SIGNAL_RESOLVED', 'STEP_FINISHED', 'RUN_FINISHED']
      assert.deepEqual(await log(second.store, 'r'), types)
    })

    test('an approval is asked for and given', async () => {
      const workflow = createWorkflow({ id: 'asking' }).handler(async (ctx) => {
        const answer = await ctx.approve({ title: 'Pay?', description: '100 €' })
        return answer.approved ? `paid: ${answer.feedback}` : 'refused'
      })
      const [here, there] = runtimes(workflow)
      for (const [runId, approved, output] of [['yes', true, 'paid: fine'], ['no', false, 'refused']] as const) {
        const paused = await here.startRun({ workflowId: 'asking', runId, input: 1, now: 1000 })
        const { approvalId, title, description } = paused.run?.pendingApproval ?? {}
        assert.deepEqual([paused.kind, title, description], ['paused', 'Pay?', '100 €'])
        assert.ok(approvalId)
        const wrong = await there.deliverApproval({ runId, approval: { approvalId: 'other', approved }, now: 1001 })
        assert.equal(wrong.kind, 'not-waiting')
        const approval = { approvalId, approved, feedback: 'fine' }
        const finished = await there.deliverApproval({ runId, approval, now: 1002 })
        assert.deepEqual([finished.kind, finished.run?.output], ['completed', output])
        const again = await here.deliverApproval({ runId, approval, now: 1003 })
        assert.deepEqual([again.kind, again.run], ['duplicate', finished.run])
        assert.deepEqual(await log(second.store, runId), ['APPROVAL_REQUESTED', 'APPROVAL_RESOLVED', 'RUN_FINISHED'])
      }
    })

    test('a sweep wakes who has slept long enough, the earliest first', async () => {
      const [here, there] = runtimes(sleeping)
      for (const [runId, until] of [['late', 30_000], ['early', 10_000], ['middle', 20_000]] as const) {
        const paused = await here.startRun({ workflowId: 'sleeping', runId, input: { until }, now: 1000 })
        assert.deepEqual([paused.kind, paused.run?.wakeAt], ['paused', until])
      }
      const nothing = await there.sweep({ now: 9_999, leaseOwner: 'w2' })
      assert.deepEqual([nothing.timers, nothing.remainingMayExist], [[], false])
      const one = await there.sweep({ now: 10_000, leaseOwner: 'w2' })
      assert.deepEqual(one.timers.map((run) => [run.runId, run.kind]), [['early', 'completed']])
      const two = await here.sweep({ now: 40_000, maxTimers: 1, leaseOwner: 'w1' })
      assert.deepEqual([two.summary.timers, two.remainingMayExist], [{ completed: 1 }, true])
      const three = await there.sweep({ now: 40_000, leaseOwner: 'w2' })
      assert.deepEqual(three.timers.map((run) => run.runId), ['late'])
      assert.deepEqual((await here.sweep({ now: 50_000, leaseOwner: 'w1' })).timers, [])
      assert.deepEqual(done, ['early', 'middle', 'late'])
    })

    test('a schedule starts one run in each of its intervals', async () => {
      const schedules: Array<WorkflowScheduleDefinition> = [
        { id: 'often', schedule: every.minutes(15), input: { batch: 100 } },
        { id: 'never', schedule: every.minutes(1), enabled: false },
      ]
      const here = runtime(first.store, greeting, { schedules })
      const there = runtime(second.store, greeting, { schedules })
      const interval = 15 * 60_000
      const ids: Array<string> = []
      for (const [worker, now, starts] of [
        [here, 7 * interval, 1],
        [there, 7 * interval + 1, 0],
        [there, 8 * interval + 5, 1],
      ] as const) {
        const materialized = await materializeWorkflowSchedules(worker, { now })
        assert.deepEqual(materialized.map((found) => found.kind), ['materialized', 'disabled'])
        const sweep = await worker.sweep({ now, leaseOwner: 'sweeper' })
        assert.deepEqual(sweep.summary.scheduled, starts ? { completed: 1 } : {})
        ids.push(...sweep.scheduled.map((run) => run.runId))
      }
      assert.deepEqual(ids, [`greeting:often:${7 * interval}`, `greeting:often:${8 * interval}`])
      assert.deepEqual(done, ids)
      const run = await second.store.loadRun(ids[1]!)
      assert.deepEqual(run?.output, { greeted: { batch: 100 } })
    })

    test('a run goes on in the version it was started with', async () => {
      const version = (name: string) =>
        createWorkflow({ id: 'changing', version: name }).handler(async (ctx) => {
          await ctx.waitForEvent('go')
          return name
        })
      const old = runtime(first.store, version('v1'))
      await old.startRun({ workflowId: 'changing', runId: 'r1', input: 1, now: 1000 })
      const current = runtime(second.store, version('v2'), { previousVersions: { v1: version('v1') } })
      await current.startRun({ workflowId: 'changing', runId: 'r2', input: 1, now: 1000 })
      for (const [runId, expected] of [['r1', 'v1'], ['r2', 'v2']] as const) {
        const result = await current.deliverSignal({ runId, signalId: 's', name: 'go', payload: null, now: 1001 })
        assert.deepEqual([result.run?.workflowVersion, result.run?.output], [expected, expected])
      }
    })

    test('who dies before the first step is replaced when the lease has ended', async () => {
      const start = { workflowId: 'greeting', runId: 'r', input: 'you', leaseMs: 100 }
      const dying = runtime(dyingBefore(first.store, 'saveRunState'), greeting)
      await assert.rejects(dying.startRun({ ...start, leaseOwner: 'w1', now: 1000 }), /this worker is dead/)

      const rescuer = runtime(second.store, greeting)
      const early = await rescuer.startRun({ ...start, leaseOwner: 'w2', now: 1099 })
      assert.deepEqual([early.kind, early.run?.lease], ['not-claimable', { owner: 'w1', expiresAt: 1100 }])
      const claim = { limit: 5, leaseOwner: 'w2', leaseMs: 100 }
      assert.deepEqual(await second.store.claimStaleRuns({ ...claim, now: 1099 }), [])
      const stale = await second.store.claimStaleRuns({ ...claim, now: 1100 })
      assert.deepEqual(stale.map(({ run, lease }) => [run.runId, run.input, lease]), [
        ['r', 'you', { owner: 'w2', expiresAt: 1200 }],
      ])
      const other = await first.store.claimStaleRuns({ ...claim, leaseOwner: 'w3', now: 1100 })
      assert.deepEqual(other, [])

      const rescued = await rescuer.startRun({ ...start, leaseOwner: 'w2', now: 1101 })
      assert.deepEqual([rescued.kind, rescued.run?.output, done], ['completed', { greeted: 'you' }, ['r']])
      assert.deepEqual(await first.store.claimStaleRuns({ ...claim, now: 9999 }), [])
    })

    test('who dies with a signal in hand is replaced by whoever still has it', async () => {
      const start = { workflowId: 'waiting', runId: 'r', input: 1, now: 1000 }
      await runtime(first.store, waiting).startRun(start)
      const delivery = { signalId: 's1', name: 'go', payload: { speed: 3 } }
      const dying = runtime(dyingBefore(first.store, 'appendEvents'), waiting)
      const doomed = dying.deliverSignal({ runId: 'r', ...delivery, leaseOwner: 'w1', leaseMs: 100, now: 1001 })
      await assert.rejects(doomed, /this worker is dead/)

      // The runtime's own method can't: the store has seen the signal, and nobody has stored its payload.
      const rescuer = runtime(second.store, waiting)
      const again = await rescuer.deliverSignal({ runId: 'r', ...delivery, leaseOwner: 'w2', now: 1050 })
      assert.deepEqual([again.kind, again.run?.status], ['duplicate', 'running'])

      const [stale] = await second.store.claimStaleRuns({ now: 1101, limit: 5, leaseOwner: 'w2', leaseMs: 100 })
      assert.equal(stale?.run.runId, 'r')
      const runStore = createRunStoreAdapter(second.store)
      for await (const _ of runWorkflow({ workflow: waiting, runStore, runId: 'r', signalDelivery: delivery }));
      await second.store.releaseRunLease({ runId: 'r', leaseOwner: 'w2' })
      const run = await first.store.loadRun('r')
      assert.deepEqual([run?.status, run?.output], ['finished', { before: 'ready', payload: { speed: 3 } }])
      assert.deepEqual(done, ['before r', 'after r'])
    })

    test('who dies between two steps leaves a log that a successor can go on from', async () => {
      const workflow = createWorkflow({ id: 'two' }).handler(async (ctx) => {
        await ctx.step('one', () => done.push('one'))
        await ctx.step('two', () => done.push('two'))
      })
      const start = { workflowId: 'two', runId: 'r', input: 1, leaseMs: 100 }
      const dying = runtime(dyingBefore(first.store, 'appendEvents', 2), workflow)
      await assert.rejects(dying.startRun({ ...start, leaseOwner: 'w1', now: 1000 }), /this worker is dead/)
      const [stale] = await second.store.claimStaleRuns({ now: 1100, limit: 5, leaseOwner: 'w2', leaseMs: 100 })
      assert.equal(stale?.run.runId, 'r')
      assert.deepEqual(await log(second.store, 'r'), ['STEP_FINISHED'])
      await assert.rejects(
        first.store.appendEvents({ runId: 'r', expectedNextIndex: 0, events: [{ type: 'CUSTOM', ts: 1, name: 'x', value: {} }] }),
        (error) => error instanceof LogConflictError && error.existing?.type === 'STEP_FINISHED',
      )
      // This version of the runtime only looks at a run that has a state; later ones go on from the log.
      const attached = await runtime(second.store, workflow).startRun({ ...start, leaseOwner: 'w2', now: 1101 })
      assert.deepEqual([attached.kind, done], ['running', ['one', 'two']])
    })

    test('of two workers that start the same run one does it', async () => {
      const workers = runtimes(greeting)
      const ids = Array.from({ length: 20 }, (_, index) => `r${index}`)
      const results = await Promise.all(
        ids.flatMap((runId) =>
          workers.map((worker, index) =>
            worker.startRun({ workflowId: 'greeting', runId, input: runId, now: 1000, leaseOwner: `w${index}` }),
          ),
        ),
      )
      assert.deepEqual(tally(results.map((result) => result.kind)), { completed: 20, 'not-claimable': 20 })
      assert.deepEqual([...done].sort(), [...ids].sort())
      for (const runId of ids) assert.deepEqual(await log(first.store, runId), ['STEP_FINISHED', 'RUN_FINISHED'])
    })

    test('of several deliveries of one signal, or of two, one counts', async () => {
      const [here, there] = runtimes(waiting)
      for (const runId of ['same', 'different']) {
        await here.startRun({ workflowId: 'waiting', runId, input: 1, now: 1000 })
        const results = await Promise.all(
          [here, there, here, there].map((worker, index) =>
            worker.deliverSignal({
              runId,
              signalId: runId === 'same' ? 's' : `s${index}`,
              name: 'go',
              payload: { speed: index },
              now: 1001,
              leaseOwner: `w${index}`,
            }),
          ),
        )
        const loser = runId === 'same' ? 'duplicate' : 'not-waiting'
        assert.deepEqual(tally(results.map((result) => result.kind)), { completed: 1, [loser]: 3 })
        const winner = results.findIndex((result) => result.kind === 'completed')
        const run = await second.store.loadRun(runId)
        assert.deepEqual(run?.output, { before: 'ready', payload: { speed: winner } })
      }
      assert.deepEqual(done, ['before same', 'after same', 'before different', 'after different'])
    })

    test('two sweeps at once wake nobody twice and start no bucket twice', async () => {
      const ids = Array.from({ length: 12 }, (_, index) => `r${index}`)
      const schedules: Array<WorkflowScheduleDefinition> = ids.map((id) => ({ id, schedule: every.seconds(10), input: id }))
      const workers = [first, second].map(({ store }) =>
        defineWorkflowRuntime({
          store,
          workflows: { sleeping: { load: async () => sleeping }, greeting: { load: async () => greeting, schedules } },
        }),
      )
      const start = { workflowId: 'sleeping', input: { until: 5000 }, now: 1000 }
      await Promise.all(ids.map((runId) => workers[0]!.startRun({ ...start, runId })))
      await materializeWorkflowSchedules(workers[0]!, { now: 20_000 })
      const sweeps = await Promise.all(
        workers.map((worker, index) => worker.sweep({ now: 20_000, limit: 25, leaseOwner: `w${index}` })),
      )
      const kinds = (part: 'timers' | 'scheduled') => tally(sweeps.flatMap((sweep) => sweep[part].map((run) => run.kind)))
      assert.deepEqual([kinds('timers'), kinds('scheduled')], [{ completed: 12 }, { completed: 12 }])
      const buckets = ids.map((id) => `greeting:${id}:20000`)
      assert.deepEqual([...done].sort(), [...ids, ...buckets].sort())
    })

    test('who watches a run is given its events in order', async () => {
      const run = runtime(first.store, waiting)
      const given: Array<[string, number]> = []
      await run.startRun({ workflowId: 'waiting', runId: 'r', input: 1, now: 1000 })
      const ended = new Promise<void>((resolve) => {
        const unsubscribe = second.store.subscribeEvents!('r', 0, (event, index) => {
          given.push([event.type, index])
          if (event.type !== 'RUN_FINISHED') return
          unsubscribe()
          resolve()
        })
      })
      await run.deliverSignal({ runId: 'r', signalId: 's', name: 'go', payload: { speed: 1 }, now: 1001 })
      await ended
      assert.deepEqual(given, (await log(first.store, 'r')).map((type, index) => [type, index]))
    })

    if (durable) {
      test('a run outlives the process of its store', async () => {
        const doomed = await serve(place)
        const paused = await runtime(doomed.store, waiting).startRun({ workflowId: 'waiting', runId: 'r', input: 1, now: 1000 })
        await doomed.client.kill()
        await assert.rejects(doomed.store.loadRun('r'), /the store has left/)
        const successor = await serve(place)
        assert.deepEqual(await successor.store.loadRun('r'), paused.run)
        const signal = { runId: 'r', signalId: 's', name: 'go', payload: { speed: 1 }, now: 1001 }
        const result = await runtime(successor.store, waiting).deliverSignal(signal)
        assert.deepEqual([result.kind, done], ['completed', ['before r', 'after r']])
        assert.equal(await successor.client.shutdown(), 0)
      })
    }
  })
}

"""A store in this process's memory, for tests, demos and as a second reading of the contract. It is not durable.

Written by hand from the contract's text; it must not know the model, which says the same as data. Every operation has
the same three parts: check the arguments (own copies of them), change plain rows, answer with models (own copies
again). None of them awaits anything, so each takes effect at one moment (ruling 1). Each may raise InvalidArgument.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from pydantic import MISSING, JsonValue
from storeproof.adapters import memory_rows as rows
from storeproof.adapters.memory_tables import Tables
from storeproof.spec import arguments as a
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.errors import LogConflict
from storeproof.spec.store import EventCallback, Unsubscribe, Wire


class MemoryStore(Tables):
    """Satisfies `storeproof.spec.store.SubscribableStore`. Not for several threads at once."""

    subscribe_delay_ms = 0

    async def create_run(
        self, *, run_id: str, workflow_id: str, workflow_version: str | MISSING = MISSING, input: JsonValue, now: int
    ) -> t.CreateRunResult:
        given = checked(
            a.CreateRunArguments,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            input=input,
            now=now,
        )
        if given.run_id in self._runs:
            return t.CreateRunResult.model_validate({"kind": "existing", "run": self._runs[given.run_id]})
        run = rows.without(given.to_wire(), "now")
        run |= {"status": "queued", "createdAt": given.now, "updatedAt": given.now}
        self._runs[given.run_id] = run
        return t.CreateRunResult.model_validate({"kind": "created", "run": run})

    async def load_run(self, *, run_id: str) -> t.Run | None:
        run = self._runs.get(checked(a.RunIdArguments, run_id=run_id).run_id)
        return None if run is None else t.Run.model_validate(run)

    async def load_execution(self, *, run_id: str) -> t.LoadedExecution | None:
        run = self._runs.get(checked(a.RunIdArguments, run_id=run_id).run_id)
        if run is None:
            return None
        return t.LoadedExecution.model_validate({"run": run, "events": self._logs.get(run_id, [])})

    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        return await self.load_execution(run_id=run_id)

    async def load_run_state(self, *, run_id: str) -> t.RunState | None:
        state = self._states.get(checked(a.RunIdArguments, run_id=run_id).run_id)
        return None if state is None else t.RunState.model_validate(state)

    async def save_run_state(self, *, state: t.RunState | Wire) -> None:
        given = checked(a.SaveRunStateArguments, state=state).state
        self._states[given.run_id] = given.to_wire()
        self._runs[given.run_id] = rows.run_of_state(given.to_wire(), self._runs.get(given.run_id))

    async def delete_run(self, *, run_id: str, reason: t.DeleteReason) -> None:
        checked(a.DeleteRunArguments, run_id=run_id, reason=reason)
        self._runs.pop(run_id, None)
        self._states.pop(run_id, None)
        self._logs.pop(run_id, None)
        self._timers = {key: timer for key, timer in self._timers.items() if key[0] != run_id}
        self._delivered = {key for key in self._delivered if key[0] != run_id}

    # The log

    async def append_events(
        self, *, run_id: str, expected_next_index: int, events: Sequence[dict[str, JsonValue]]
    ) -> t.AppendEventsResult:
        given = checked(a.AppendEventsArguments, run_id=run_id, expected_next_index=expected_next_index, events=events)
        log = self._logs.get(given.run_id, [])
        at = given.expected_next_index
        if len(log) != at:
            raise LogConflict(given.run_id, at, deepcopy(log[at]["event"]) if at < len(log) else None)
        if given.events:
            log = log + [rows.stored_event(given.run_id, at + i, event) for i, event in enumerate(given.events)]
            self._logs[given.run_id] = log
            self._subscribers.publish(given.run_id, log)
        return t.AppendEventsResult(next_index=len(log))

    async def read_events(self, *, run_id: str, from_index: int | MISSING = MISSING) -> list[t.StoredEvent]:
        given = checked(a.ReadEventsArguments, run_id=run_id, from_index=from_index)
        start = 0 if given.from_index is MISSING else given.from_index
        return [t.StoredEvent.model_validate(event) for event in self._logs.get(given.run_id, [])[start:]]

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        given = checked(a.SubscribeEventsArguments, run_id=run_id, from_index=from_index)
        subscriber = self._subscribers.add(given.run_id, given.from_index, callback)
        subscriber.catch_up(self._logs.get(given.run_id, []))

        async def unsubscribe() -> None:
            self._subscribers.remove(subscriber)

        return unsubscribe

    # Leases

    async def claim_run(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> t.ClaimRunResult:
        given = checked(a.ClaimRunArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now)
        run = self._runs.get(given.run_id)
        if run is None:
            return t.NotFound(kind="not-found")
        if run["status"] in rows.TERMINAL or not self._lease_is_free(run, given.lease_owner, given.now):
            return t.ClaimAnswer.model_validate({"kind": "not-claimable", "run": run})
        run["status"] = "running"
        run["lease"] = rows.lease(given.lease_owner, given.expires_at)
        run["updatedAt"] = given.now
        return t.ClaimAnswer.model_validate({"kind": "claimed", "run": run})

    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None:
        given = checked(
            a.HeartbeatRunLeaseArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now
        )
        run = self._runs.get(given.run_id)
        if run is not None and self._holds_lease(run, given.lease_owner):
            run["lease"] = rows.lease(given.lease_owner, given.expires_at)
            run["updatedAt"] = given.now

    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        given = checked(a.ReleaseRunLeaseArguments, run_id=run_id, lease_owner=lease_owner)
        run = self._runs.get(given.run_id)
        if run is not None and self._holds_lease(run, given.lease_owner):
            del run["lease"]

    async def claim_stale_runs(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[t.RunClaim]:
        given = checked(a.ClaimDueArguments, now=now, limit=limit, lease_owner=lease_owner, lease_ms=lease_ms)
        claims: list[t.RunClaim] = []
        for run in self._stale_runs(given.now)[: given.limit]:
            run["lease"] = rows.lease(given.lease_owner, given.expires_at)
            run["updatedAt"] = given.now
            claims.append(t.RunClaim.model_validate({"run": run, "lease": run["lease"]}))
        return claims

    async def mark_run_paused(
        self,
        *,
        run_id: str,
        awaiting: Sequence[t.Awaitable | Wire] | MISSING = MISSING,
        waiting_for: t.SignalWait | Wire | MISSING = MISSING,
        pending_approval: t.ApprovalWait | Wire | MISSING = MISSING,
        wake_at: int | MISSING = MISSING,
        now: int,
    ) -> None:
        given = checked(
            a.MarkRunPausedArguments,
            run_id=run_id,
            awaiting=awaiting,
            waiting_for=waiting_for,
            pending_approval=pending_approval,
            wake_at=wake_at,
            now=now,
        )
        self._leave(given.run_id, given.now, "paused", rows.without(given.to_wire(), "runId", "now"))

    async def mark_run_finished(self, *, run_id: str, output: JsonValue, now: int) -> None:
        given = checked(a.MarkRunFinishedArguments, run_id=run_id, output=output, now=now)
        self._leave(given.run_id, given.now, "finished", {"output": given.output})

    async def mark_run_errored(self, *, run_id: str, error: t.SerializedError | Wire, code: str, now: int) -> None:
        given = checked(a.MarkRunErroredArguments, run_id=run_id, error=error, code=code, now=now)
        self._leave(given.run_id, given.now, "errored", {"error": given.error.to_wire()})

    # Timers and deliveries

    async def schedule_timer(
        self,
        *,
        run_id: str,
        workflow_id: str,
        workflow_version: str | MISSING = MISSING,
        wake_at: int,
        signal_id: str,
        now: int,
    ) -> None:
        given = checked(
            a.ScheduleTimerArguments,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            wake_at=wake_at,
            signal_id=signal_id,
            now=now,
        )
        self._timers[given.run_id, given.signal_id] = rows.without(given.to_wire(), "now")
        run = self._runs.get(given.run_id)
        if run is not None:
            run["wakeAt"] = given.wake_at
            run["updatedAt"] = given.now

    async def claim_due_timers(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[t.TimerWakeup]:
        given = checked(a.ClaimDueArguments, now=now, limit=limit, lease_owner=lease_owner, lease_ms=lease_ms)
        due = self._due_timers(given.lease_owner, given.now)[: given.limit]
        for timer in due:
            timer["lease"] = rows.lease(given.lease_owner, given.expires_at)
        return [t.TimerWakeup.model_validate(rows.without(timer, "lease")) for timer in due]

    async def deliver_signal(self, *, run_id: str, delivery: t.SignalDelivery | Wire, now: int) -> t.DeliverResult:
        given = checked(a.DeliverSignalArguments, run_id=run_id, delivery=delivery, now=now)
        run = self._runs.get(given.run_id)
        if run is None:
            return t.NotFound(kind="not-found")
        waiting = self._waits_for_signal(run, given.delivery.to_wire())
        kind = self._delivery_kind((given.run_id, "signal", given.delivery.signal_id), waiting=waiting)
        if kind == "delivered":
            self._timers.pop((given.run_id, given.delivery.signal_id), None)
            self._queue_again(run, given.now)
        return t.DeliveryAnswer.model_validate({"kind": kind, "run": run})

    async def deliver_approval(self, *, run_id: str, approval: t.Approval | Wire, now: int) -> t.DeliverResult:
        given = checked(a.DeliverApprovalArguments, run_id=run_id, approval=approval, now=now)
        run = self._runs.get(given.run_id)
        if run is None:
            return t.NotFound(kind="not-found")
        waiting = self._waits_for_approval(run, given.approval.approval_id)
        kind = self._delivery_kind((given.run_id, "approval", given.approval.approval_id), waiting=waiting)
        if kind == "delivered":
            self._queue_again(run, given.now)
        return t.DeliveryAnswer.model_validate({"kind": kind, "run": run})

    # Schedules

    async def upsert_schedule(
        self,
        *,
        schedule_id: str,
        workflow_id: str,
        workflow_version: str | MISSING = MISSING,
        schedule: t.CronSchedule | t.IntervalSchedule | Wire,
        overlap_policy: t.OverlapPolicy,
        input: JsonValue | MISSING = MISSING,
        next_fire_at: int | MISSING = MISSING,
        enabled: bool,
        now: int,
    ) -> None:
        given = checked(
            a.UpsertScheduleArguments,
            schedule_id=schedule_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            schedule=schedule,
            overlap_policy=overlap_policy,
            input=input,
            next_fire_at=next_fire_at,
            enabled=enabled,
            now=now,
        )
        self._schedules[given.schedule_id] = rows.without(given.to_wire(), "now")

    async def claim_due_schedule_buckets(
        self, *, now: int, limit: int, lease_owner: str, lease_ms: int
    ) -> list[t.ScheduleBucket]:
        given = checked(a.ClaimDueArguments, now=now, limit=limit, lease_owner=lease_owner, lease_ms=lease_ms)
        claimed: list[t.ScheduleBucket] = []
        for schedule in self._due_schedules(given.now):
            if len(claimed) == given.limit:
                break
            # Fixed at the first claim: a stored bucket wins over what the schedule says by now (ruling 8).
            fresh = rows.bucket_of_schedule(schedule)
            bucket = self._buckets.get((fresh["scheduleId"], fresh["bucketId"]), fresh)
            if bucket.get("started") or not self._lease_is_free(bucket, given.lease_owner, given.now):
                continue
            bucket["lease"] = rows.lease(given.lease_owner, given.expires_at)
            self._buckets[bucket["scheduleId"], bucket["bucketId"]] = bucket
            claimed.append(t.ScheduleBucket.model_validate(rows.without(bucket, "lease")))
        return claimed

    async def mark_schedule_bucket_started(self, *, schedule_id: str, bucket_id: str, run_id: str, now: int) -> None:
        given = checked(
            a.MarkScheduleBucketStartedArguments, schedule_id=schedule_id, bucket_id=bucket_id, run_id=run_id, now=now
        )
        bucket = self._buckets.get((given.schedule_id, given.bucket_id))
        if bucket is not None:
            bucket["started"] = True
            bucket["runId"] = given.run_id

    async def list_runs(
        self,
        *,
        workflow_id: str | MISSING = MISSING,
        status: t.Status | MISSING = MISSING,
        limit: int,
        cursor: str | MISSING = MISSING,
    ) -> list[t.RunSummary]:
        given = checked(a.ListRunsArguments, workflow_id=workflow_id, status=status, limit=limit, cursor=cursor)
        runs = self._runs_by_update(rows.without(given.to_wire(), "limit", "cursor"))
        start = 0 if given.cursor is MISSING else int(given.cursor)
        return [t.RunSummary.model_validate(rows.summary(run)) for run in runs[start : start + given.limit]]

"""The store on a D1-shaped database: checks the arguments and hands them to the operations. Holds no SQL, no driver.

    async with LocalD1("workflows.db") as database, D1Store(database) as store:
        await store.ensure_schema()

What each operation does is said in the contract; each is exactly one batch, so it happens at one moment or not at all
(ruling 1). Every method raises InvalidArgument (nothing changed) and StoreUnavailable (ruling 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from pydantic import MISSING, JsonValue
from storeproof.adapters.d1 import migrations
from storeproof.adapters.d1.binding import D1Binding
from storeproof.adapters.d1.leases import Leases
from storeproof.adapters.d1.log import Log
from storeproof.adapters.d1.runs import Runs
from storeproof.adapters.d1.schedules import Schedules
from storeproof.adapters.d1.wakeups import Deliveries, Timers
from storeproof.adapters.names import TableNames
from storeproof.adapters.subscriptions import PollingSubscriptions
from storeproof.spec import arguments as shapes
from storeproof.spec.arguments import checked
from storeproof.spec.store import EventCallback, Unsubscribe, Wire
from storeproof.spec.types import (
    AppendEventsResult,
    Approval,
    ApprovalWait,
    Awaitable,
    ClaimRunResult,
    CreateRunResult,
    CronSchedule,
    DeleteReason,
    DeliverResult,
    IntervalSchedule,
    LoadedExecution,
    OverlapPolicy,
    Run,
    RunClaim,
    RunState,
    RunSummary,
    RunTimeline,
    ScheduleBucket,
    SerializedError,
    SignalDelivery,
    SignalWait,
    Status,
    StoredEvent,
    TimerWakeup,
)

_DELAY_MARGIN_MS = 1000
"""What a subscriber's read may take beyond the polling interval, in milliseconds."""


class D1Store:
    """Satisfies `SubscribableStore`. As a context manager it ends its subscriptions; the database is the caller's."""

    def __init__(self, database: D1Binding, *, tables: TableNames | None = None, poll_ms: int = 100) -> None:
        """`poll_ms`: how often a subscription looks for events other programs appended, in milliseconds.

        Raises ValueError for table names SQLite cannot have.
        """
        self._database = database
        self._tables = tables or TableNames()
        self._runs = Runs(database, self._tables)
        self._leases = Leases(database, self._tables)
        self._log = Log(database, self._tables)
        self._timers = Timers(database, self._tables)
        self._deliveries = Deliveries(database, self._tables)
        self._schedules = Schedules(database, self._tables)
        self._subscriptions = PollingSubscriptions(self._log.read_some, poll_ms=poll_ms)
        self.subscribe_delay_ms = poll_ms + _DELAY_MARGIN_MS

    async def __aenter__(self) -> D1Store:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the subscriptions. The database stays open."""
        await self._subscriptions.close()

    async def ensure_schema(self) -> None:
        """Applies the migrations that are missing; for set-up and tests, not for every request."""
        await migrations.apply(self._database, tables=self._tables)

    async def create_run(
        self, *, run_id: str, workflow_id: str, workflow_version: str | MISSING = MISSING, input: JsonValue, now: int
    ) -> CreateRunResult:
        args = checked(
            shapes.CreateRunArguments,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            input=input,
            now=now,
        )
        return await self._runs.create(args)

    async def load_run(self, *, run_id: str) -> Run | None:
        return await self._runs.load(checked(shapes.RunIdArguments, run_id=run_id))

    async def load_execution(self, *, run_id: str) -> LoadedExecution | None:
        return await self._log.load_execution(checked(shapes.RunIdArguments, run_id=run_id))

    async def get_run_timeline(self, *, run_id: str) -> RunTimeline | None:
        return await self._log.load_execution(checked(shapes.RunIdArguments, run_id=run_id))

    async def load_run_state(self, *, run_id: str) -> RunState | None:
        return await self._runs.load_state(checked(shapes.RunIdArguments, run_id=run_id))

    async def save_run_state(self, *, state: RunState | Wire) -> None:
        await self._runs.save_state(checked(shapes.SaveRunStateArguments, state=state))

    async def delete_run(self, *, run_id: str, reason: DeleteReason) -> None:
        await self._runs.delete(checked(shapes.DeleteRunArguments, run_id=run_id, reason=reason))

    async def append_events(
        self, *, run_id: str, expected_next_index: int, events: Sequence[dict[str, JsonValue]]
    ) -> AppendEventsResult:
        """Raises LogConflict."""
        args = checked(
            shapes.AppendEventsArguments, run_id=run_id, expected_next_index=expected_next_index, events=events
        )
        result = await self._log.append(args)
        self._subscriptions.wake(args.run_id)
        return result

    async def read_events(self, *, run_id: str, from_index: int | MISSING = MISSING) -> list[StoredEvent]:
        return await self._log.read(checked(shapes.ReadEventsArguments, run_id=run_id, from_index=from_index))

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, run_id=run_id, from_index=from_index)
        return await self._subscriptions.subscribe(args.run_id, args.from_index, callback)

    async def claim_run(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now)
        return await self._leases.claim(args)

    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None:
        args = checked(
            shapes.HeartbeatRunLeaseArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now
        )
        await self._leases.heartbeat(args)

    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        await self._leases.release(checked(shapes.ReleaseRunLeaseArguments, run_id=run_id, lease_owner=lease_owner))

    async def claim_stale_runs(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[RunClaim]:
        return await self._leases.claim_stale(_due(now, limit, lease_owner, lease_ms))

    async def mark_run_paused(
        self,
        *,
        run_id: str,
        awaiting: Sequence[Awaitable | Wire] | MISSING = MISSING,
        waiting_for: SignalWait | Wire | MISSING = MISSING,
        pending_approval: ApprovalWait | Wire | MISSING = MISSING,
        wake_at: int | MISSING = MISSING,
        now: int,
    ) -> None:
        args = checked(
            shapes.MarkRunPausedArguments,
            run_id=run_id,
            awaiting=awaiting,
            waiting_for=waiting_for,
            pending_approval=pending_approval,
            wake_at=wake_at,
            now=now,
        )
        await self._runs.pause(args)

    async def mark_run_finished(self, *, run_id: str, output: JsonValue, now: int) -> None:
        await self._runs.finish(checked(shapes.MarkRunFinishedArguments, run_id=run_id, output=output, now=now))

    async def mark_run_errored(self, *, run_id: str, error: SerializedError | Wire, code: str, now: int) -> None:
        args = checked(shapes.MarkRunErroredArguments, run_id=run_id, error=error, code=code, now=now)
        await self._runs.fail(args)

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
        args = checked(
            shapes.ScheduleTimerArguments,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            wake_at=wake_at,
            signal_id=signal_id,
            now=now,
        )
        await self._timers.schedule(args)

    async def claim_due_timers(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[TimerWakeup]:
        return await self._timers.claim_due(_due(now, limit, lease_owner, lease_ms))

    async def deliver_signal(self, *, run_id: str, delivery: SignalDelivery | Wire, now: int) -> DeliverResult:
        args = checked(shapes.DeliverSignalArguments, run_id=run_id, delivery=delivery, now=now)
        return await self._deliveries.signal(args)

    async def deliver_approval(self, *, run_id: str, approval: Approval | Wire, now: int) -> DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, run_id=run_id, approval=approval, now=now)
        return await self._deliveries.approval(args)

    async def upsert_schedule(
        self,
        *,
        schedule_id: str,
        workflow_id: str,
        workflow_version: str | MISSING = MISSING,
        schedule: CronSchedule | IntervalSchedule | Wire,
        overlap_policy: OverlapPolicy,
        input: JsonValue | MISSING = MISSING,
        next_fire_at: int | MISSING = MISSING,
        enabled: bool,
        now: int,
    ) -> None:
        args = checked(
            shapes.UpsertScheduleArguments,
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
        await self._schedules.upsert(args)

    async def claim_due_schedule_buckets(
        self, *, now: int, limit: int, lease_owner: str, lease_ms: int
    ) -> list[ScheduleBucket]:
        return await self._schedules.claim_due(_due(now, limit, lease_owner, lease_ms))

    async def mark_schedule_bucket_started(self, *, schedule_id: str, bucket_id: str, run_id: str, now: int) -> None:
        args = checked(
            shapes.MarkScheduleBucketStartedArguments,
            schedule_id=schedule_id,
            bucket_id=bucket_id,
            run_id=run_id,
            now=now,
        )
        await self._schedules.mark_started(args)

    async def list_runs(
        self,
        *,
        workflow_id: str | MISSING = MISSING,
        status: Status | MISSING = MISSING,
        limit: int,
        cursor: str | MISSING = MISSING,
    ) -> list[RunSummary]:
        args = checked(shapes.ListRunsArguments, workflow_id=workflow_id, status=status, limit=limit, cursor=cursor)
        return await self._runs.list(args)


def _due(now: int, limit: int, lease_owner: str, lease_ms: int) -> shapes.ClaimDueArguments:
    return checked(shapes.ClaimDueArguments, now=now, limit=limit, lease_owner=lease_owner, lease_ms=lease_ms)

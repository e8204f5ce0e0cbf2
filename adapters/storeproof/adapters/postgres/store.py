"""PostgresStore: the Store protocol on Postgres. Checks arguments and hands them on; knows no SQL.

What each operation does is said in the specification, what its statement does under concurrency beside the statement,
and how failures are met in `failures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType

from pydantic import MISSING, JsonValue
from sqlalchemy.ext.asyncio import AsyncEngine
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import migrations
from storeproof.adapters.postgres.connections import connections
from storeproof.adapters.postgres.identifiers import qualified_tables
from storeproof.adapters.postgres.queues import Log, Wakeups
from storeproof.adapters.postgres.runs import Runs
from storeproof.adapters.subscriptions import PollingSubscriptions
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t
from storeproof.spec.arguments import checked
from storeproof.spec.store import EventCallback, Unsubscribe, Wire

_DELAY_MARGIN_MS = 1000
"""What a read may take beyond the polling interval, in milliseconds."""


class PostgresStore:
    """A durable-workflow store in Postgres; open between `async with` and its end, on one event loop.

    Any operation may raise InvalidArgument (nothing changed) or StoreUnavailable (nothing half done).
    """

    def __init__(
        self,
        database: str | AsyncEngine,
        *,
        schema: str | None = None,
        tables: TableNames | None = None,
        pool_size: int = 10,
        poll_ms: int = 250,
    ) -> None:
        """`database` is a postgresql:// URL, for an own psycopg pool of at most `pool_size` connections, or an
        application's AsyncEngine for postgresql+psycopg://, which stays the application's.

        Without `schema` the connection's search path decides. `poll_ms`: milliseconds between two reads of a
        subscription to an idle log. Raises ValueError for names Postgres can't keep and for another driver.
        """
        self._schema, self._tables = schema, tables or TableNames()
        names = qualified_tables(schema, self._tables)
        # Doubled, since the driver reads `%` in a statement as the start of a parameter.
        escaped = TableNames(**{field: name.replace("%", "%%") for field, name in asdict(names).items()})
        self._connections = connections(database, pool_size=pool_size)
        self._runs = Runs(self._connections, escaped)
        self._log = Log(self._connections, escaped)
        self._wakeups = Wakeups(self._connections, escaped)
        self._subscriptions = PollingSubscriptions(self._log.read_some, poll_ms=poll_ms)
        self.subscribe_delay_ms = poll_ms + _DELAY_MARGIN_MS

    async def __aenter__(self) -> PostgresStore:
        await self._connections.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the subscriptions and the own pool; an application's engine stays. Twice is harmless."""
        await self._subscriptions.close()
        await self._connections.close()

    async def ensure_schema(self) -> list[str]:
        """Creates what is missing (schema, tables, indexes); the ids of the migrations applied now.

        Safe when many processes start at once. For deployments prefer `storeproof migrate`.
        """
        return await migrations.apply_with(self._connections, schema=self._schema, tables=self._tables)

    async def create_run(
        self, *, run_id: str, workflow_id: str, workflow_version: str | MISSING = MISSING, input: JsonValue, now: int
    ) -> t.CreateRunResult:
        args = checked(
            shapes.CreateRunArguments,
            run_id=run_id,
            workflow_id=workflow_id,
            workflow_version=workflow_version,
            input=input,
            now=now,
        )
        return await self._runs.create(args)

    async def load_run(self, *, run_id: str) -> t.Run | None:
        return await self._runs.load(checked(shapes.RunIdArguments, run_id=run_id))

    async def load_execution(self, *, run_id: str) -> t.LoadedExecution | None:
        return await self._runs.load_execution("loadExecution", checked(shapes.RunIdArguments, run_id=run_id))

    async def get_run_timeline(self, *, run_id: str) -> t.RunTimeline | None:
        return await self._runs.load_execution("getRunTimeline", checked(shapes.RunIdArguments, run_id=run_id))

    async def load_run_state(self, *, run_id: str) -> t.RunState | None:
        return await self._runs.load_state(checked(shapes.RunIdArguments, run_id=run_id))

    async def save_run_state(self, *, state: t.RunState | Wire) -> None:
        await self._runs.save_state(checked(shapes.SaveRunStateArguments, state=state))

    async def delete_run(self, *, run_id: str, reason: t.DeleteReason) -> None:
        await self._runs.delete(checked(shapes.DeleteRunArguments, run_id=run_id, reason=reason))

    async def append_events(
        self, *, run_id: str, expected_next_index: int, events: Sequence[dict[str, JsonValue]]
    ) -> t.AppendEventsResult:
        """Raises LogConflict."""
        args = checked(
            shapes.AppendEventsArguments, run_id=run_id, expected_next_index=expected_next_index, events=events
        )
        result = await self._log.append(args)
        self._subscriptions.wake(args.run_id)
        return result

    async def read_events(self, *, run_id: str, from_index: int | MISSING = MISSING) -> list[t.StoredEvent]:
        return await self._log.read(checked(shapes.ReadEventsArguments, run_id=run_id, from_index=from_index))

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        args = checked(shapes.SubscribeEventsArguments, run_id=run_id, from_index=from_index)
        return await self._subscriptions.subscribe(args.run_id, args.from_index, callback)

    async def claim_run(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> t.ClaimRunResult:
        args = checked(shapes.ClaimRunArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now)
        return await self._runs.claim(args)

    async def heartbeat_run_lease(self, *, run_id: str, lease_owner: str, lease_ms: int, now: int) -> None:
        args = checked(
            shapes.HeartbeatRunLeaseArguments, run_id=run_id, lease_owner=lease_owner, lease_ms=lease_ms, now=now
        )
        await self._runs.heartbeat(args)

    async def release_run_lease(self, *, run_id: str, lease_owner: str) -> None:
        await self._runs.release(checked(shapes.ReleaseRunLeaseArguments, run_id=run_id, lease_owner=lease_owner))

    async def claim_stale_runs(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[t.RunClaim]:
        return await self._runs.claim_stale(_claim(now, limit, lease_owner, lease_ms))

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
        args = checked(
            shapes.MarkRunPausedArguments,
            run_id=run_id,
            awaiting=awaiting,
            waiting_for=waiting_for,
            pending_approval=pending_approval,
            wake_at=wake_at,
            now=now,
        )
        await self._runs.mark_paused(args)

    async def mark_run_finished(self, *, run_id: str, output: JsonValue, now: int) -> None:
        args = checked(shapes.MarkRunFinishedArguments, run_id=run_id, output=output, now=now)
        await self._runs.mark_finished(args)

    async def mark_run_errored(self, *, run_id: str, error: t.SerializedError | Wire, code: str, now: int) -> None:
        args = checked(shapes.MarkRunErroredArguments, run_id=run_id, error=error, code=code, now=now)
        await self._runs.mark_errored(args)

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
        await self._wakeups.schedule_timer(args)

    async def claim_due_timers(self, *, now: int, limit: int, lease_owner: str, lease_ms: int) -> list[t.TimerWakeup]:
        return await self._wakeups.claim_timers(_claim(now, limit, lease_owner, lease_ms))

    async def deliver_signal(self, *, run_id: str, delivery: t.SignalDelivery | Wire, now: int) -> t.DeliverResult:
        args = checked(shapes.DeliverSignalArguments, run_id=run_id, delivery=delivery, now=now)
        return await self._runs.deliver_signal(args)

    async def deliver_approval(self, *, run_id: str, approval: t.Approval | Wire, now: int) -> t.DeliverResult:
        args = checked(shapes.DeliverApprovalArguments, run_id=run_id, approval=approval, now=now)
        return await self._runs.deliver_approval(args)

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
        await self._wakeups.upsert_schedule(args)

    async def claim_due_schedule_buckets(
        self, *, now: int, limit: int, lease_owner: str, lease_ms: int
    ) -> list[t.ScheduleBucket]:
        return await self._wakeups.claim_buckets(_claim(now, limit, lease_owner, lease_ms))

    async def mark_schedule_bucket_started(self, *, schedule_id: str, bucket_id: str, run_id: str, now: int) -> None:
        args = checked(
            shapes.MarkScheduleBucketStartedArguments,
            schedule_id=schedule_id,
            bucket_id=bucket_id,
            run_id=run_id,
            now=now,
        )
        await self._wakeups.mark_started(args)

    async def list_runs(
        self,
        *,
        workflow_id: str | MISSING = MISSING,
        status: t.Status | MISSING = MISSING,
        limit: int,
        cursor: str | MISSING = MISSING,
    ) -> list[t.RunSummary]:
        args = checked(shapes.ListRunsArguments, workflow_id=workflow_id, status=status, limit=limit, cursor=cursor)
        return await self._runs.list(args)


def _claim(now: int, limit: int, lease_owner: str, lease_ms: int) -> shapes.ClaimDueArguments:
    return checked(shapes.ClaimDueArguments, now=now, limit=limit, lease_owner=lease_owner, lease_ms=lease_ms)

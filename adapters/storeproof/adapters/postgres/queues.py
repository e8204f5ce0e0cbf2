"""Operations on the event log, timers and schedules. Arguments come checked; knows no driver."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import MISSING
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import codec
from storeproof.adapters.postgres.connections import Connections, Row
from storeproof.adapters.postgres.execution import read, write
from storeproof.adapters.postgres.failures import Changed, attempted
from storeproof.adapters.postgres.queue_statements import LogStatements, WakeupStatements
from storeproof.spec.arguments import (
    AppendEventsArguments,
    ClaimDueArguments,
    MarkScheduleBucketStartedArguments,
    ReadEventsArguments,
    ScheduleTimerArguments,
    UpsertScheduleArguments,
)
from storeproof.spec.errors import LogConflict
from storeproof.spec.types import AppendEventsResult, ScheduleBucket, StoredEvent, TimerWakeup


class Log:
    """The event log; its statements are in `queue_statements`."""

    def __init__(self, connections: Connections, tables: TableNames) -> None:
        self._connections = connections
        self._sql = LogStatements(tables)

    async def append(self, args: AppendEventsArguments) -> AppendEventsResult:
        """Raises LogConflict."""
        expected, count = args.expected_next_index, len(args.events)
        parameters = {"run_id": args.run_id, "expected": expected, "count": count, "events": codec.encoded(args.events)}

        async def work() -> Row:
            [row] = await self._connections.run(self._sql.append, parameters)
            if row["length"] == expected and row["added"] != count:
                raise Changed
            return row

        row = await attempted("appendEvents", work, reads=False)
        if row["length"] != expected:
            existing = None if row["existing"] is None else codec.decoded(row["existing"])
            raise LogConflict(args.run_id, expected, existing if isinstance(existing, dict) else None)
        return AppendEventsResult(next_index=expected + count)

    async def read(self, args: ReadEventsArguments) -> list[StoredEvent]:
        return await self._read(args.run_id, 0 if args.from_index is MISSING else args.from_index, None)

    async def read_some(self, run_id: str, from_index: int, limit: int) -> list[StoredEvent]:
        """At most `limit` events, for subscriptions."""
        return await self._read(run_id, from_index, limit)

    async def _read(self, run_id: str, from_index: int, limit: int | None) -> list[StoredEvent]:
        parameters = {"run_id": run_id, "from_index": from_index, "limit": limit}
        rows = await read(self._connections, "readEvents", self._sql.read, parameters)
        return [codec.stored_event(row) for row in rows]


class Wakeups:
    """Timers and schedules; their statements are in `queue_statements`."""

    def __init__(self, connections: Connections, tables: TableNames) -> None:
        self._connections = connections
        self._sql = WakeupStatements(tables)

    async def schedule_timer(self, args: ScheduleTimerArguments) -> None:
        parameters = codec.parameters(args, "workflowVersion")

        async def work() -> None:
            [row] = await self._connections.run(self._sql.schedule_timer, parameters)
            if not row["scheduled"]:
                await self._schedule_without_run(parameters)

        await attempted("scheduleTimer", work, reads=False)

    async def _schedule_without_run(self, parameters: Mapping[str, object]) -> None:
        async with self._connections.transaction() as run:
            await run(self._sql.put_timer, parameters)
            if await run(self._sql.hold_place, parameters):
                await run(self._sql.leave_place, parameters)
            elif not await run(self._sql.move_run, parameters):
                # The run was there for the insert and gone for the update; the block rolls back.
                raise Changed

    async def claim_timers(self, args: ClaimDueArguments) -> list[TimerWakeup]:
        rows = await write(self._connections, "claimDueTimers", self._sql.claim_timers, codec.leasing(args))
        return [codec.timer_wakeup(row) for row in rows]

    async def upsert_schedule(self, args: UpsertScheduleArguments) -> None:
        parameters = codec.parameters(args, "workflowVersion", "nextFireAt", json=("schedule", "input"))
        await write(self._connections, "upsertSchedule", self._sql.upsert_schedule, parameters)

    async def claim_buckets(self, args: ClaimDueArguments) -> list[ScheduleBucket]:
        rows = await write(self._connections, "claimDueScheduleBuckets", self._sql.claim_buckets, codec.leasing(args))
        return [codec.schedule_bucket(row) for row in rows]

    async def mark_started(self, args: MarkScheduleBucketStartedArguments) -> None:
        parameters = codec.parameters(args)
        await write(self._connections, "markScheduleBucketStarted", self._sql.mark_started, parameters)

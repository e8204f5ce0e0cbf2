"""What hand-written operations on SQLite are put together from: each function gives one statement for a batch.

Knows no defect. Parameters are positional, as D1 has them, and integers are cast where D1 would bind a REAL.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import D1Binding, Row, Statement
from storeproof.adapters.d1.codec import built, decoded, encoded, run_fields, text_or_null
from storeproof.adapters.d1.identifiers import quoted_tables
from storeproof.adapters.d1.statements import (
    DeliveryStatements,
    LeaseStatements,
    LogStatements,
    RunStatements,
    ScheduleStatements,
    TimerStatements,
)
from storeproof.adapters.d1.wakeups import stored_signal_id
from storeproof.spec import arguments as shapes
from storeproof.spec import types as t

__all__ = ["FREE", "NO_LEASE", "NO_WAITS", "RUN_NAMES", "HandwrittenStore", "Noticed", "run_of", "stored_signal_id"]

RUN_NAMES = (
    *("run_id", "workflow_id", "workflow_version", "status", "input", "output", "error", "awaiting", "waiting_for"),
    *("pending_approval", "wake_at", "lease_owner", "lease_expires_at", "created_at", "updated_at"),
)
NO_WAITS = "awaiting = null, waiting_for = null, pending_approval = null, wake_at = null"
NO_LEASE = "lease_owner = null, lease_expires_at = null"
FREE = "(lease_owner is null or lease_owner = ?1 or lease_expires_at <= cast(?3 as integer))"
"""For statements whose first and third parameters are the owner and the time."""


def run_of(row: Row) -> t.Run:
    """The run in a row."""
    return built(t.Run, run_fields(row))


class Noticed:
    """A binding that tells of every batch before it begins."""

    def __init__(self, database: D1Binding, before: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._before = before

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        await self._before()
        return await self._database.batch(statements)


class HandwrittenStore(D1Store):
    """A D1Store with what an operation written by hand needs."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.t = quoted_tables(self._tables)
        self.of_runs = RunStatements(self._tables)
        self.of_leases = LeaseStatements(self._tables)
        self.of_log = LogStatements(self._tables)
        self.of_timers = TimerStatements(self._tables)
        self.of_deliveries = DeliveryStatements(self._tables)
        self.of_schedules = ScheduleStatements(self._tables)

    async def do(self, *statements: Statement) -> list[list[Row]]:
        """One batch."""
        return await self._database.batch(statements)

    async def row(self, run_id: str) -> Row | None:
        """The run's row, in a batch of its own."""
        [rows] = await self.do(self.load(run_id))
        return rows[0] if rows else None

    def load(self, run_id: str) -> Statement:
        """The run's row, for `run_of`."""
        return (self.of_runs.load, (run_id,))

    def insert_run(self, args: shapes.CreateRunArguments, on_conflict: str = "") -> Statement:
        """createRun's insert; answers the row, where one was inserted or updated."""
        insert = self.of_runs.create.replace("on conflict (run_id) do nothing", on_conflict)
        version = text_or_null(args.workflow_version)
        return (insert, (args.run_id, args.workflow_id, version, encoded(args.input), args.now))

    def write_back(self, row: Row, *, insert: bool = False) -> Statement:
        """The whole row as it is in memory; `insert`: also where there is no run any more."""
        values = [row[name] for name in RUN_NAMES]
        if insert:
            marks = ", ".join(f"?{number}" for number in range(1, len(values) + 1))
            return (f"insert or replace into {self.t.runs} ({', '.join(RUN_NAMES)}) values ({marks})", values)
        replaced = ", ".join(f"{name} = ?{number}" for number, name in enumerate(RUN_NAMES, 1) if number > 1)
        return (f"update {self.t.runs} set {replaced} where run_id = ?1", values)

    def seen(self, run_id: str, key: str) -> Statement:
        """A row if the delivery is remembered."""
        known = f"select 1 from {self.t.signal_deliveries} where run_id = ?1 and signal_id = ?2"
        return (known, (run_id, key))

    def remember(self, run_id: str, key: str, now: int) -> Statement:
        """Remembers the delivery; answers a row if it was new."""
        into = f"insert into {self.t.signal_deliveries} (run_id, signal_id, created_at) values (?1, ?2, ?3)"
        return (f"{into} on conflict do nothing returning run_id", (run_id, key, now))

    def drop_timer(self, run_id: str, signal_id: str) -> Statement:
        """What a delivered signal does to its timer."""
        return (f"delete from {self.t.timers} where run_id = ?1 and signal_id = ?2", (run_id, signal_id))

    def wake(self, run_id: str, now: int) -> Statement:
        """What a delivery does to its run."""
        woken = f"update {self.t.runs} set status = 'queued', {NO_WAITS}, updated_at = ?2 where run_id = ?1"
        return (woken, (run_id, now))

    def delete(self, table: str, run_id: str) -> Statement:
        """All of a run in one table."""
        return (f"delete from {table} where run_id = ?1", (run_id,))

    async def length(self, run_id: str) -> int:
        """The log's length, in a batch of its own."""
        return (await self.log_at(run_id, 0))[0]

    def add_events(self, run_id: str, first: int, events: Sequence[object], or_: str = "") -> Statement:
        """Inserts the events from index `first` on; answers their indexes."""
        add = f"""
            insert {or_} into {self.t.events} (run_id, event_index, event_type, step_id, event, created_at)
            select ?1, cast(?2 as integer) + e.key, e.value ->> '$.type', e.value ->> '$.stepId', e.value,
              e.value ->> '$.ts'
            from json_each(?3) e where true
            returning event_index"""
        return (add, (run_id, first, encoded(list(events))))

    async def log_at(self, run_id: str, index: int) -> tuple[int, dict[str, Any] | None]:
        """The log's length and the event at `index`, in one batch."""
        [[found]] = await self.do((self.of_log.standing, (run_id, index)))
        event = found["event"]
        standing = None if event is None else cast("dict[str, Any]", decoded(event))
        return int(found["next_index"] or 0), standing

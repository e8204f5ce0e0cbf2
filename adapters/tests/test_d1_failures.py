"""Batches that are cut and databases that fail: nothing is half done, and the error says what to do (ruling 12)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import D1Binding, Row, Statement, reads_only
from storeproof.adapters.d1.failures import RowTooLarge, unavailable
from storeproof.adapters.d1.local import LocalD1
from storeproof.adapters.names import TableNames
from storeproof.spec.errors import StoreUnavailable

Call: TypeAlias = Callable[[D1Store], Awaitable[object]]

WRITES: dict[str, Call] = {
    "createRun": lambda s: s.create_run(run_id="new", workflow_id="w", input=None, now=9),
    "saveRunState": lambda s: s.save_run_state(
        state={"runId": "r", "workflowId": "x", "status": "paused", "input": 1, "createdAt": 1, "updatedAt": 9}
    ),
    "deleteRun": lambda s: s.delete_run(run_id="r", reason="finished"),
    "appendEvents": lambda s: s.append_events(run_id="r", expected_next_index=1, events=[{"type": "Y", "ts": 9}]),
    "claimRun": lambda s: s.claim_run(run_id="r", lease_owner="o", lease_ms=9, now=50),
    "claimStaleRuns": lambda s: s.claim_stale_runs(now=50, limit=9, lease_owner="o", lease_ms=9),
    "markRunFinished": lambda s: s.mark_run_finished(run_id="r", output=1, now=9),
    "scheduleTimer": lambda s: s.schedule_timer(run_id="r", workflow_id="w", wake_at=9, signal_id="u", now=9),
    "claimDueTimers": lambda s: s.claim_due_timers(now=50, limit=9, lease_owner="o", lease_ms=9),
    "deliverSignal": lambda s: s.deliver_signal(
        run_id="r", delivery={"signalId": "t", "name": "s", "payload": 1}, now=9
    ),
    "deliverApproval": lambda s: s.deliver_approval(run_id="r", approval={"approvalId": "a", "approved": True}, now=9),
    "claimDueScheduleBuckets": lambda s: s.claim_due_schedule_buckets(now=50, limit=9, lease_owner="o", lease_ms=9),
    "markScheduleBucketStarted": lambda s: s.mark_schedule_bucket_started(
        schedule_id="c", bucket_id="1", run_id="x", now=9
    ),
}
TABLES = ["runs", "run_states", "events", "timers", "signal_deliveries", "schedules", "schedule_buckets"]


class Cutting:
    """A binding in which one statement of the next batch fails."""

    def __init__(self, inner: D1Binding) -> None:
        self.inner = inner
        self.cut_at: int | None = None
        self.statements = 0
        self.batches = 0

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        self.batches += 1
        self.statements = len(statements)
        if self.cut_at is not None:
            statements = [*statements[: self.cut_at], ("select json('{')", ()), *statements[self.cut_at :]]
        return await self.inner.batch(statements)


async def prepared(store: D1Store) -> None:
    """One run with everything, leased and overdue, and a due schedule with a claimed bucket."""
    await store.ensure_schema()
    await store.save_run_state(
        state={"runId": "r", "workflowId": "w", "status": "paused", "input": 1, "createdAt": 1, "updatedAt": 1}
    )
    await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1}])
    await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="t", now=1)
    await store.mark_run_paused(
        run_id="r", waiting_for={"signalName": "s"}, pending_approval={"approvalId": "a", "title": ""}, now=1
    )
    await store.claim_run(run_id="r", lease_owner="gone", lease_ms=1, now=1)
    for schedule_id in ("c", "d"):
        await store.upsert_schedule(
            schedule_id=schedule_id,
            workflow_id="w",
            schedule={"kind": "interval", "everyMs": 1},
            overlap_policy="skip",
            next_fire_at=1 if schedule_id == "c" else 30,
            enabled=True,
            now=1,
        )
    await store.claim_due_schedule_buckets(now=1, limit=1, lease_owner="gone", lease_ms=1)


async def contents(database: D1Binding) -> list[list[Row]]:
    return await database.batch([(f"select * from workflow_{table} order by 1, 2", ()) for table in TABLES])


@pytest.mark.parametrize("operation", WRITES)
def test_a_batch_cut_at_any_statement_changes_nothing(operation: str) -> None:
    async def main() -> None:
        async with LocalD1(":memory:", strict=True) as database:
            cutting = Cutting(database)
            store = D1Store(cutting)
            await prepared(store)
            before = await contents(database)
            position = 0
            while cutting.cut_at is None or position <= cutting.statements:
                cutting.cut_at = position
                with pytest.raises(StoreUnavailable, match="malformed JSON") as caught:
                    await WRITES[operation](store)
                assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
                assert await contents(database) == before
                position += 1
            cutting.cut_at, cutting.batches = None, 0
            await WRITES[operation](store)
            assert cutting.batches == 1
            assert await contents(database) != before

    asyncio.run(main())


def test_missing_tables_name_the_remedy() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            store = D1Store(database, tables=TableNames(runs="elsewhere"))
            for call in (store.load_run(run_id="r"), store.create_run(run_id="r", workflow_id="w", input=1, now=1)):
                with pytest.raises(StoreUnavailable, match=r"no such table: elsewhere.*ensure_schema\(\)"):
                    await call

    asyncio.run(main())


def test_a_row_that_another_program_broke_is_no_result() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            store = D1Store(database)
            await store.ensure_schema()
            insert = "insert into workflow_runs (run_id, workflow_id, status, input, created_at, updated_at) values "
            await database.batch([(f"{insert} ('r', 'w', 'lost', '1', 1, 1), ('s', 'w', 'queued', '{{', 1, 1)", ())])
            with pytest.raises(StoreUnavailable, match="no valid Run: status"):
                await store.load_run(run_id="r")
            with pytest.raises(StoreUnavailable, match="should hold JSON"):
                await store.load_run(run_id="s")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("message", "retryable"),
    [
        ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", True),
        ("D1_ERROR: Network connection lost.", True),
        ("Internal error in D1 DB storage caused object to be reset.", True),
        ("UNIQUE constraint failed: t.b: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)", False),
        ("D1 DB storage operation exceeded timeout which caused object to be reset.", False),
        ("string or blob too big: SQLITE_TOOBIG", False),
    ],
)
def test_what_may_be_called_again(message: str, retryable: bool) -> None:
    error = unavailable(RuntimeError(message))
    assert error.retryable is retryable
    assert isinstance(error, RowTooLarge) is ("too big" in message)
    assert reads_only([("select 1", ())])
    assert not reads_only([("select 1", ()), ("update t set a = 1", ())])

"""The local binding: group commit, cancellation, closing, rival and killed processes (rulings 1 and 12)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import Statement
from storeproof.adapters.d1.local import LocalD1
from storeproof.spec.errors import StoreUnavailable


def test_a_failing_batch_in_a_group_fails_alone() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            await database.batch([("create table t (a integer primary key)", ())])

            async def insert(value: int) -> str:
                statements: list[Statement] = [("insert into t values (?1)", (value,))]
                if value % 10 == 3:
                    statements.append(("insert into t values (?1)", (value,)))
                try:
                    await database.batch(statements)
                except StoreUnavailable as error:
                    return str(error)
                return "done"

            # Their callers are ready at once, so they are one group, or at most two.
            outcomes = await asyncio.gather(*(insert(value) for value in range(40)))
            failed = [value for value, outcome in enumerate(outcomes) if "UNIQUE constraint failed: t.a" in outcome]
            assert (failed, outcomes.count("done")) == ([3, 13, 23, 33], 36)
            [rows] = await database.batch([("select a from t order by a", ())])
            assert [row["a"] for row in rows] == [value for value in range(40) if value % 10 != 3]

    asyncio.run(main())


def test_a_full_disk_fails_the_batch_that_needs_room(tmp_path: Path) -> None:
    async def main() -> None:
        async with LocalD1(tmp_path / "d1.db") as database:
            await database.batch([("create table t (a text)", ())])
            await database.batch([("pragma max_page_count = 20", ())])
            sizes = [10, 1_000_000, 10, 2_000_000, 10]
            calls = [database.batch([("insert into t values (?1)", ("x" * size,))]) for size in sizes]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            failed = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
            assert len(failed) == 2
            assert all("full" in str(error) and "make room" in str(error) for error in failed)
            [[row]] = await database.batch([("select count(*) as n, sum(length(a)) as size from t", ())])
            assert row == {"n": 3, "size": 30}

    asyncio.run(main())


def test_a_commit_that_fails_fails_the_whole_group(tmp_path: Path) -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            await database.batch([("create table parent (a integer primary key)", ())])
            deferred = "create table child (a integer references parent deferrable initially deferred)"
            await database.batch([(deferred, ())])
            calls = [
                database.batch([("insert into parent values (1)", ())]),
                database.batch([("insert into child values (7)", ())]),
            ]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert ["FOREIGN KEY" in str(outcome) for outcome in outcomes] == [True, True]
            counts = "select (select count(*) from parent) as parents, (select count(*) from child) as children"
            assert await database.batch([(counts, ())]) == [[{"parents": 0, "children": 0}]]
            await database.batch([("insert into parent values (1)", ())])

    asyncio.run(main())


@pytest.mark.parametrize("path", [":memory:", "file"])
def test_cancelled_callers_leave_whole_batches_and_a_working_writer(path: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with LocalD1(path if path == ":memory:" else tmp_path / "d1.db") as database:
            await database.batch([("create table t (a integer, half integer)", ())])

            async def insert(value: int) -> None:
                insert = "insert into t values (?1, ?2)"
                await database.batch([(insert, (value, 1)), (insert, (value, 2))])

            cancelled: list[asyncio.Task[None]] = []
            done: list[asyncio.Task[None]] = []
            for value in range(60):
                task = asyncio.create_task(insert(value))
                (cancelled if value % 2 else done).append(task)
                for _ in range(value % 5):
                    await asyncio.sleep(0)
                if value % 2:
                    task.cancel()
            await asyncio.gather(*done)
            await asyncio.gather(*cancelled, return_exceptions=True)
            [rows] = await database.batch([("select a, count(*) as halves from t group by a", ())])
            assert {row["halves"] for row in rows} == {2}
            assert {row["a"] for row in rows} >= set(range(0, 60, 2))

    asyncio.run(main())


def test_a_caller_cancelled_while_its_batch_runs_stops_nobody() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            await database.batch([("create table t (a integer)", ())])
            count = "with recursive n(a) as (select 1 union all select a + 1 from n where a < 200000)"
            running = asyncio.create_task(database.batch([(f"insert into t {count} select a from n", ())]))
            beside = asyncio.create_task(database.batch([("insert into t values (0)", ())]))
            for _ in range(3):  # both are in the thread now, as one group
                await asyncio.sleep(0)
            running.cancel()
            async with asyncio.timeout(30):
                await beside
                [[row]] = await database.batch([("select count(*) as n from t", ())])
            assert row == {"n": 200_001}
            assert running.cancelled()

    asyncio.run(main())


def test_close_waits_for_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    async def main() -> None:
        database = LocalD1(tmp_path / "d1.db")
        store = D1Store(database)
        with pytest.raises(StoreUnavailable, match="not open yet"):
            await store.load_run(run_id="r")
        async with database:
            await store.ensure_schema()
            writes = [
                asyncio.create_task(store.create_run(run_id=str(n), workflow_id="w", input=None, now=n))
                for n in range(300)
            ]
            reads = [asyncio.create_task(store.load_run(run_id="r")) for _ in range(20)]
            await asyncio.sleep(0)
            closing = [asyncio.create_task(database.close()) for _ in range(2)]
            await asyncio.gather(*closing)
            assert {(await task).kind for task in writes} == {"created"}
            assert [await task for task in reads] == [None] * 20
            with pytest.raises(StoreUnavailable, match="is closed") as caught:
                await store.load_run(run_id="r")
            assert not caught.value.retryable
        async with LocalD1(tmp_path / "d1.db") as again:
            assert len(await D1Store(again).list_runs(limit=1000)) == 300
        with pytest.raises(StoreUnavailable, match="make another one"):
            await database.__aenter__()

    asyncio.run(main())


def test_another_process_that_holds_the_write_lock(tmp_path: Path) -> None:
    async def main() -> None:
        async with LocalD1(tmp_path / "d1.db", busy_timeout_ms=20) as database:
            store = D1Store(database)
            await store.ensure_schema()
            rival = sqlite3.connect(tmp_path / "d1.db", isolation_level=None)
            rival.execute("begin immediate")
            with pytest.raises(StoreUnavailable, match="database is locked") as caught:
                await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
            assert caught.value.retryable
            assert await store.load_run(run_id="r") is None  # readers go on
            rival.close()
            assert (await store.create_run(run_id="r", workflow_id="w", input=None, now=1)).kind == "created"

    asyncio.run(main())


def test_what_can_not_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)

    async def main() -> None:
        for path, words in [
            (tmp_path / "text", "names something else"),
            (tmp_path / "none" / "d1.db", "folder exists"),
        ]:
            with pytest.raises(StoreUnavailable, match=words) as caught:
                await LocalD1(path).__aenter__()
            assert isinstance(caught.value.__cause__, sqlite3.Error)

    asyncio.run(main())


CHILD = """
import asyncio, json, sys
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1

async def client(store, number):
    run_id = str(number)
    await store.create_run(run_id=run_id, workflow_id="w", input=None, now=1)
    step = 0
    while True:
        pair = [{"type": "X", "ts": step, "n": n} for n in (0, 1, 2)]
        await store.append_events(run_id=run_id, expected_next_index=3 * step, events=pair)
        await store.mark_run_paused(run_id=run_id, waiting_for={"signalName": "s"}, now=step)
        await store.schedule_timer(run_id=run_id, workflow_id="w", wake_at=step, signal_id=str(step), now=step)
        delivery = {"signalId": str(step), "name": "s", "payload": None}
        assert (await store.deliver_signal(run_id=run_id, delivery=delivery, now=step)).kind == "delivered"
        print(json.dumps([run_id, step]), flush=True)
        step += 1

async def main():
    async with LocalD1(sys.argv[1]) as database:
        store = D1Store(database)
        await store.ensure_schema()
        await asyncio.gather(*(client(store, number) for number in range(8)))

asyncio.run(main())
"""


def test_a_killed_process_loses_nothing_it_answered_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    path = tmp_path / "d1.db"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(200)]
        child.kill()
        lines += child.stdout.readlines()
    answered: dict[str, int] = {}
    for line in lines:
        if line.endswith("\n"):
            run_id, step = json.loads(line)
            answered[run_id] = step

    async def main() -> None:
        async with LocalD1(path) as database:
            store = D1Store(database)
            [deliveries] = await database.batch([("select run_id, created_at from workflow_signal_deliveries", ())])
            assert all(int(row["created_at"] or 0) >= 0 for row in deliveries)
            for run_id, last in answered.items():
                stored = await store.read_events(run_id=run_id)
                assert len(stored) % 3 == 0
                assert len(stored) >= 3 * (last + 1)
                assert [event.event["n"] for event in stored] == [0, 1, 2] * (len(stored) // 3)
                count = sum(row["run_id"] == run_id for row in deliveries)
                assert last + 1 <= count <= last + 2
                # A delivery and its timer's end are one: at most the timer of a step not yet delivered is left.
                timers = await database.batch([("select signal_id from workflow_timers where run_id = ?1", (run_id,))])
                assert timers in ([[]], [[{"signal_id": str(count)}]])

    assert len(answered) == 8
    asyncio.run(main())

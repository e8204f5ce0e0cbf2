"""Migrations: applied once, checked without change, shared with the TypeScript packages, under any table names."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from pydantic import JsonValue
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import Row
from storeproof.adapters.d1.local import LocalD1
from storeproof.adapters.d1.migrations import apply, check, migration_sql, migrations
from storeproof.adapters.d1.statements import LeaseStatements, RunStatements, ScheduleStatements, TimerStatements
from storeproof.adapters.names import TableNames

IDS = ["0000_workflow_store", "0001_storeproof_indexes"]
HOSTILE = TableNames(
    schema_migrations="migr; drop table x --",
    runs='ru"ns',
    run_states="run {events}",
    event_locks="select",
    events="events'; --",
    timers="ti\nmers",
    signal_deliveries="Übergaben 😀",
    schedules="?1",
    schedule_buckets=" ",
)


def test_every_migration_is_applied_once() -> None:
    async def main() -> None:
        async with LocalD1(":memory:", strict=True) as database:
            assert [migration.id for migration in migrations()] == IDS
            assert await apply(database) == IDS
            assert await apply(database) == []
            assert await check(database) == []
            columns = "migration_id, package_name, applied_at > 1000000000000 as recent"
            read = f"select {columns} from workflow_schema_migrations"
            assert await database.batch([(read, ())]) == [
                [{"migration_id": id, "package_name": "storeproof", "recent": 1} for id in IDS]
            ]

    asyncio.run(main())


def test_programs_that_start_together(tmp_path: Path) -> None:
    async def main() -> None:
        async with LocalD1(tmp_path / "d1.db") as first, LocalD1(tmp_path / "d1.db") as second:
            applied = await asyncio.gather(*(apply(database) for database in (first, second) * 4))
            assert sorted(id for ids in applied for id in ids) == IDS
            assert await check(first) == []

    asyncio.run(main())


def test_bindings_that_open_one_new_file_together(tmp_path: Path) -> None:
    async def start() -> int:
        async with LocalD1(tmp_path / "d1.db") as database, D1Store(database) as store:
            await store.ensure_schema()
            return len(await store.list_runs(limit=1))

    async def main() -> None:
        assert await asyncio.gather(*(start() for _ in range(4))) == [0] * 4

    asyncio.run(main())


def test_check_says_what_is_missing_and_changes_nothing() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            problems = await check(database)
            assert len(problems) == 9 + 6 + 4 + 2
            assert problems[0] == "the table workflow_schema_migrations is missing"
            assert "the index workflow_timers_wake_idx is missing" in problems
            assert problems[-1] == "the migration 0001_storeproof_indexes is not recorded"
            assert await database.batch([("select name from sqlite_master", ())]) == [[]]
            await apply(database)
            await database.batch(
                [
                    ("drop table workflow_event_locks", ()),
                    ("drop index workflow_runs_updated_idx", ()),
                    ("alter table workflow_schedule_buckets drop column started_at", ()),
                    ("alter table workflow_runs add column extra text", ()),
                    ("delete from workflow_schema_migrations where migration_id like '0001%'", ()),
                ]
            )
            assert await check(database) == [
                "the table workflow_event_locks is missing",
                "the table workflow_schedule_buckets lacks the column started_at",
                "the index workflow_runs_updated_idx is missing",
                "the migration 0001_storeproof_indexes is not recorded",
            ]

    asyncio.run(main())


def test_the_initial_migration_of_the_typescript_package_counts() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            await database.batch([(sql, ()) for sql in migrations()[0].statements(TableNames())])
            rename = "update workflow_schema_migrations set package_name = '@tanstack/workflow-store-cloudflare-d1'"
            await database.batch([(rename, ())])
            assert await apply(database) == IDS[1:]
            assert await check(database) == []

    asyncio.run(main())


def test_the_script_runs_as_it_is(tmp_path: Path) -> None:
    for tables in (TableNames(), HOSTILE):
        path = tmp_path / f"{len(tables.runs)}.db"
        connection = sqlite3.connect(path)
        for _ in range(2):
            connection.executescript(migration_sql(tables=tables))
        connection.close()

        async def main(path: Path = path, tables: TableNames = tables) -> None:
            async with LocalD1(path) as database:
                assert await check(database, tables=tables) == []
                assert await apply(database, tables=tables) == []

        asyncio.run(main())


def test_hostile_names_are_only_names() -> None:
    async def main() -> None:
        async with LocalD1(":memory:", strict=True) as database:
            await database.batch([("create table x (a text)", ())])
            store = D1Store(database, tables=HOSTILE)
            await store.ensure_schema()
            assert await check(database, tables=HOSTILE) == []
            await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
            await store.save_run_state(
                state={"runId": "s", "workflowId": "w", "status": "running", "input": 1, "createdAt": 1, "updatedAt": 1}
            )
            assert await store.load_run_state(run_id="s") is not None
            await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1}])
            assert len(await store.read_events(run_id="r")) == 1
            await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="t", now=1)
            assert len(await store.claim_due_timers(now=1, limit=1, lease_owner="o", lease_ms=1)) == 1
            await store.mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, now=1)
            signal: dict[str, JsonValue] = {"signalId": "t", "name": "s", "payload": 1}
            assert (await store.deliver_signal(run_id="r", delivery=signal, now=1)).kind == "delivered"
            assert (await store.claim_run(run_id="r", lease_owner="o", lease_ms=1, now=1)).kind == "claimed"
            assert len(await store.claim_stale_runs(now=9, limit=1, lease_owner="o", lease_ms=1)) == 1
            await store.upsert_schedule(
                schedule_id="s",
                workflow_id="w",
                schedule={"kind": "cron", "expression": "*"},
                overlap_policy="skip",
                next_fire_at=1,
                enabled=True,
                now=1,
            )
            assert len(await store.claim_due_schedule_buckets(now=1, limit=1, lease_owner="o", lease_ms=1)) == 1
            assert [run.run_id for run in await store.list_runs(limit=9)] == ["r", "s"]
            await store.delete_run(run_id="r", reason="finished")
            assert await database.batch([("select count(*) as n from x", ())]) == [[{"n": 0}]]

    asyncio.run(main())


@pytest.mark.parametrize(
    "tables",
    [
        TableNames(runs=""),
        TableNames(runs="a\x00b"),
        TableNames(runs="\ud800"),
        TableNames(runs="SQLITE_runs"),
        TableNames(runs="_cf_KV"),
        TableNames(runs="same", events="SAME"),
    ],
)
def test_names_no_table_can_have_are_refused(tables: TableNames) -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            with pytest.raises(ValueError, match=r"name of a table|same name"):
                D1Store(database, tables=tables)
            with pytest.raises(ValueError, match=r"name of a table|same name"):
                await apply(database, tables=tables)

    asyncio.run(main())


def test_claims_and_lists_use_an_index() -> None:
    names = TableNames()
    runs, leases, timers, schedules = (
        RunStatements(names),
        LeaseStatements(names),
        TimerStatements(names),
        ScheduleStatements(names),
    )
    plans = {
        runs.list_all: "workflow_runs USING INDEX workflow_runs_updated_idx",
        runs.list_by_workflow: "workflow_runs USING INDEX workflow_runs_workflow_idx (workflow_id=?)",
        runs.list_by_status: "workflow_runs USING INDEX workflow_runs_status_idx (status=?)",
        runs.list_by_both: "workflow_runs USING INDEX workflow_runs_",
        leases.find_stale: "workflow_runs USING INDEX workflow_runs_lease_idx (status=? AND lease_expires_at<?)",
        leases.claim_stale: "workflow_runs USING INDEX workflow_runs_lease_idx (status=? AND lease_expires_at<?)",
        timers.claim_due: "workflow_timers USING INDEX workflow_timers_wake_idx (wake_at<?)",
        schedules.claim_due: "s USING INDEX workflow_schedules_fire_idx (enabled=? AND next_fire_at<?)",
    }

    async def main() -> None:
        async with LocalD1(":memory:") as database:
            await apply(database)
            for sql, expected in plans.items():
                parameters = 4 if "?4" in sql else 3 if "?3" in sql else 2
                rows: list[Row]
                [rows] = await database.batch([(f"explain query plan {sql}", (1,) * parameters)])
                plan = "\n".join(str(row["detail"]) for row in rows)
                assert expected in plan, plan
                assert "SCAN workflow_runs\n" not in f"{plan}\n"

    asyncio.run(main())

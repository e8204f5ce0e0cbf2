"""Names of any kind, an application's engine, and migrations: together, twice, and after the other language's."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from storeproof.adapters.postgres import PostgresStore, TableNames, migrations
from storeproof.conformance.embedded import embedded_url
from storeproof.spec.errors import LogConflict
from tests.embedded_postgres import fresh_schema, session

HOSTILE = 'sch"ema.A %s %(x)s :y;\n{runs}'
NAMES = TableNames(
    schema_migrations='m"igrations',
    runs="Runs.with dots",
    run_states="%s",
    event_locks="%(run_id)s",
    events=":events",
    timers="select",
    signal_deliveries="{runs}",
    schedules="a;\nb--",
    schedule_buckets="x" * 63,
)
MINE = ["0000_workflow_store", "0001_storeproof_indexes"]


def _engine() -> AsyncEngine:
    return create_async_engine(embedded_url().replace("postgresql://", "postgresql+psycopg://"))


async def _use(store: PostgresStore) -> None:
    """Every statement once."""
    lease: dict[str, Any] = {"lease_owner": "o", "lease_ms": 5}
    await store.create_run(run_id="r", workflow_id="w", input={"%s": ":x"}, now=1)
    await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1}])
    with pytest.raises(LogConflict):
        await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1}])
    assert (await store.claim_run(run_id="r", now=1, **lease)).kind == "claimed"
    await store.heartbeat_run_lease(run_id="r", now=1, **lease)
    assert len(await store.claim_stale_runs(now=9, limit=1, **lease)) == 1
    await store.release_run_lease(run_id="r", lease_owner="o")
    await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="s", now=1)
    await store.schedule_timer(run_id="none", workflow_id="w", wake_at=1, signal_id="s", now=1)
    assert len(await store.claim_due_timers(now=9, limit=9, **lease)) == 2
    await store.mark_run_paused(run_id="r", waiting_for={"signalName": "n"}, now=2)
    signal: Any = {"signalId": "s", "name": "n", "payload": None}
    assert (await store.deliver_signal(run_id="r", delivery=signal, now=3)).kind == "delivered"
    await store.mark_run_paused(run_id="r", pending_approval={"approvalId": "a", "title": "t"}, now=2)
    approval: Any = {"approvalId": "a", "approved": True}
    assert (await store.deliver_approval(run_id="r", approval=approval, now=3)).kind == "delivered"
    await store.mark_run_errored(run_id="r", error={"name": "E", "message": "m"}, code="c", now=4)
    await store.mark_run_finished(run_id="r", output=1, now=4)
    interval: Any = {"kind": "interval", "everyMs": 1}
    await store.upsert_schedule(
        schedule_id="s", workflow_id="w", schedule=interval, overlap_policy="skip", next_fire_at=1, enabled=True, now=1
    )
    assert len(await store.claim_due_schedule_buckets(now=9, limit=9, **lease)) == 1
    await store.mark_schedule_bucket_started(schedule_id="s", bucket_id="1", run_id="r", now=1)
    state: Any = {"runId": "r", "workflowId": "w", "status": "paused", "input": 1, "createdAt": 1, "updatedAt": 2}
    await store.save_run_state(state=state)
    assert len(await store.list_runs(limit=9)) == 1
    execution, timeline = await store.load_execution(run_id="r"), await store.get_run_timeline(run_id="r")
    assert execution == timeline
    assert execution is not None
    assert await store.load_run(run_id="r") == execution.run
    assert await store.read_events(run_id="r") == execution.events
    assert await store.load_run_state(run_id="r") is not None
    await store.delete_run(run_id="r", reason="finished")
    assert await store.load_run(run_id="r") is None


@pytest.mark.parametrize("own_pool", [True, False])
def test_names_of_any_kind(own_pool: bool) -> None:
    async def main() -> None:
        database = embedded_url() if own_pool else _engine()
        async with fresh_schema(HOSTILE), PostgresStore(database, schema=HOSTILE, tables=NAMES) as store:
            assert await store.ensure_schema() == MINE
            assert await migrations.check(database, schema=HOSTILE, tables=NAMES) == []
            await _use(store)
        if isinstance(database, AsyncEngine):
            await database.dispose()

    asyncio.run(main())


def test_an_engine_is_used_and_stays_the_applications() -> None:
    async def main() -> None:
        engine = _engine()
        async with fresh_schema() as schema:
            async with PostgresStore(engine, schema=schema) as store:
                await store.ensure_schema()
                await _use(store)
            async with engine.connect() as connection:
                assert (await connection.exec_driver_sql("select 1")).scalar() == 1
                assert not (await connection.get_raw_connection()).driver_connection.autocommit  # type: ignore[union-attr]
        await engine.dispose()

    asyncio.run(main())


def test_the_search_path_decides_without_a_schema() -> None:
    async def main() -> None:
        async with fresh_schema() as schema:
            async with session("public") as other:
                await other.run(f"create schema {schema}")
                await other.commit()
            url = f"{embedded_url()}{'&' if '?' in embedded_url() else '?'}options=-csearch_path%3D{schema}"
            async with PostgresStore(url) as store:
                await store.ensure_schema()
                await _use(store)
            assert await migrations.check(embedded_url(), schema=schema) == []

    asyncio.run(main())


def test_another_driver_and_bad_names_are_refused() -> None:
    class Elsewhere:
        class dialect:
            name, driver = "postgresql", "asyncpg"

    with pytest.raises(ValueError, match=r"postgresql\+asyncpg.*postgresql\+psycopg"):
        PostgresStore(Elsewhere())  # type: ignore[arg-type]
    for bad in ("", "a\x00b", "x" * 64):
        with pytest.raises(ValueError, match="Postgres"):
            PostgresStore("postgresql://", schema=bad)
    with pytest.raises(ValueError, match="the same name"):
        PostgresStore("postgresql://", tables=TableNames(runs="x", events="x"))
    with pytest.raises(ValueError, match="pool_size"):
        PostgresStore("postgresql://", pool_size=0)


def test_many_stores_set_up_at_once() -> None:
    async def main() -> None:
        async with fresh_schema() as schema:

            async def start() -> list[str]:
                async with PostgresStore(embedded_url(), schema=schema, pool_size=1) as store:
                    return await store.ensure_schema()

            applied = await asyncio.gather(*(start() for _ in range(8)))
            assert sorted(step for steps in applied for step in steps) == MINE
            assert await start() == []

    asyncio.run(main())


def test_the_other_languages_tables_are_accepted_and_completed() -> None:
    async def main() -> None:
        async with fresh_schema() as schema:
            async with session("public") as other:
                await other.run(f"create schema {schema}")
                for statement in migrations.migrations()[0].statements(schema=schema, tables=TableNames()):
                    await other.run(statement)
                await other.commit()
            before = await migrations.check(embedded_url(), schema=schema)
            assert "the migration 0001_storeproof_indexes is not recorded" in before
            assert "the index workflow_timers_wake_idx is missing" in before
            assert any(problem.startswith("the index workflow_events_type_idx is on") for problem in before)
            assert await migrations.apply(embedded_url(), schema=schema) == MINE[1:]
            assert await migrations.check(embedded_url(), schema=schema) == []

    asyncio.run(main())


def test_the_script_for_psql_does_the_same_twice() -> None:
    async def main() -> None:
        async with fresh_schema(HOSTILE):
            script = migrations.migration_sql(schema=HOSTILE, tables=NAMES)
            async with await psycopg.AsyncConnection.connect(embedded_url(), autocommit=True) as connection:
                await connection.execute("set client_min_messages to warning")
                for _ in range(2):
                    await connection.execute(script.encode())
            assert await migrations.check(embedded_url(), schema=HOSTILE, tables=NAMES) == []
            assert await migrations.apply(embedded_url(), schema=HOSTILE, tables=NAMES) == []

    asyncio.run(main())


def test_the_check_says_what_is_wrong_and_changes_nothing() -> None:
    async def main() -> None:
        async with fresh_schema() as schema:
            assert len(await migrations.check(embedded_url(), schema=schema)) == 2 + 9
            await migrations.apply(embedded_url(), schema=schema)
            async with session(schema) as other:
                await other.run("alter table workflow_runs drop column awaiting")
                await other.run("alter table workflow_runs alter column wake_at type text")
                await other.run("alter table workflow_timers drop constraint workflow_timers_pkey")
                await other.run("drop index workflow_schedules_fire_idx")
                await other.run("drop table workflow_event_locks")
                await other.run("alter table workflow_events add column extra text")
                await other.commit()
            expected = [
                "the table workflow_runs lacks the column awaiting",
                "the column workflow_runs.wake_at is text and not bigint",
                "the table workflow_event_locks is missing",
                "the primary key of workflow_timers is not (run_id, signal_id)",
                "the index workflow_schedules_fire_idx is missing",
            ]
            assert await migrations.check(embedded_url(), schema=schema) == expected
            assert await migrations.check(embedded_url(), schema=schema) == expected

    asyncio.run(main())

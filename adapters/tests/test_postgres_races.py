"""What the statements do under READ COMMITTED while other sessions hold locks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import PostgresStore
from storeproof.adapters.postgres.queue_statements import LogStatements, WakeupStatements
from storeproof.adapters.postgres.run_statements import RunStatements
from storeproof.spec.errors import LogConflict
from tests.embedded_postgres import on_store, session

RUNS, LOG, WAKEUPS = RunStatements(TableNames()), LogStatements(TableNames()), WakeupStatements(TableNames())
SIGNAL: dict[str, Any] = {"signalId": "s", "name": "n", "payload": None}
CREATE = "insert into workflow_runs (run_id, workflow_id, status, input, created_at, updated_at) values "
EVENT: dict[str, Any] = {"type": "CUSTOM", "ts": 1}


async def _paused(store: PostgresStore, run_id: str = "r") -> None:
    await store.create_run(run_id=run_id, workflow_id="w", input=None, now=1)
    await store.mark_run_paused(run_id=run_id, waiting_for={"signalName": "n"}, now=2)


def test_create_meets_a_run_its_snapshot_cannot_see() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        async with session(schema) as other:
            await other.run(CREATE + "('r', 'first', 'queued', 'null', 1, 1)")
            answer = await other.released(store.create_run(run_id="r", workflow_id="second", input=None, now=2))
        assert (answer.kind, answer.run.workflow_id) == ("existing", "first")

    on_store(scenario)


def test_claim_answers_with_the_run_another_claim_left() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
        async with session(schema) as other:
            await other.run("update workflow_runs set status = 'running', lease_owner = 'a', lease_expires_at = 100")
            answer: Any = await other.released(store.claim_run(run_id="r", lease_owner="b", lease_ms=5, now=2))
        assert (answer.kind, answer.run.lease.owner) == ("not-claimable", "a")

    on_store(scenario)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("update workflow_runs set status = 'finished', waiting_for = null", "not-waiting"),
        ("update workflow_runs set updated_at = 7", "delivered"),
        ("delete from workflow_runs", "not-found"),
        (
            "insert into workflow_signal_deliveries values ('r', 's', 1); update workflow_runs set waiting_for = null",
            "",
        ),
    ],
)
def test_delivery_decides_by_what_is_there_when_it_gets_the_run(change: str, kind: str) -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await _paused(store)
        async with session(schema) as other:
            await other.run(change)
            answer = await other.released(store.deliver_signal(run_id="r", delivery=SIGNAL, now=9))
            assert answer.kind == (kind or "duplicate")
            remembered = await other.run("select signal_id from workflow_signal_deliveries")
            assert remembered == ([] if kind in ("not-waiting", "not-found") else [("s",)])

    on_store(scenario)


def test_delivery_drops_a_timer_scheduled_while_it_waited() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await _paused(store)
        timer = {"run_id": "r", "signal_id": "s", "workflow_id": "w", "workflow_version": None, "wake_at": 5, "now": 4}
        async with session(schema) as other:
            await other.run(WAKEUPS.schedule_timer, timer)
            answer: Any = await other.released(store.deliver_signal(run_id="r", delivery=SIGNAL, now=9))
            assert answer.kind == "delivered"
            assert await other.run("select * from workflow_timers") == []

    on_store(scenario)


def test_append_waits_for_the_other_languages_append() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.append_events(run_id="r", expected_next_index=0, events=[EVENT])
        async with session(schema) as other:
            # What the TypeScript store sends.
            await other.run("insert into workflow_event_locks values ('r', 5) on conflict do nothing")
            await other.run("select run_id from workflow_event_locks where run_id = 'r' for update")
            await other.run("""insert into workflow_events values ('r', 1, 'THEIRS', null, '{"type": "THEIRS"}', 1)""")
            mine = store.append_events(run_id="r", expected_next_index=1, events=[EVENT, EVENT])
            with pytest.raises(LogConflict) as conflict:
                await other.released(mine)
            assert conflict.value.existing == {"type": "THEIRS"}
            assert await other.run("select count(*) from workflow_events") == [(2,)]

    on_store(scenario)


def test_first_append_meets_another_first_append() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        parameters = {"run_id": "r", "expected": 0, "count": 1, "events": '[{"type": "A", "ts": 1}]'}
        async with session(schema) as other:
            await other.run(LOG.append, parameters)
            with pytest.raises(LogConflict) as conflict:
                await other.released(store.append_events(run_id="r", expected_next_index=0, events=[EVENT, EVENT]))
        assert conflict.value.existing == {"type": "A", "ts": 1}
        assert len(await store.read_events(run_id="r")) == 1

    on_store(scenario)


def test_append_after_a_delete_it_waited_for_finds_an_empty_log() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.append_events(run_id="r", expected_next_index=0, events=[EVENT])
        async with session(schema) as other:
            await other.run(RUNS.lock_for_delete, {"run_id": "r"})
            await other.run(RUNS.delete, {"run_id": "r"})
            with pytest.raises(LogConflict) as conflict:
                await other.released(store.append_events(run_id="r", expected_next_index=1, events=[EVENT]))
        assert conflict.value.existing is None
        assert await store.read_events(run_id="r") == []

    on_store(scenario)


def test_delete_takes_what_was_appended_while_it_waited() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.append_events(run_id="r", expected_next_index=0, events=[EVENT])
        async with session(schema) as other:
            parameters = {"run_id": "r", "expected": 1, "count": 1, "events": '[{"type": "A", "ts": 1}]'}
            await other.run(LOG.append, parameters)
            await other.released(store.delete_run(run_id="r", reason="finished"))
            for table in ("events", "event_locks", "runs"):
                assert await other.run(f"select count(*) from workflow_{table}") == [(0,)]

    on_store(scenario)


def test_delete_of_a_missing_run_keeps_its_creation_waiting() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        async with session(schema) as other:
            await other.run(RUNS.lock_for_delete, {"run_id": "r"})
            creation = asyncio.create_task(store.create_run(run_id="r", workflow_id="w", input=None, now=1))
            await other.until_blocking()
            assert await store.load_run(run_id="r") is None
            await other.run(RUNS.delete, {"run_id": "r"})
            await other.commit()
            assert (await creation).kind == "created"

    on_store(scenario)


def test_timer_moves_a_run_created_while_it_was_scheduled() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        async with session(schema) as other:
            await other.run(CREATE + "('r', 'w', 'queued', 'null', 1, 1)")
            await other.released(store.schedule_timer(run_id="r", workflow_id="w", wake_at=50, signal_id="s", now=9))
        run = await store.load_run(run_id="r")
        assert run is not None
        assert (run.wake_at, run.updated_at) == (50, 9)

    on_store(scenario)


def test_claims_leave_out_only_what_is_locked_and_fill_the_limit() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        for signal in "abc":
            await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id=signal, now=1)
        async with session(schema) as other:
            await other.run("update workflow_timers set wake_at = 2 where signal_id = 'a'")
            due = await store.claim_due_timers(now=9, limit=2, lease_owner="o", lease_ms=5)
            assert [timer.signal_id for timer in due] == ["b", "c"]
            await other.commit()
        due = await store.claim_due_timers(now=9, limit=2, lease_owner="p", lease_ms=5)
        assert [timer.signal_id for timer in due] == ["a"]

    on_store(scenario)


def test_bucket_claim_fills_its_limit_when_the_other_language_takes_a_bucket_meanwhile() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        for schedule in "ab":
            await _schedule(store, schedule)
        async with session(schema) as other:
            # The TypeScript store opens buckets without locking schedules.
            await other.run(
                "insert into workflow_schedule_buckets (schedule_id, bucket_id, workflow_id, run_id, fire_at,"
                " overlap_policy, status, lease_owner, lease_expires_at)"
                " values ('a', '5', 'w', 'w:a:5', 5, 'skip', 'claimed', 'theirs', 100)"
            )
            due = await other.released(store.claim_due_schedule_buckets(now=9, limit=1, lease_owner="ours", lease_ms=5))
        assert [bucket.schedule_id for bucket in due] == ["b"]

    on_store(scenario)


async def _schedule(store: PostgresStore, schedule_id: str) -> None:
    await store.upsert_schedule(
        schedule_id=schedule_id,
        workflow_id="w",
        schedule={"kind": "interval", "everyMs": 5},
        overlap_policy="skip",
        next_fire_at=5,
        enabled=True,
        now=1,
    )

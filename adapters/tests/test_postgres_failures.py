"""What the caller gets when the storage fails, and that nothing is half done then (ruling 12)."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import errors
from storeproof.adapters.postgres import PostgresStore
from storeproof.adapters.postgres.connections import Unreachable
from storeproof.adapters.postgres.failures import ATTEMPTS, Changed, attempted
from storeproof.conformance.embedded import embedded_url
from storeproof.spec.errors import StoreUnavailable
from tests.embedded_postgres import Session, fresh_schema, on_store, session

EVENT: dict[str, Any] = {"type": "X", "ts": 1}


async def _kill_the_waiting(other: Session) -> None:
    await other.until_blocking()
    await other.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))"
    )


def test_a_write_the_server_cut_short_is_made_again_once() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.append_events(run_id="r", expected_next_index=0, events=[EVENT])
        async with session(schema) as other:
            await other.run("select * from workflow_event_locks for update")
            append = asyncio.create_task(store.append_events(run_id="r", expected_next_index=1, events=[EVENT]))
            await _kill_the_waiting(other)
            await other.commit()
            assert (await append).next_index == 2
        assert len(await store.read_events(run_id="r")) == 2

    on_store(scenario)


def test_a_transaction_the_server_cut_short_leaves_nothing() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
        await store.append_events(run_id="r", expected_next_index=0, events=[EVENT])
        async with session(schema) as other:
            await other.run("select * from workflow_runs for update")
            deletion = asyncio.create_task(store.delete_run(run_id="r", reason="finished"))
            await _kill_the_waiting(other)
            assert len(await store.read_events(run_id="r")) == 1
            await other.commit()
            await deletion
        assert await store.read_events(run_id="r") == []

    on_store(scenario)


def test_connections_the_server_closed_while_idle_are_not_used() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await asyncio.gather(*(store.load_run(run_id="r") for _ in range(10)))
        async with session(schema) as other:
            for round_number in range(3):
                await other.run(
                    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                    " and state = 'idle' and query like %(mine)s",
                    {"mine": f"%{schema}%"},
                )
                await other.commit()
                await asyncio.sleep(0.05)
                answer = await store.create_run(run_id=f"r{round_number}", workflow_id="w", input=None, now=1)
                assert answer.kind == "created"

    on_store(scenario)


def test_a_missing_schema_says_what_to_run() -> None:
    async def main() -> None:
        async with fresh_schema() as schema, PostgresStore(embedded_url(), schema=schema) as store:
            with pytest.raises(StoreUnavailable, match=r"ensure_schema\(\).*storeproof migrate") as failure:
                await store.load_run(run_id="r")
            assert isinstance(failure.value.__cause__, errors.UndefinedTable)
            assert not failure.value.retryable

    asyncio.run(main())


def test_a_closed_store_and_an_unopened_one_say_so() -> None:
    async def main() -> None:
        store = PostgresStore(embedded_url())
        with pytest.raises(StoreUnavailable, match="async with") as failure:
            await store.load_run(run_id="r")
        assert not failure.value.retryable
        async with store:
            pass
        with pytest.raises(StoreUnavailable, match="async with"):
            await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
        await store.close()

    asyncio.run(main())


def test_a_row_that_does_not_fit_the_contract_is_a_storage_failure() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
        async with session(schema) as other:
            await other.run("update workflow_runs set status = 'odd'")
            await other.commit()
        with pytest.raises(StoreUnavailable, match="does not fit the contract"):
            await store.load_run(run_id="r")

    on_store(scenario)


class _Failing:
    """Fails with each of the errors in turn, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def _attempt(work: _Failing, *, reads: bool) -> str:
    return asyncio.run(attempted("op", work, reads=reads))


@pytest.mark.parametrize(
    "error", [errors.SerializationFailure(), errors.DeadlockDetected(), errors.AdminShutdown(), Changed()]
)
def test_what_was_rolled_back_is_made_again(error: Exception) -> None:
    work = _Failing(error, error)
    assert (_attempt(work, reads=False), work.calls) == ("done", 3)


def test_a_lost_answer_is_asked_for_again_only_by_reads() -> None:
    lost = psycopg.OperationalError("server closed the connection unexpectedly")
    reading, writing = _Failing(lost), _Failing(lost)
    assert (_attempt(reading, reads=True), reading.calls) == ("done", 2)
    with pytest.raises(StoreUnavailable, match="as a whole or not at all") as failure:
        _attempt(writing, reads=False)
    assert writing.calls == 1
    assert failure.value.retryable
    assert failure.value.__cause__ is lost


def test_nothing_sent_is_tried_again() -> None:
    refused = Unreachable()
    refused.__cause__ = psycopg.OperationalError("connection refused")
    work = _Failing(refused)
    assert (_attempt(work, reads=False), work.calls) == ("done", 2)


def test_attempts_are_bounded() -> None:
    work = _Failing(*[errors.SerializationFailure("again")] * 99)
    with pytest.raises(StoreUnavailable) as failure:
        _attempt(work, reads=False)
    assert work.calls == ATTEMPTS
    assert failure.value.retryable


def test_other_refusals_are_not_tried_again() -> None:
    work = _Failing(errors.InsufficientPrivilege("permission denied"))
    with pytest.raises(StoreUnavailable, match="permission denied") as failure:
        _attempt(work, reads=True)
    assert work.calls == 1
    assert not failure.value.retryable

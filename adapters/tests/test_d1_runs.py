"""Runs, their states and lists: each in memory and in a file, plainly and under D1's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1
from storeproof.spec.types import to_wire
from storeproof.spec.values import MAX_INTEGER as MAX

Scenario: TypeAlias = Callable[[D1Store, LocalD1], Awaitable[None]]
Play: TypeAlias = Callable[[Scenario], None]


LEASE: dict[str, Any] = {"lease_owner": "o1", "lease_ms": 100}


@pytest.fixture(params=["memory", "memory-strict", "file", "file-strict"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Runs a scenario on a fresh store."""
    place, _, strict = str(request.param).partition("-")
    path = ":memory:" if place == "memory" else str(tmp_path / "d1.db")

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with LocalD1(path, strict=bool(strict)) as database, D1Store(database) as store:
                await store.ensure_schema()
                await scenario(store, database)

        asyncio.run(main())

    return run


def run_wire(**fields: Any) -> dict[str, Any]:
    return {
        "runId": "r",
        "workflowId": "w",
        "status": "queued",
        "input": {"a": 1},
        "createdAt": 10,
        "updatedAt": 10,
        **fields,
    }


async def create(store: Any, run_id: str = "r", now: int = 10) -> Any:
    return await store.create_run(run_id=run_id, workflow_id="w", input={"a": 1}, now=now)


async def loaded(store: Any, run_id: str = "r") -> Any:
    return to_wire(await store.load_run(run_id=run_id))


def test_create_and_load(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        assert await store.load_run(run_id="r") is None
        assert await store.load_execution(run_id="r") is None
        assert await store.get_run_timeline(run_id="r") is None
        assert to_wire(await create(store)) == {"kind": "created", "run": run_wire()}
        again = await store.create_run(run_id="r", workflow_id="x", workflow_version="2", input=None, now=99)
        assert to_wire(again) == {"kind": "existing", "run": run_wire()}
        versioned = await store.create_run(run_id="v", workflow_id="w", workflow_version="", input=None, now=MAX)
        assert to_wire(versioned) == {
            "kind": "created",
            "run": run_wire(runId="v", workflowVersion="", input=None, createdAt=MAX, updatedAt=MAX),
        }

    play(scenario)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "123",
        "null",
        "",
        0,
        -0.0,
        1.5,
        5.0,
        1e308,
        5e-324,
        MAX,
        2**70,
        True,
        [],
        {},
        {"b": 1, "a": [None, {"": "\u2028\x01\x7f\ufffe😀é'\"\\"}]},
    ],
)
def test_json_comes_back_equal(play: Play, value: Any) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=value, now=1)
        await store.mark_run_finished(run_id="r", output=value, now=2)
        run = await store.load_run(run_id="r")
        assert (run.input, run.output) == (value, value)
        assert (type(run.input), type(run.output)) == (type(value), type(value))
        event = {"type": "CUSTOM", "ts": 5, "name": "n", "value": {"v": value}}
        await store.append_events(run_id="r", expected_next_index=0, events=[event])
        assert [stored.event for stored in await store.read_events(run_id="r")] == [event]

    play(scenario)


def test_run_state(play: Play) -> None:
    state = {
        "runId": "r",
        "workflowId": "w2",
        "workflowVersion": "7",
        "status": "paused",
        "input": None,
        "output": None,
        "error": {"name": "E", "message": "m", "stack": "s"},
        "awaiting": [{"type": "approval", "approvalId": "a", "title": "t"}],
        "waitingFor": {"signalName": "__timer", "deadline": 500},
        "pendingApproval": {"approvalId": "a", "title": "t", "meta": {"k": None}},
        "createdAt": 3,
        "updatedAt": 4,
    }

    async def scenario(store: Any, database: LocalD1) -> None:
        assert await store.load_run_state(run_id="r") is None
        await store.save_run_state(state=state)
        assert to_wire(await store.load_run_state(run_id="r")) == state
        assert await loaded(store) == {**state, "wakeAt": 500}
        await store.claim_run(run_id="r", now=10, **LEASE)
        bare = {name: state[name] for name in ("runId", "workflowId", "input", "createdAt", "updatedAt")}
        await store.save_run_state(
            state={**bare, "status": "running", "waitingFor": {"signalName": "x", "deadline": 9}}
        )
        assert await loaded(store) == {
            **bare,
            "status": "running",
            "waitingFor": {"signalName": "x", "deadline": 9},
            "lease": {"owner": "o1", "expiresAt": 110},
        }

    play(scenario)


def test_delete_takes_exactly_this_run(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        for run_id in ("r", "r2"):
            await create(store, run_id)
            state = {"runId": run_id, "workflowId": "w", "status": "paused", "input": 1, "createdAt": 1, "updatedAt": 1}
            await store.save_run_state(state={**state, "waitingFor": {"signalName": "s"}})
            await store.append_events(run_id=run_id, expected_next_index=0, events=[{"type": "X", "ts": 1}])
            await store.schedule_timer(run_id=run_id, workflow_id="w", wake_at=1, signal_id="t", now=1)
            await store.deliver_signal(run_id=run_id, delivery={"signalId": "d", "name": "s", "payload": 1}, now=1)
        await store.upsert_schedule(
            schedule_id="s",
            workflow_id="w",
            schedule={"kind": "cron", "expression": "*"},
            overlap_policy="skip",
            next_fire_at=1,
            enabled=True,
            now=1,
        )
        await store.claim_due_schedule_buckets(now=1, limit=1, **LEASE)
        await store.delete_run(run_id="r", reason="finished")
        await store.delete_run(run_id="none", reason="aborted")
        assert await store.load_run(run_id="r") is None
        assert await store.load_run_state(run_id="r") is None
        assert await store.read_events(run_id="r") == []
        for table, rows in [("run_states", 1), ("events", 1), ("timers", 1), ("signal_deliveries", 1), ("runs", 1)]:
            assert await database.batch([(f"select run_id from workflow_{table}", ())]) == [[{"run_id": "r2"}] * rows]
        [[bucket]] = await database.batch([("select count(*) as n from workflow_schedule_buckets", ())])
        assert bucket == {"n": 1}
        await create(store, "r")
        await store.mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, now=1)
        answer = await store.deliver_signal(run_id="r", delivery={"signalId": "d", "name": "s", "payload": 1}, now=1)
        assert answer.kind == "delivered"

    play(scenario)


def test_paused_finished_errored(play: Play) -> None:
    wait = {"signalName": "s", "stepId": "p", "deadline": 8, "meta": {"x": None}}
    approval = {"approvalId": "a", "title": "t", "description": "d"}
    awaiting = [{"type": "signal", **wait}, {"type": "approval", **approval}]

    async def scenario(store: Any, database: LocalD1) -> None:
        await store.mark_run_paused(run_id="r", now=1)
        await store.mark_run_finished(run_id="r", output=1, now=1)
        await store.mark_run_errored(run_id="r", error={"name": "E", "message": "m"}, code="c", now=1)
        assert await store.load_run(run_id="r") is None
        await create(store)
        await store.claim_run(run_id="r", now=20, **LEASE)
        await store.mark_run_paused(
            run_id="r", awaiting=awaiting, waiting_for=wait, pending_approval=approval, wake_at=MAX, now=30
        )
        waits = {"awaiting": awaiting, "waitingFor": wait, "pendingApproval": approval, "wakeAt": MAX}
        assert await loaded(store) == run_wire(status="paused", updatedAt=30, **waits)
        await store.mark_run_paused(run_id="r", awaiting=[], now=31)
        assert await loaded(store) == run_wire(status="paused", updatedAt=31, awaiting=[])
        await store.mark_run_paused(run_id="r", waiting_for=wait, now=32)
        await store.mark_run_errored(run_id="r", error={"name": "E", "message": "m"}, code="c", now=33)
        errored = run_wire(status="errored", updatedAt=33, error={"name": "E", "message": "m"})
        assert await loaded(store) == errored
        await store.mark_run_finished(run_id="r", output=None, now=34)
        assert await loaded(store) == {**errored, "status": "finished", "updatedAt": 34, "output": None}

    play(scenario)


def test_list_runs(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        for run_id, workflow_id, now in [
            ("b", "w", 5),
            ("a", "w", 5),
            ("\uffff", "v", 5),
            ("😀", "v", 5),
            ("n", "w", 9),
        ]:
            await store.create_run(run_id=run_id, workflow_id=workflow_id, input=1, now=now)
        await store.mark_run_paused(run_id="n", waiting_for={"signalName": "s"}, wake_at=4, now=9)

        async def ids(**filters: Any) -> list[str]:
            return [run.run_id for run in await store.list_runs(**{"limit": MAX, **filters})]

        assert await ids() == ["n", "a", "b", "\uffff", "😀"]
        assert await ids(workflow_id="w") == ["n", "a", "b"]
        assert await ids(status="queued") == ["a", "b", "\uffff", "😀"]
        assert await ids(workflow_id="w", status="queued", limit=1) == ["a"]
        assert await ids(limit=2, cursor="0001") == ["a", "b"]
        assert await ids(cursor="9999999999999999") == []
        assert await ids(limit=0) == []
        assert to_wire(await store.list_runs(limit=1)) == [
            {
                "runId": "n",
                "workflowId": "w",
                "status": "paused",
                "waitingFor": {"signalName": "s"},
                "wakeAt": 4,
                "createdAt": 9,
                "updatedAt": 9,
            }
        ]

    play(scenario)

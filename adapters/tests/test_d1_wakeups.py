"""Timers, signals and approvals: each in memory and in a file, plainly and under D1's rules."""

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


def test_timers(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await create(store)
        for run_id, signal_id, wake_at in [("r", "b", 5), ("r", "a", 5), ("q", "z", 5), ("r", "c", 4), ("r", "d", 900)]:
            await store.schedule_timer(
                run_id=run_id, workflow_id="w", workflow_version="1", wake_at=wake_at, signal_id=signal_id, now=50
            )
        assert await loaded(store) == run_wire(wakeAt=900, updatedAt=50)
        first = await store.claim_due_timers(now=10, limit=3, **LEASE)
        assert [(timer.run_id, timer.signal_id) for timer in first] == [("r", "c"), ("q", "z"), ("r", "a")]
        assert first[0].to_wire() == {
            "runId": "r",
            "workflowId": "w",
            "workflowVersion": "1",
            "wakeAt": 4,
            "signalId": "c",
        }
        other = await store.claim_due_timers(now=10, limit=MAX, lease_owner="o2", lease_ms=1)
        assert [(timer.run_id, timer.signal_id) for timer in other] == [("r", "b")]
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=6, signal_id="c", now=50)
        third = await store.claim_due_timers(now=10, limit=9, lease_owner="o3", lease_ms=1)
        assert to_wire(third) == [{"runId": "r", "workflowId": "w", "wakeAt": 6, "signalId": "c"}]
        assert len(await store.claim_due_timers(now=110, limit=9, lease_owner="o3", lease_ms=1)) == 4
        assert await store.claim_due_timers(now=110, limit=0, lease_owner="o3", lease_ms=1) == []

    play(scenario)


WAITS: dict[str, dict[str, Any]] = {
    "plain": {"waiting_for": {"signalName": "s"}},
    "step": {"waiting_for": {"signalName": "s", "stepId": "p"}},
    "awaiting": {
        "awaiting": [
            {"type": "approval", "approvalId": "s", "title": "s"},
            {"type": "signal", "signalName": "other"},
            {"type": "signal", "signalName": "s", "stepId": "p"},
        ]
    },
    "approval": {"pending_approval": {"approvalId": "s", "title": "s", "stepId": "p"}},
    "nothing": {},
}


@pytest.mark.parametrize(
    ("waits", "delivery", "kind"),
    [
        ("plain", {"name": "s"}, "delivered"),
        ("plain", {"name": "s", "stepId": "p"}, "delivered"),
        ("plain", {"name": "S"}, "not-waiting"),
        ("plain", {"name": ""}, "not-waiting"),
        ("step", {"name": "s"}, "delivered"),
        ("step", {"name": "s", "stepId": "p"}, "delivered"),
        ("step", {"name": "s", "stepId": "q"}, "not-waiting"),
        ("awaiting", {"name": "s"}, "delivered"),
        ("awaiting", {"name": "s", "stepId": "p"}, "delivered"),
        ("awaiting", {"name": "s", "stepId": "q"}, "not-waiting"),
        ("awaiting", {"name": "other", "stepId": "q"}, "delivered"),
        ("approval", {"name": "s"}, "not-waiting"),
        ("nothing", {"name": "s"}, "not-waiting"),
    ],
)
def test_which_wait_accepts_a_signal(play: Play, waits: str, delivery: dict[str, Any], kind: str) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await create(store)
        await store.mark_run_paused(run_id="r", wake_at=70, now=20, **WAITS[waits])
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=70, signal_id="d", now=21)
        before = await loaded(store)
        delivery_ = {"signalId": "d", "payload": {"p": 1}, **delivery}
        answer = await store.deliver_signal(run_id="r", delivery=delivery_, now=30)
        after = run_wire(updatedAt=30) if kind == "delivered" else before
        assert to_wire(answer) == {"kind": kind, "run": after}
        assert await loaded(store) == after
        assert len(await store.claim_due_timers(now=70, limit=9, **LEASE)) == (0 if kind == "delivered" else 1)
        # Remembered only if delivered.
        await store.mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, now=40)
        again = await store.deliver_signal(run_id="r", delivery={"signalId": "d", "payload": 1, "name": "s"}, now=50)
        assert again.kind == ("duplicate" if kind == "delivered" else "delivered")

    play(scenario)


def test_signals_keep_the_lease_and_know_duplicates_first(play: Play) -> None:
    signal = {"signalId": "d", "name": "s", "payload": None}

    async def scenario(store: Any, database: LocalD1) -> None:
        assert to_wire(await store.deliver_signal(run_id="r", delivery=signal, now=1)) == {"kind": "not-found"}
        approval = {"approvalId": "a", "approved": True}
        assert to_wire(await store.deliver_approval(run_id="r", approval=approval, now=1)) == {"kind": "not-found"}
        await create(store)
        await store.mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, now=2)
        await store.claim_run(run_id="r", now=20, **LEASE)
        answer = await store.deliver_signal(run_id="r", delivery=signal, now=30)
        queued = run_wire(lease={"owner": "o1", "expiresAt": 120}, updatedAt=30)
        assert to_wire(answer) == {"kind": "delivered", "run": queued}
        answer = await store.deliver_signal(run_id="r", delivery={**signal, "name": "unknown"}, now=31)
        assert to_wire(answer) == {"kind": "duplicate", "run": queued}
        [[row]] = await database.batch([("select signal_id, created_at from workflow_signal_deliveries", ())])
        assert row == {"signal_id": "d", "created_at": 30}

    play(scenario)


def test_approvals(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        async def deliver(approval_id: str, now: int) -> Any:
            approval: dict[str, Any] = {"approvalId": approval_id, "approved": False, "feedback": "f", "meta": {}}
            return to_wire(await store.deliver_approval(run_id="r", approval=approval, now=now))

        await create(store)
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="a", now=1)
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="approval:a", now=1)
        await store.mark_run_paused(
            run_id="r",
            pending_approval={"approvalId": "a", "title": "t", "stepId": "p"},
            awaiting=[{"type": "signal", "signalName": "c"}, {"type": "approval", "approvalId": "b", "title": "t"}],
            now=20,
        )
        assert (await deliver("c", 21))["kind"] == "not-waiting"
        assert await deliver("a", 22) == {"kind": "delivered", "run": run_wire(updatedAt=22)}
        assert (await deliver("a", 23))["kind"] == "duplicate"
        assert (await deliver("b", 24))["kind"] == "not-waiting"
        await store.mark_run_paused(
            run_id="r", awaiting=[{"type": "approval", "approvalId": "b", "title": "t"}], now=30
        )
        assert (await deliver("b", 31))["kind"] == "delivered"
        assert len(await store.claim_due_timers(now=1, limit=9, **LEASE)) == 2

    play(scenario)


@pytest.mark.parametrize("signal_id", ["approval:a", "signal:approval:a", "signal:a", "signal:signal:a"])
def test_signals_and_approvals_are_never_confused(play: Play, signal_id: str) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await create(store)

        async def wait() -> None:
            await store.mark_run_paused(
                run_id="r", waiting_for={"signalName": "s"}, pending_approval={"approvalId": "a", "title": ""}, now=1
            )

        async def signal(name: str) -> str:
            delivery = {"signalId": name, "name": "s", "payload": 1}
            return str((await store.deliver_signal(run_id="r", delivery=delivery, now=2)).kind)

        async def approval() -> str:
            delivery = {"approvalId": "a", "approved": True}
            return str((await store.deliver_approval(run_id="r", approval=delivery, now=2)).kind)

        await wait()
        assert await approval() == "delivered"
        await wait()
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id=signal_id, now=1)
        assert await signal(signal_id) == "delivered"
        assert await store.claim_due_timers(now=9, limit=1, **LEASE) == []
        await wait()
        assert [await signal(signal_id), await approval(), await signal("a")] == ["duplicate", "duplicate", "delivered"]

    play(scenario)

"""Leases and the takeover of stale runs: each in memory and in a file, plainly and under D1's rules."""

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


def test_claims_of_a_run(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        assert to_wire(await store.claim_run(run_id="r", now=10, **LEASE)) == {"kind": "not-found"}
        await create(store)
        await store.mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, wake_at=4, now=11)
        claimed = await store.claim_run(run_id="r", now=20, **LEASE)
        leased = run_wire(
            status="running",
            waitingFor={"signalName": "s"},
            wakeAt=4,
            lease={"owner": "o1", "expiresAt": 120},
            updatedAt=20,
        )
        assert to_wire(claimed) == {"kind": "claimed", "run": leased}
        refused = await store.claim_run(run_id="r", lease_owner="o2", lease_ms=5, now=119)
        assert to_wire(refused) == {"kind": "not-claimable", "run": leased}
        own = await store.claim_run(run_id="r", lease_owner="o1", lease_ms=5, now=30)
        assert own.run.lease.expires_at == 35
        taken = await store.claim_run(run_id="r", lease_owner="o2", lease_ms=MAX - 35, now=35)
        assert (taken.kind, taken.run.lease.owner, taken.run.lease.expires_at) == ("claimed", "o2", MAX)
        await store.mark_run_finished(run_id="r", output=None, now=40)
        assert (await store.claim_run(run_id="r", now=MAX - 100, **LEASE)).kind == "not-claimable"

    play(scenario)


def test_heartbeat_and_release(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await create(store)
        await store.claim_run(run_id="r", now=20, **LEASE)
        await store.heartbeat_run_lease(run_id="r", lease_owner="o2", lease_ms=7, now=30)
        await store.release_run_lease(run_id="r", lease_owner="o2")
        held = run_wire(status="running", lease={"owner": "o1", "expiresAt": 120}, updatedAt=20)
        assert await loaded(store) == held
        await store.heartbeat_run_lease(run_id="r", lease_owner="o1", lease_ms=7, now=30)
        assert await loaded(store) == {**held, "lease": {"owner": "o1", "expiresAt": 37}, "updatedAt": 30}
        await store.release_run_lease(run_id="r", lease_owner="o1")
        assert await loaded(store) == run_wire(status="running", updatedAt=30)

    play(scenario)


def test_stale_runs_come_in_the_order_of_their_last_change(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        for run_id, now in [("b", 10), ("\U0001f600", 10), ("\uffff", 10), ("a", 30), ("z", 20), ("live", 5)]:
            await create(store, run_id, now=1)
            await store.claim_run(run_id=run_id, lease_owner="gone", lease_ms=1 if run_id != "live" else 1000, now=now)
        await create(store, "queued", now=1)
        claims = await store.claim_stale_runs(now=100, limit=4, lease_owner="gone", lease_ms=50)
        assert [claim.run.run_id for claim in claims] == ["b", "\uffff", "\U0001f600", "z"]
        assert {claim.lease.expires_at for claim in claims} == {150}
        assert all(claim.run.lease == claim.lease and claim.run.updated_at == 100 for claim in claims)
        rest = await store.claim_stale_runs(now=149, limit=MAX, lease_owner="o", lease_ms=50)
        assert [claim.run.run_id for claim in rest] == ["a"]
        assert await store.claim_stale_runs(now=MAX - 50, limit=0, lease_owner="o", lease_ms=50) == []

    play(scenario)

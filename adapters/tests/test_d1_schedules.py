"""Schedules and their buckets: each in memory and in a file, plainly and under D1's rules."""

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


async def schedule(store: Any, schedule_id: str, next_fire_at: int | None = None, **fields: Any) -> None:
    due = {} if next_fire_at is None else {"next_fire_at": next_fire_at}
    values = {
        "workflow_id": "w",
        "schedule": {"kind": "interval", "everyMs": 5},
        "overlap_policy": "skip",
        "enabled": True,
        "now": 1,
        **due,
        **fields,
    }
    await store.upsert_schedule(schedule_id=schedule_id, **values)


def test_buckets(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await schedule(store, "b", 1000)
        await schedule(store, "a", 1000, input=None, workflow_version="v", overlap_policy="buffer-one")
        await schedule(store, "first", 0)
        await schedule(store, "off", 1, enabled=False)
        await schedule(store, "idle")
        await schedule(store, "later", 1001)
        buckets = await store.claim_due_schedule_buckets(now=1000, limit=2, **LEASE)
        assert to_wire(buckets) == [
            {
                "scheduleId": "first",
                "bucketId": "0",
                "workflowId": "w",
                "runId": "w:first:0",
                "fireAt": 0,
                "overlapPolicy": "skip",
            },
            {
                "scheduleId": "a",
                "bucketId": "1000",
                "workflowId": "w",
                "workflowVersion": "v",
                "runId": "w:a:1000",
                "fireAt": 1000,
                "input": None,
                "overlapPolicy": "buffer-one",
            },
        ]
        # Leased and started ones do not use up the limit.
        await store.mark_schedule_bucket_started(schedule_id="first", bucket_id="0", run_id="x", now=5)
        await store.mark_schedule_bucket_started(schedule_id="none", bucket_id="0", run_id="x", now=5)
        other = await store.claim_due_schedule_buckets(now=1000, limit=1, lease_owner="o2", lease_ms=5000)
        assert [bucket.schedule_id for bucket in other] == ["b"]
        # Fixed at the first claim, whatever the schedule says by then.
        await schedule(store, "a", 1000, input=7, workflow_id="new")
        again = await store.claim_due_schedule_buckets(now=1100, limit=9, lease_owner="o3", lease_ms=5)
        assert [bucket.schedule_id for bucket in again] == ["a", "later"]
        assert again[0] == buckets[1]
        assert await store.claim_due_schedule_buckets(now=1100, limit=0, lease_owner="o3", lease_ms=5) == []
        own = await store.claim_due_schedule_buckets(now=1101, limit=9, lease_owner="o3", lease_ms=5)
        assert [bucket.schedule_id for bucket in own] == ["a", "later"]

    play(scenario)


def test_the_latest_bucket_has_a_plain_decimal_id(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        await schedule(store, "s:1", MAX, workflow_id="é" * 501)
        assert await store.claim_due_schedule_buckets(now=MAX - 1, limit=9, lease_owner="o", lease_ms=1) == []
        await schedule(store, "s:1", MAX - 1, workflow_id="é" * 501)
        [bucket] = await store.claim_due_schedule_buckets(now=MAX - 1, limit=9, lease_owner="o", lease_ms=1)
        assert (bucket.bucket_id, bucket.run_id) == (str(MAX - 1), f"{'é' * 501}:s:1:{MAX - 1}")

    play(scenario)

"""Many callers at once, on one binding and on two bindings of one file: counts that no race may change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from pydantic import JsonValue
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1
from storeproof.spec.errors import LogConflict

Scenario: TypeAlias = Callable[[list[D1Store]], Awaitable[None]]
Play: TypeAlias = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "file", "two bindings"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Runs a scenario on two stores over one database."""
    path = ":memory:" if request.param == "memory" else str(tmp_path / "d1.db")

    @asynccontextmanager
    async def two_stores() -> AsyncGenerator[list[D1Store]]:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(LocalD1(path))
            second = await stack.enter_async_context(LocalD1(path)) if request.param == "two bindings" else first
            stores = [await stack.enter_async_context(D1Store(database)) for database in (first, second)]
            await asyncio.gather(*(store.ensure_schema() for store in stores))
            yield stores

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with two_stores() as stores:
                await scenario(stores)

        asyncio.run(main())

    return run


def test_rival_appends_have_one_winner_each_round(play: Play) -> None:
    async def scenario(stores: list[D1Store]) -> None:
        async def append(client: int, index: int) -> str:
            pair: list[dict[str, JsonValue]] = [{"type": "X", "ts": 1, "by": client, "n": n} for n in (0, 1)]
            try:
                await stores[client % 2].append_events(run_id="r", expected_next_index=index, events=pair)
            except LogConflict as conflict:
                return "conflict, and nothing there" if conflict.existing is None else "conflict"
            return "appended"

        for step in range(10):
            answers = await asyncio.gather(*(append(client, 2 * step) for client in range(8)))
            assert sorted(answers) == ["appended"] + ["conflict"] * 7
        stored = await stores[0].read_events(run_id="r")
        assert [row.event_index for row in stored] == list(range(20))
        assert [row.event["n"] for row in stored] == [0, 1] * 10
        assert all(stored[index].event["by"] == stored[index + 1].event["by"] for index in range(0, 20, 2))

    play(scenario)


def test_rival_claims_of_one_run(play: Play) -> None:
    async def scenario(stores: list[D1Store]) -> None:
        created = await asyncio.gather(
            *(stores[n % 2].create_run(run_id="r", workflow_id=f"w{n}", input=n, now=n) for n in range(8))
        )
        assert sorted(answer.kind for answer in created) == ["created"] + ["existing"] * 7
        assert len({answer.run.workflow_id for answer in created}) == 1
        answers = await asyncio.gather(
            *(stores[n % 2].claim_run(run_id="r", lease_owner=f"o{n}", lease_ms=9, now=20) for n in range(8))
        )
        assert sorted(answer.kind for answer in answers) == ["claimed"] + ["not-claimable"] * 7

    play(scenario)


def test_rival_claims_of_timers_runs_and_buckets_hand_out_each_once(play: Play) -> None:
    async def scenario(stores: list[D1Store]) -> None:
        store = stores[0]

        async def prepare(number: int) -> None:
            name = f"{number:02}"
            await store.schedule_timer(run_id=name, workflow_id="w", wake_at=1, signal_id="t", now=1)
            await store.create_run(run_id=name, workflow_id="w", input=None, now=1)
            await store.claim_run(run_id=name, lease_owner="gone", lease_ms=1, now=1)
            await store.upsert_schedule(
                schedule_id=name,
                workflow_id="w",
                schedule={"kind": "interval", "everyMs": 1},
                overlap_policy="skip",
                next_fire_at=1,
                enabled=True,
                now=1,
            )

        await asyncio.gather(*(prepare(number) for number in range(50)))

        async def claim(owner: str, of: D1Store) -> list[list[str]]:
            timers = await of.claim_due_timers(now=9, limit=7, lease_owner=owner, lease_ms=99)
            runs = await of.claim_stale_runs(now=9, limit=7, lease_owner=owner, lease_ms=99)
            buckets = await of.claim_due_schedule_buckets(now=9, limit=7, lease_owner=owner, lease_ms=99)
            return [
                [timer.run_id for timer in timers],
                [run.run.run_id for run in runs],
                [bucket.schedule_id for bucket in buckets],
            ]

        claims = await asyncio.gather(*(claim(f"o{n}", stores[n % 2]) for n in range(8)))
        for kind in zip(*claims, strict=True):
            assert sorted(name for names in kind for name in names) == [f"{number:02}" for number in range(50)]
            assert sorted(len(names) for names in kind) == [1] + [7] * 7

    play(scenario)


@pytest.mark.parametrize("ids", ["one id", "different ids"])
def test_rival_deliveries(play: Play, ids: str) -> None:
    async def scenario(stores: list[D1Store]) -> None:
        await stores[0].create_run(run_id="r", workflow_id="w", input=None, now=1)
        await stores[0].mark_run_paused(run_id="r", waiting_for={"signalName": "s"}, now=1)

        async def deliver(number: int) -> str:
            signal_id = "d" if ids == "one id" else f"d{number}"
            signal = {"signalId": signal_id, "name": "s", "payload": None}
            return (await stores[number % 2].deliver_signal(run_id="r", delivery=signal, now=2)).kind

        answers = sorted(await asyncio.gather(*(deliver(number) for number in range(8))))
        assert answers == ["delivered"] + ["duplicate" if ids == "one id" else "not-waiting"] * 7

    play(scenario)


def test_an_answered_write_is_seen_by_the_next_read(play: Play) -> None:
    async def scenario(stores: list[D1Store]) -> None:
        async def client(number: int) -> None:
            for step in range(20):
                await stores[0].append_events(
                    run_id=str(number), expected_next_index=step, events=[{"type": "X", "ts": step}]
                )
                for store in stores:
                    assert len(await store.read_events(run_id=str(number))) == step + 1

        await asyncio.gather(*(client(number) for number in range(6)))

    play(scenario)

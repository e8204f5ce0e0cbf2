"""The event log, subscriptions and refusals: in memory and in a file, plainly and under D1's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1
from storeproof.spec.errors import InvalidArgument, LogConflict
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


def test_append_and_read(play: Play) -> None:
    first = {"type": "STEP_STARTED", "ts": 5, "stepId": "s:1", "extra": {"type": "inner"}}
    second = {"type": "", "ts": MAX, "more": [1.0, "é"]}

    async def scenario(store: Any, database: LocalD1) -> None:
        assert to_wire(await store.append_events(run_id="r", expected_next_index=0, events=[])) == {"nextIndex": 0}
        appended = await store.append_events(run_id="r", expected_next_index=0, events=[first, second])
        assert to_wire(appended) == {"nextIndex": 2}
        assert to_wire(await store.append_events(run_id="r", expected_next_index=2, events=[])) == {"nextIndex": 2}
        stored = [
            {
                "runId": "r",
                "eventIndex": 0,
                "eventType": "STEP_STARTED",
                "stepId": "s:1",
                "event": first,
                "createdAt": 5,
            },
            {"runId": "r", "eventIndex": 1, "eventType": "", "event": second, "createdAt": MAX},
        ]
        stored = [{"runId": "r", **event} for event in stored]
        assert to_wire(await store.read_events(run_id="r")) == stored
        assert to_wire(await store.read_events(run_id="r", from_index=1)) == stored[1:]
        assert await store.read_events(run_id="r", from_index=MAX) == []
        await create(store)
        assert to_wire(await store.load_execution(run_id="r")) == {"run": run_wire(), "events": stored}
        assert to_wire(await store.get_run_timeline(run_id="r")) == {"run": run_wire(), "events": stored}

    play(scenario)


@pytest.mark.parametrize(
    ("index", "events", "existing"),
    [(0, 1, 0), (1, 1, 1), (3, 1, None), (MAX, 1, None), (0, 0, 0), (MAX, 0, None)],
)
def test_log_conflict(play: Play, index: int, events: int, existing: int | None) -> None:
    log = [{"type": "A", "ts": 1, "n": 0}, {"type": "B", "ts": 2, "n": 1}]

    async def scenario(store: Any, database: LocalD1) -> None:
        await store.append_events(run_id="r", expected_next_index=0, events=log)
        with pytest.raises(LogConflict) as caught:
            await store.append_events(run_id="r", expected_next_index=index, events=[{"type": "C", "ts": 3}] * events)
        conflict = caught.value
        assert (conflict.run_id, conflict.attempted_index) == ("r", index)
        assert conflict.existing == (None if existing is None else log[existing])
        assert len(await store.read_events(run_id="r")) == 2

    play(scenario)


def test_a_large_append(play: Play) -> None:
    events = [{"type": "X", "ts": number, "text": "é" * 100} for number in range(5000)]

    async def scenario(store: Any, database: LocalD1) -> None:
        answer = await store.append_events(run_id="r", expected_next_index=0, events=events)
        assert answer.next_index == 5000
        assert [stored.event for stored in await store.read_events(run_id="r")] == events

    play(scenario)


def test_bad_arguments_change_nothing(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        for field, call in [
            ("runId", store.create_run(run_id="", workflow_id="w", input=1, now=1)),
            ("input", store.create_run(run_id="r", workflow_id="w", input="\x00", now=1)),
            ("now", store.create_run(run_id="r", workflow_id="w", input=1, now=-1)),
            ("leaseMs", store.claim_run(run_id="r", lease_owner="o", lease_ms=0, now=1)),
            ("events[0].type", store.append_events(run_id="r", expected_next_index=0, events=[{"ts": 1}])),
            ("cursor", store.list_runs(limit=1, cursor="-1")),
        ]:
            with pytest.raises(InvalidArgument) as caught:
                await call
            assert caught.value.field == field
        assert await store.list_runs(limit=9) == []
        assert await store.read_events(run_id="r") == []

    play(scenario)


def test_a_megabyte_fits_and_a_larger_row_is_refused_whole(play: Play, request: pytest.FixtureRequest) -> None:
    text = "x" * (2**20)

    async def scenario(store: Any, database: LocalD1) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=text, now=1)
        await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1, "text": text}])
        assert (await store.read_events(run_id="r"))[0].event["text"] == text
        if "strict" in request.node.name:
            with pytest.raises(InvalidArgument) as caught:
                await store.append_events(run_id="r", expected_next_index=1, events=[{"type": text, "ts": 1}])
            assert caught.value.field == "events"
            with pytest.raises(InvalidArgument) as caught:
                await store.mark_run_finished(run_id="r", output=text, now=2)
            assert caught.value.field == "output"
            assert await loaded(store) == run_wire(input=text, createdAt=1, updatedAt=1)
        else:
            await store.mark_run_finished(run_id="r", output=text, now=2)
            assert (await store.load_run(run_id="r")).output == text

    play(scenario)


def test_subscriptions(play: Play) -> None:
    async def scenario(store: Any, database: LocalD1) -> None:
        seen: list[tuple[object, int]] = []
        events = [{"type": "X", "ts": number} for number in range(4)]
        await store.append_events(run_id="r", expected_next_index=0, events=events[:2])
        got_three = asyncio.Event()

        def callback(event: object, index: int) -> None:
            seen.append((event, index))
            if len(seen) == 3:
                got_three.set()

        unsubscribe = await store.subscribe_events(run_id="r", from_index=1, callback=callback)
        await store.append_events(run_id="r", expected_next_index=2, events=events[2:])
        with suppress(TimeoutError):
            await asyncio.wait_for(got_three.wait(), store.subscribe_delay_ms / 1000)
        await unsubscribe()
        await unsubscribe()
        assert seen == [(events[index], index) for index in (1, 2, 3)]

    play(scenario)

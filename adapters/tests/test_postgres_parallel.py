"""Many clients at once: one winner each, nothing lost, nothing handed out twice."""

from __future__ import annotations

import asyncio
from typing import Any

from storeproof.adapters.postgres import PostgresStore
from storeproof.spec.errors import LogConflict
from storeproof.spec.types import to_wire
from tests.embedded_postgres import on_store

SIGNAL: dict[str, Any] = {"signalId": "s", "name": "n", "payload": None}
EVENT: dict[str, Any] = {"type": "CUSTOM", "ts": 1}


async def _paused(store: PostgresStore, run_id: str = "r") -> None:
    await store.create_run(run_id=run_id, workflow_id="w", input=None, now=1)
    await store.mark_run_paused(run_id=run_id, waiting_for={"signalName": "n"}, now=2)


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


def test_parallel_appends_have_one_winner_each_round() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        async def append(writer: int, index: int) -> int:
            events: list[Any] = [{"type": f"W{writer}", "ts": index}] * 2
            try:
                await store.append_events(run_id="r", expected_next_index=index, events=events)
            except LogConflict:
                return 0
            return 1

        for index in range(0, 60, 2):
            assert sum(await asyncio.gather(*(append(writer, index) for writer in range(6)))) == 1
        stored = await store.read_events(run_id="r")
        assert [event.event_index for event in stored] == list(range(60))
        assert all(stored[index].event == stored[index + 1].event for index in range(0, 60, 2))

    on_store(scenario)


def test_parallel_deliveries_have_one_winner() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for number in range(30):
            await _paused(store, f"r{number}")
            deliveries = (store.deliver_signal(run_id=f"r{number}", delivery=SIGNAL, now=3) for _ in range(6))
            beats = store.heartbeat_run_lease(run_id=f"r{number}", lease_owner="o", lease_ms=5, now=4)
            kinds = sorted(answer.kind for answer in await asyncio.gather(*deliveries))
            await beats
            assert kinds == ["delivered"] + ["duplicate"] * 5

    on_store(scenario)


def test_parallel_creations_and_claims_have_one_winner() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for number in range(30):
            run_id = f"r{number}"
            created = await asyncio.gather(
                *(store.create_run(run_id=run_id, workflow_id=f"w{n}", input=n, now=n) for n in range(6))
            )
            assert sorted(answer.kind for answer in created) == ["created"] + ["existing"] * 5
            assert len({str(answer.run.to_wire()) for answer in created}) == 1
            claims: list[Any] = await asyncio.gather(
                *(store.claim_run(run_id=run_id, lease_owner=f"o{n}", lease_ms=5, now=9) for n in range(6))
            )
            assert sorted(answer.kind for answer in claims) == ["claimed"] + ["not-claimable"] * 5
            assert len({str(answer.run.to_wire()) for answer in claims}) == 1

    on_store(scenario)


def test_parallel_claims_never_hand_out_a_row_twice_and_get_all() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for number in range(40):
            await store.create_run(run_id=f"r{number}", workflow_id="w", input=None, now=1)
            await store.claim_run(run_id=f"r{number}", lease_owner="gone", lease_ms=1, now=1)
            await store.schedule_timer(run_id=f"r{number}", workflow_id="w", wake_at=5, signal_id="s", now=1)
            await _schedule(store, f"s{number}")
        for operation in (store.claim_due_timers, store.claim_due_schedule_buckets, store.claim_stale_runs):
            pages: list[Any] = []
            while sum(map(len, pages)) < 40:
                claim: Any = operation
                pages += await asyncio.gather(
                    *(claim(now=9, limit=7, lease_owner=f"o{n}", lease_ms=5) for n in range(6))
                )
            rows = [str(to_wire(row)) for page in pages for row in page]
            ids = {str(getattr(row, "run", row).run_id) for page in pages for row in page}
            assert (len(rows), len(ids)) == (40, 40)

    on_store(scenario)


def test_everything_at_once_on_one_run_ends_without_a_failure() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for number in range(25):
            await _paused(store)
            state: Any = {
                "runId": "r",
                "workflowId": "w",
                "status": "paused",
                "input": 1,
                "createdAt": 1,
                "updatedAt": 2,
            }
            await asyncio.gather(
                store.deliver_signal(run_id="r", delivery={**SIGNAL, "signalId": f"s{number}"}, now=3),
                store.schedule_timer(run_id="r", workflow_id="w", wake_at=4, signal_id=f"s{number}", now=3),
                store.delete_run(run_id="r", reason="finished"),
                store.save_run_state(state=state),
                store.create_run(run_id="r", workflow_id="w", input=None, now=5),
                store.claim_due_timers(now=9, limit=5, lease_owner="o", lease_ms=5),
                store.heartbeat_run_lease(run_id="r", lease_owner="o", lease_ms=5, now=4),
                store.append_events(run_id=f"r{number}", expected_next_index=0, events=[EVENT]),
                store.delete_run(run_id=f"r{number}", reason="finished"),
            )

    on_store(scenario)

"""The main answers of every operation, values that are easily altered, and the order of ids."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from storeproof.adapters.postgres import PostgresStore
from storeproof.spec.errors import InvalidArgument, LogConflict
from storeproof.spec.store import SubscribableStore
from storeproof.spec.types import to_wire
from storeproof.spec.values import MAX_INTEGER
from tests.embedded_postgres import on_store, session

LEASE: dict[str, Any] = {"lease_owner": "o", "lease_ms": 10}
# ids in code point order: upper case, lower case, a private use character, one outside the BMP
IDS = ["B", "a", "a:b", "é", "\ue000", "\U0001f600"]


def test_it_satisfies_the_protocol() -> None:
    store: SubscribableStore = PostgresStore("postgresql://nowhere", poll_ms=5)
    assert store.subscribe_delay_ms == 1005


def test_a_run_from_creation_to_its_end() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        created = await store.create_run(run_id="r", workflow_id="w", workflow_version="1", input=None, now=1)
        new = {"runId": "r", "workflowId": "w", "workflowVersion": "1", "status": "queued", "input": None}
        assert created.to_wire() == {"kind": "created", "run": {**new, "createdAt": 1, "updatedAt": 1}}
        again = await store.create_run(run_id="r", workflow_id="other", input=2, now=2)
        assert again.to_wire() == {"kind": "existing", "run": {**new, "createdAt": 1, "updatedAt": 1}}

        claimed: Any = await store.claim_run(run_id="r", now=5, **LEASE)
        assert (claimed.kind, claimed.run.status, claimed.run.lease.expires_at) == ("claimed", "running", 15)
        refused: Any = await store.claim_run(run_id="r", lease_owner="p", lease_ms=1, now=14)
        assert (refused.kind, refused.run) == ("not-claimable", claimed.run)
        assert (await store.claim_run(run_id="none", now=5, **LEASE)).kind == "not-found"
        await store.heartbeat_run_lease(run_id="r", lease_owner="p", lease_ms=99, now=6)
        await store.heartbeat_run_lease(run_id="r", now=6, **LEASE)
        [stale] = await store.claim_stale_runs(now=16, limit=3, lease_owner="p", lease_ms=4)
        assert (stale.lease.owner, stale.lease.expires_at, stale.run.updated_at) == ("p", 20, 16)
        await store.release_run_lease(run_id="r", lease_owner="o")
        assert (await store.claim_run(run_id="r", now=17, **LEASE)).kind == "not-claimable"
        await store.release_run_lease(run_id="r", lease_owner="p")

        await store.mark_run_paused(run_id="r", awaiting=[], waiting_for={"signalName": "n"}, wake_at=9, now=18)
        run = await store.load_run(run_id="r")
        assert run is not None
        waits: Any = {"awaiting": [], "waitingFor": {"signalName": "n"}, "wakeAt": 9}
        times = {"createdAt": 1, "updatedAt": 18}
        assert run.to_wire() == {**new, **waits, **times, "status": "paused"}
        await store.mark_run_errored(run_id="r", error={"name": "E", "message": "m"}, code="c", now=19)
        await store.mark_run_finished(run_id="r", output=None, now=20)
        run = await store.load_run(run_id="r")
        assert run is not None
        ended = {"status": "finished", "output": None, "error": {"name": "E", "message": "m"}, "updatedAt": 20}
        assert run.to_wire() == {**new, "createdAt": 1, **ended}
        assert (await store.claim_run(run_id="r", now=30, **LEASE)).kind == "not-claimable"

    on_store(scenario)


def test_a_saved_state_replaces_all_but_the_lease_and_is_deleted_with_the_run() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        await store.create_run(run_id="r", workflow_id="w", workflow_version="1", input=None, now=1)
        await store.claim_run(run_id="r", now=1, **LEASE)
        wait: Any = {"signalName": "__timer", "deadline": 7}
        state: Any = {"runId": "r", "workflowId": "v", "status": "paused", "input": 0, "createdAt": 2, "updatedAt": 3}
        await store.save_run_state(state={**state, "waitingFor": wait, "output": None})
        run, loaded = await store.load_run(run_id="r"), await store.load_run_state(run_id="r")
        lease = {"owner": "o", "expiresAt": 11}
        assert to_wire(loaded) == {**state, "waitingFor": wait, "output": None}
        assert to_wire(run) == {**state, "waitingFor": wait, "output": None, "wakeAt": 7, "lease": lease}
        await store.save_run_state(state={**state, "waitingFor": {"signalName": "other", "deadline": 7}})
        run = await store.load_run(run_id="r")
        assert run is not None
        assert "wakeAt" not in run.to_wire()
        assert "output" not in run.to_wire()
        await store.append_events(run_id="r", expected_next_index=0, events=[{"type": "X", "ts": 1}])
        await store.append_events(run_id="r2", expected_next_index=0, events=[{"type": "X", "ts": 1}])
        await store.schedule_timer(run_id="r", workflow_id="w", wake_at=1, signal_id="s", now=1)
        await store.delete_run(run_id="r", reason="aborted")
        assert await store.load_execution(run_id="r") is None
        assert await store.load_run_state(run_id="r") is None
        assert await store.read_events(run_id="r") == []
        assert await store.claim_due_timers(now=9, limit=9, **LEASE) == []
        assert len(await store.read_events(run_id="r2")) == 1

    on_store(scenario)


def test_signals_and_approvals_are_told_apart_and_matched() -> None:
    async def scenario(store: PostgresStore, schema: str) -> None:
        async def pause() -> None:
            both: Any = [
                {"type": "signal", "signalName": "n", "stepId": "1"},
                {"type": "approval", "approvalId": "a1", "title": "t"},
            ]
            await store.mark_run_paused(run_id="r", awaiting=both, now=2)

        async def signal(signal_id: str, **fields: Any) -> str:
            delivery = {"signalId": signal_id, "name": "n", "payload": 1, **fields}
            return (await store.deliver_signal(run_id="r", delivery=delivery, now=3)).kind

        async def approve(approval_id: str) -> str:
            approval: Any = {"approvalId": approval_id, "approved": False}
            return (await store.deliver_approval(run_id="r", approval=approval, now=3)).kind

        assert await signal("x") == "not-found"
        await store.create_run(run_id="r", workflow_id="w", input=None, now=1)
        assert await signal("x") == "not-waiting"
        await pause()
        assert await signal("x", name="other") == "not-waiting"
        assert await signal("x", stepId="2") == "not-waiting"
        assert await approve("a2") == "not-waiting"
        assert await approve("a1") == "delivered"
        await pause()
        assert [await approve("a1"), await signal("approval:a1", stepId="1")] == ["duplicate", "delivered"]
        await pause()
        assert [await signal("signal:approval:a1"), await signal("approval:a1")] == ["delivered", "duplicate"]
        async with session(schema) as other:
            rows = await other.run('select signal_id from workflow_signal_deliveries order by signal_id collate "C"')
            stored = [row[0] for row in rows]
        assert stored == ["approval:a1", "signal:approval:a1", "signal:signal:approval:a1"]

    on_store(scenario)


@pytest.mark.parametrize(
    "value",
    [
        [None, {}, [], "123", "null", "", True, 1, 0.1, -0.0, 5e-324, 1e308, -1e308, 2**53 - 1, 2**60, 1e16, 1.5e300],
        {"\U0001f600": "\ufffe", "%s %(x)s :x $1 {y} \\ ' \"": "\\u0000", "a": {"b": [[1]]}},
        None,
        "null",
    ],
)
def test_json_comes_back_equal(value: Any) -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        await store.create_run(run_id="r", workflow_id="w", input=value, now=1)
        await store.mark_run_finished(run_id="r", output=value, now=1)
        await store.append_events(
            run_id="r", expected_next_index=0, events=[{"type": "X", "ts": MAX_INTEGER, "stepId": "s", "value": value}]
        )
        execution = await store.load_execution(run_id="r")
        assert execution is not None
        assert (execution.run.input, execution.run.output) == (value, value)
        assert execution.events == await store.read_events(run_id="r")
        assert execution.events[0].event["value"] == value
        assert (execution.events[0].created_at, execution.events[0].step_id) == (MAX_INTEGER, "s")

    on_store(scenario)


def test_large_numbers_are_ordinary() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for index in (2**31 - 1, 2**31, MAX_INTEGER):
            with pytest.raises(LogConflict) as conflict:
                await store.append_events(run_id="r", expected_next_index=index, events=[{"type": "X", "ts": 1}])
            assert conflict.value.existing is None
            assert await store.read_events(run_id="r", from_index=index) == []
        await store.create_run(run_id="r", workflow_id="w", input=None, now=MAX_INTEGER)
        assert len(await store.list_runs(limit=MAX_INTEGER, cursor="0")) == 1
        assert await store.list_runs(limit=1, cursor="9" * 16) == []
        assert await store.claim_due_timers(now=0, limit=MAX_INTEGER, **LEASE) == []
        long_type = "".join(chr(0x4E00 + number) for number in range(9000))
        await store.append_events(run_id="r", expected_next_index=0, events=[{"type": long_type, "ts": 1}])
        long_id = "".join(chr(0x4E00 + number) for number in range(341))
        await store.schedule_timer(run_id=long_id, workflow_id=long_id, wake_at=1, signal_id=long_id[::-1], now=1)
        assert len(await store.claim_due_timers(now=1, limit=9, **LEASE)) == 1

    on_store(scenario)


def test_order_is_by_code_point_for_picks_and_for_lists() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        for name in reversed(IDS):
            await store.create_run(run_id=name, workflow_id="w", input=None, now=1)
            await store.claim_run(run_id=name, now=1, **LEASE)
            await store.schedule_timer(run_id=name, workflow_id="w", wake_at=1, signal_id="s", now=1)
            await store.upsert_schedule(
                schedule_id=name,
                workflow_id="w",
                schedule={"kind": "cron", "expression": ""},
                overlap_policy="allow",
                next_fire_at=3,
                enabled=True,
                now=1,
            )
        assert [run.run_id for run in await store.list_runs(limit=9)] == IDS
        assert [run.run_id for run in await store.list_runs(limit=2, cursor="1", workflow_id="w")] == IDS[1:3]
        assert await store.list_runs(limit=9, status="queued") == []
        for claimed in (3, 6):
            stale = await store.claim_stale_runs(now=20, limit=3, **LEASE)
            timers = await store.claim_due_timers(now=20, limit=3, **LEASE)
            buckets = await store.claim_due_schedule_buckets(now=20, limit=3, **LEASE)
            expected = IDS[claimed - 3 : claimed]
            if claimed == 3:
                assert [claim.run.run_id for claim in stale] == expected
                assert [timer.run_id for timer in timers] == expected
                assert [bucket.schedule_id for bucket in buckets] == expected
                assert buckets[0].run_id == "w:B:3"
            for bucket in buckets:
                await store.mark_schedule_bucket_started(
                    schedule_id=bucket.schedule_id, bucket_id="3", run_id="x", now=1
                )

    on_store(scenario)


def test_a_bucket_is_fixed_and_neither_started_nor_leased_ones_use_the_limit() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        async def put(schedule_id: str, workflow_id: str, **fields: Any) -> None:
            await store.upsert_schedule(
                schedule_id=schedule_id,
                workflow_id=workflow_id,
                schedule={"kind": "interval", "everyMs": 1},
                overlap_policy="skip",
                next_fire_at=5,
                enabled=True,
                now=1,
                **fields,
            )

        for name in "abc":
            await put(name, "w1", input=None)
        [first] = await store.claim_due_schedule_buckets(now=5, limit=1, **LEASE)
        await put("a", "w2")
        [again] = await store.claim_due_schedule_buckets(now=15, limit=1, lease_owner="p", lease_ms=9)
        assert again == first
        assert again.to_wire()["input"] is None
        await store.mark_schedule_bucket_started(schedule_id="a", bucket_id="5", run_id="r", now=16)
        [second] = await store.claim_due_schedule_buckets(now=16, limit=1, **LEASE)
        [third] = await store.claim_due_schedule_buckets(now=16, limit=1, lease_owner="q", lease_ms=9)
        assert [second.schedule_id, third.schedule_id] == ["b", "c"]

    on_store(scenario)


def test_bad_arguments_are_refused_and_change_nothing() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        with pytest.raises(InvalidArgument) as refusal:
            await store.create_run(run_id="r", workflow_id="w", input="\x00", now=1)
        assert refusal.value.field == "input"
        assert await store.load_run(run_id="r") is None

    on_store(scenario)


def test_subscriptions_see_other_stores_appends_and_end() -> None:
    async def scenario(store: PostgresStore, _schema: str) -> None:
        seen: list[int] = []
        event: Any = {"type": "X", "ts": 1}
        await store.append_events(run_id="r", expected_next_index=0, events=[event] * 3)
        end = await store.subscribe_events(run_id="r", from_index=1, callback=lambda _event, index: seen.append(index))
        await store.append_events(run_id="r", expected_next_index=3, events=[{"type": "X", "ts": 1}])
        async with asyncio.timeout(10):
            while len(seen) < 3:
                await asyncio.sleep(0.005)
        await end()
        await end()
        await store.append_events(run_id="r", expected_next_index=4, events=[{"type": "X", "ts": 1}])
        assert seen == [1, 2, 3]
        assert store.subscribe_delay_ms > 10

    on_store(scenario)

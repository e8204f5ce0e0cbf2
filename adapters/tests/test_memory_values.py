"""The memory store: queries, values in and out, subscriptions."""

import asyncio
from typing import Any

import pytest
from storeproof.adapters.memory import MemoryStore
from storeproof.spec.errors import InvalidArgument, LogConflict
from tests.memory_session import MAX, Session, event, lease, run


@pytest.fixture
def s() -> Session:
    return Session()


# Queries


def test_list_runs_by_update_in_pages(s: Session) -> None:
    for run_id, workflow_id, now in (("a", "w", 1), ("c", "w", 2), ("b", "w", 2), ("d", "v", 3)):
        s.create_run(run_id=run_id, workflow_id=workflow_id, input=1, now=now)
    s.claim_run(run_id="a", **lease(now=1))
    listed = s.list_runs(limit=9)
    assert [run["runId"] for run in listed] == ["d", "b", "c", "a"]
    assert listed[3] == {"runId": "a", "workflowId": "w", "status": "running", "createdAt": 1, "updatedAt": 1}
    assert [run["runId"] for run in s.list_runs(limit=2, cursor="1")] == ["b", "c"]
    assert s.list_runs(limit=MAX, cursor="9" * 16) == []
    assert s.list_runs(limit=0) == []
    assert [run["runId"] for run in s.list_runs(workflow_id="w", status="queued", limit=9, cursor="0")] == ["b", "c"]


# Values


def test_values_go_in_and_come_out_as_copies(s: Session) -> None:
    given: dict[str, Any] = {"deep": [{"a": 1}]}
    s.create_run(run_id="r", workflow_id="w", input=given, now=1)
    appended = event(value=given)
    s.append_events(run_id="r", expected_next_index=0, events=[appended])
    given["deep"][0]["a"] = 2
    for answer in (s.store.load_run(run_id="r"), s.store.load_execution(run_id="r")):
        loaded: Any = run(answer)
        input_ = loaded.input if hasattr(loaded, "input") else loaded.run.input
        assert input_ == {"deep": [{"a": 1}]}
        input_["deep"].clear()
    events = run(s.store.read_events(run_id="r"))
    events[0].event.clear()
    with pytest.raises(LogConflict) as conflict:
        s.append_events(run_id="r", expected_next_index=0, events=[])
    assert conflict.value.existing == {"type": "CUSTOM", "ts": 0, "value": {"deep": [{"a": 1}]}}
    assert conflict.value.existing is not None
    conflict.value.existing.clear()
    assert s.load_run(run_id="r")["input"] == {"deep": [{"a": 1}]}
    assert s.read_events(run_id="r")[0]["event"]["value"] == {"deep": [{"a": 1}]}


@pytest.mark.parametrize(
    "value", [None, "123", "null", 5e-324, 1e308, 2**53 - 1, 2**60, True, [], {}, "\U0001f600\ufffe"]
)
def test_json_comes_back_equal(s: Session, value: object) -> None:
    s.create_run(run_id="r", workflow_id="w", input=value, now=1)
    s.mark_run_finished(run_id="r", output=[value], now=2)
    loaded = s.load_run(run_id="r")
    assert loaded["input"] == value
    assert type(loaded["input"]) is type(value)
    assert loaded["output"] == [value]


def test_bad_arguments_change_nothing(s: Session) -> None:
    s.run()
    before = s.load_run(run_id="r")
    for field, operation, arguments in (
        ("leaseMs", "claim_run", lease("a", 0)),
        ("leaseMs", "claim_run", lease("a", MAX, 1)),
        ("now", "claim_run", lease("a", 1, -1)),
        ("leaseOwner", "heartbeat_run_lease", lease("")),
        ("output", "mark_run_finished", {"output": "\x00", "now": 1}),
        ("waitingFor", "mark_run_paused", {"waiting_for": {"signalName": "go", "more": 1}, "now": 1}),
        ("reason", "delete_run", {"reason": "tired"}),
    ):
        with pytest.raises(InvalidArgument) as refused:
            getattr(s, operation)(run_id="r", **arguments)
        assert refused.value.field.split(".")[0] == field
    assert s.load_run(run_id="r") == before


# Subscriptions


def test_events_are_handed_out_before_the_answer() -> None:
    async def scene() -> None:
        store = MemoryStore()
        got: list[int] = []
        await store.append_events(run_id="r", expected_next_index=0, events=[event(), event()])
        unsubscribe = await store.subscribe_events(
            run_id="r", from_index=1, callback=lambda event, index: got.append(index)
        )
        assert got == [1]
        await store.subscribe_events(run_id="r", from_index=3, callback=lambda event, index: got.append(100 + index))
        await store.append_events(run_id="other", expected_next_index=0, events=[event()])
        await store.append_events(run_id="r", expected_next_index=2, events=[event(), event()])
        assert got == [1, 2, 3, 103]
        await unsubscribe()
        await unsubscribe()
        await store.append_events(run_id="r", expected_next_index=4, events=[event()])
        assert got == [1, 2, 3, 103, 104]
        with pytest.raises(InvalidArgument, match=r"^fromIndex"):
            await store.subscribe_events(run_id="r", from_index=-1, callback=lambda event, index: None)

    asyncio.run(scene())


def test_a_failing_or_meddling_subscriber_harms_nobody() -> None:
    async def scene() -> None:
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        store = MemoryStore()
        got: list[object] = []

        def failing(event: dict[str, Any], index: int) -> None:
            event.clear()
            raise ValueError(index)

        await store.subscribe_events(run_id="r", from_index=0, callback=failing)
        await store.subscribe_events(run_id="r", from_index=0, callback=lambda event, index: got.append(event["ts"]))
        await store.append_events(run_id="r", expected_next_index=0, events=[event(7), event(8)])
        assert got == [7, 8]
        assert [stored.event["ts"] for stored in await store.read_events(run_id="r")] == [7, 8]
        assert reported == [f"A subscriber to run 'r' failed at event {index}." for index in (0, 1)]

    asyncio.run(scene())


def test_a_subscriber_may_append_and_unsubscribe_while_it_is_called() -> None:
    async def scene() -> None:
        store = MemoryStore()
        order: list[tuple[str, int]] = []

        def greedy(_event: dict[str, Any], index: int) -> None:
            order.append(("greedy", index))
            if index == 1:
                step = store.append_events(run_id="r", expected_next_index=2, events=[event()])
                with pytest.raises(StopIteration):  # nothing in it waits, so one step is the whole of it
                    step.send(None)
            if index == 2:
                with pytest.raises(StopIteration):
                    next(unsubscribe().__await__())

        unsubscribe = await store.subscribe_events(run_id="r", from_index=0, callback=greedy)
        await store.subscribe_events(
            run_id="r", from_index=0, callback=lambda event, index: order.append(("other", index))
        )
        await store.append_events(run_id="r", expected_next_index=0, events=[event(), event()])
        await store.append_events(run_id="r", expected_next_index=3, events=[event()])
        assert [index for who, index in order if who == "greedy"] == [0, 1, 2]
        assert [index for who, index in order if who == "other"] == [0, 1, 2, 3]

    asyncio.run(scene())

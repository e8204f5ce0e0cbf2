"""PollingSubscriptions against a log in memory: rulings 11 and 24."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from pydantic import JsonValue
from storeproof.adapters.subscriptions import PAGE, PollingSubscriptions
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.types import StoredEvent

Event: TypeAlias = dict[str, JsonValue]


class Log:
    """A log that is read like a database: every read suspends, answers a page, and can be made to fail."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.reads: list[tuple[str, int, int]] = []
        self.failures: list[Exception] = []
        self.gate: asyncio.Event | None = None

    def append(self, count: int = 1) -> None:
        for _ in range(count):
            index = len(self.events)
            event: Event = {"type": "CUSTOM", "ts": index, "value": {"n": index}}
            self.events.append(
                StoredEvent(run_id="r", event_index=index, event_type="CUSTOM", event=event, created_at=index)
            )

    async def read(self, run_id: str, from_index: int, limit: int) -> list[StoredEvent]:
        self.reads.append((run_id, from_index, limit))
        page = [stored for stored in self.events if stored.run_id == run_id][from_index : from_index + limit]
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        if self.failures:
            raise self.failures.pop(0)
        return page


def play(scene: Callable[[Log, PollingSubscriptions], Awaitable[None]], *, poll_ms: int = 2) -> list[str]:
    """Runs a scene, ends what it left subscribed, and answers what went to the loop's exception handler."""
    reported: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        log = Log()
        subscriptions = PollingSubscriptions(log.read, poll_ms=poll_ms)
        await scene(log, subscriptions)
        await subscriptions.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    return reported


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_replay_and_live_events_come_once_each_in_order() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[tuple[int, JsonValue]] = []
        log.append(3)
        await subscriptions.subscribe("r", 1, lambda event, index: got.append((index, event["ts"])))
        for _ in range(40):
            log.append()
            await asyncio.sleep(0)
        await until(lambda: len(got) == 42)
        await asyncio.sleep(0.01)
        assert got == [(index, index) for index in range(1, 43)]

    assert play(scene) == []


def test_a_long_log_is_read_in_pages_without_waiting_for_the_next_poll() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        log.append(2 * PAGE + 3)
        await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        await until(lambda: len(got) == 2 * PAGE + 3)
        assert got == list(range(2 * PAGE + 3))
        assert log.reads == [("r", 0, PAGE), ("r", PAGE, PAGE), ("r", 2 * PAGE, PAGE)]

    assert play(scene, poll_ms=3_600_000) == []


def test_wake_reads_before_the_next_poll_even_during_a_read() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        log.gate = asyncio.Event()
        await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        await until(lambda: len(log.reads) == 1)
        log.append()  # after the read has looked at the log
        subscriptions.wake("r")
        subscriptions.wake("another run")
        log.gate.set()
        await until(lambda: got == [0])
        log.append()
        subscriptions.wake("r")
        await until(lambda: got == [0, 1])
        assert len(log.reads) == 3

    assert play(scene, poll_ms=3_600_000) == []


def test_from_index_beyond_the_log_waits_for_that_index() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        log.append(1)
        await subscriptions.subscribe("r", 3, lambda event, index: got.append(index))
        log.append(4)
        await until(lambda: len(got) == 2)
        assert got == [3, 4]

    assert play(scene) == []


def test_after_unsubscribe_nothing_comes_and_twice_is_harmless() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        unsubscribe = await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        log.append()
        await until(lambda: got == [0])
        await unsubscribe()
        reads = len(log.reads)
        log.append()
        subscriptions.wake("r")
        await asyncio.sleep(0.01)
        await unsubscribe()
        assert got == [0]
        assert len(log.reads) == reads

    assert play(scene) == []


def test_unsubscribe_waits_for_a_read_under_way_and_drops_its_events() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        log.append(2)
        log.gate = asyncio.Event()
        unsubscribe = await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        await until(lambda: len(log.reads) == 1)
        ending = asyncio.ensure_future(unsubscribe())
        await asyncio.sleep(0.005)
        assert not ending.done()
        log.gate.set()
        await ending
        assert got == []

    assert play(scene) == []


def test_a_callback_may_unsubscribe_in_the_middle_of_a_page() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        endings: list[BaseException] = []

        def callback(event: Event, index: int) -> None:
            got.append(index)
            if index == 1:
                with pytest.raises(StopIteration) as ended:  # it runs in this very task, and must not wait for it
                    next(unsubscribe().__await__())
                endings.append(ended.value)

        log.append(5)
        unsubscribe = await subscriptions.subscribe("r", 0, callback)
        await until(lambda: len(endings) == 1)
        await unsubscribe()
        assert got == [0, 1]

    assert play(scene) == []


def test_a_task_started_by_a_callback_may_unsubscribe() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        tasks: list[asyncio.Future[None]] = []

        def callback(event: Event, index: int) -> None:
            got.append(index)
            tasks.append(asyncio.ensure_future(unsubscribe()))

        log.append(1)
        unsubscribe = await subscriptions.subscribe("r", 0, callback)
        await until(lambda: bool(tasks) and tasks[0].done())
        log.append(1)
        subscriptions.wake("r")
        await asyncio.sleep(0.01)
        assert got == [0]

    assert play(scene) == []


@pytest.mark.parametrize("error", [ValueError("mine"), asyncio.CancelledError()])
def test_a_failing_callback_harms_neither_others_nor_its_own_later_events(error: BaseException) -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        tried: list[int] = []

        def failing(event: Event, index: int) -> None:
            tried.append(index)
            raise error

        await subscriptions.subscribe("r", 0, failing)
        await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        log.append(2)
        await until(lambda: len(got) == 2 and len(tried) == 2)
        log.append(1)
        await until(lambda: got == [0, 1, 2] and tried == [0, 1, 2])

    assert play(scene) == [f"A subscriber to run 'r' failed at event {index}." for index in range(3)]


def test_events_are_the_subscribers_own_copies() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[object] = []

        def vandal(event: Event, index: int) -> None:
            got.append(event.pop("value"))
            event.clear()

        log.append(1)
        await subscriptions.subscribe("r", 0, vandal)
        await subscriptions.subscribe("r", 0, vandal)
        await until(lambda: len(got) == 2)
        assert got == [{"n": 0}, {"n": 0}]
        assert log.events[0].event == {"type": "CUSTOM", "ts": 0, "value": {"n": 0}}

    assert play(scene) == []


def test_a_read_that_is_unavailable_is_made_again_at_the_next_poll() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        log.failures = [StoreUnavailable(), StoreUnavailable()]
        log.append(2)
        await subscriptions.subscribe("r", 0, lambda event, index: got.append(index))
        await until(lambda: got == [0, 1])
        assert [start for _run, start, _limit in log.reads[:3]] == [0, 0, 0]

    assert play(scene) == []


def test_any_other_error_ends_the_subscription_and_is_reported() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        log.failures = [RuntimeError("a defect")]
        unsubscribe = await subscriptions.subscribe("r", 0, lambda event, index: None)
        await until(lambda: not log.failures)
        await asyncio.sleep(0.01)
        assert len(log.reads) == 1
        await unsubscribe()

    assert play(scene) == ["The subscription to run 'r' ended: its log could not be read."]


def test_close_ends_all_and_refuses_new_ones() -> None:
    async def scene(log: Log, subscriptions: PollingSubscriptions) -> None:
        got: list[int] = []
        for run_id in ("r", "r", "s"):
            await subscriptions.subscribe(run_id, 0, lambda event, index: got.append(index))
        await subscriptions.close()
        await subscriptions.close()
        log.append(1)
        subscriptions.wake("r")
        await asyncio.sleep(0.01)
        assert got == []
        with pytest.raises(StoreUnavailable, match="store is closed"):
            await subscriptions.subscribe("r", 0, lambda event, index: None)

    assert play(scene) == []


def test_poll_ms_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="poll_ms is 0"):
        PollingSubscriptions(Log().read, poll_ms=0)

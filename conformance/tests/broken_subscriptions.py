"""Stores whose subscriptions miss, repeat, share or outlive."""

# The defects reach into the memory store, whose parts are its own.
# pyright: reportPrivateUsage=false

from contextlib import suppress
from typing import Any

from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.memory_rows import Row
from storeproof.adapters.memory_subscribers import Subscriber, Subscribers
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.store import EventCallback, Unsubscribe
from tests.broken import Broken, broken


class NoReplay(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        log = self._logs.pop(run_id, [])
        unsubscribe = await super().subscribe_events(run_id=run_id, from_index=from_index, callback=callback)
        self._logs[run_id] = log
        for subscriber in self._subscribers._by_run[run_id]:
            subscriber._position = max(subscriber._position, len(log))
        return unsubscribe


class NoLive(MemoryStore):
    async def append_events(self, **given: Any) -> Any:
        subscribers, self._subscribers = self._subscribers, Subscribers()
        try:
            return await super().append_events(**given)
        finally:
            self._subscribers = subscribers


class LiveFromNow(MemoryStore):
    """fromIndex beyond the log's end is taken as the end."""

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        unsubscribe = await super().subscribe_events(run_id=run_id, from_index=from_index, callback=callback)
        for subscriber in self._subscribers._by_run[run_id]:
            subscriber._position = min(subscriber._position, len(self._logs.get(run_id, [])))
        return unsubscribe


class GivenTwice(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        def twice(event: Any, index: int) -> None:
            callback(event, index)
            if index % 7 == 0:
                callback(event, index)

        return await super().subscribe_events(run_id=run_id, from_index=from_index, callback=twice)


class ReplayInPages(MemoryStore):
    """Only the first thousand events are replayed."""

    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        def first(event: Any, index: int) -> None:
            if index < 1_000 or index >= 1_200:
                callback(event, index)

        return await super().subscribe_events(run_id=run_id, from_index=from_index, callback=first)


class EveryRun(MemoryStore):
    async def append_events(self, *, run_id: str, **given: Any) -> Any:
        answer = await super().append_events(run_id=run_id, **given)
        for other in list(self._subscribers._by_run):
            if other != run_id and other.lower() == run_id.lower():
                self._subscribers.publish(other, self._logs[run_id])
        return answer


class NeverEnds(MemoryStore):
    async def subscribe_events(self, **given: Any) -> Unsubscribe:
        await super().subscribe_events(**given)

        async def unsubscribe() -> None:
            return None

        return unsubscribe


class EndsOnce(MemoryStore):
    async def subscribe_events(self, **given: Any) -> Unsubscribe:
        end = await super().subscribe_events(**given)
        ended: list[bool] = []

        async def unsubscribe() -> None:
            if ended:
                raise RuntimeError("not subscribed")
            ended.append(True)
            await end()

        return unsubscribe


class FailureEndsSubscription(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        failed: list[bool] = []

        def guarded(event: Any, index: int) -> None:
            if not failed:
                failed.append(True)
                callback(event, index)
                failed.clear()

        return await super().subscribe_events(run_id=run_id, from_index=from_index, callback=guarded)


class _Unguarded(Subscriber):
    def catch_up(self, log: Any) -> None:
        while not self.ended and self._position < len(log):
            self._position += 1
            self._callback(dict(log[self._position - 1]["event"]), self._position - 1)


class FailureBreaksAppend(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        unsubscribe = await super().subscribe_events(run_id=run_id, from_index=from_index, callback=callback)
        for subscriber in self._subscribers._by_run[run_id]:
            subscriber.__class__ = _Unguarded
        return unsubscribe


class _Sharing(Subscriber):
    def catch_up(self, log: list[Row]) -> None:  # type: ignore[override]
        while not self.ended and self._position < len(log):
            self._position += 1
            with suppress(RuntimeError):
                self._callback(log[self._position - 1]["event"], self._position - 1)


class SharedEvents(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        unsubscribe = await super().subscribe_events(run_id=run_id, from_index=from_index, callback=callback)
        for subscriber in self._subscribers._by_run[run_id]:
            subscriber.__class__ = _Sharing
        return unsubscribe


class NegativeFromIndex(MemoryStore):
    async def subscribe_events(self, *, run_id: str, from_index: Any, callback: EventCallback) -> Unsubscribe:
        start = max(0, from_index) if from_index.__class__ is int else from_index
        return await super().subscribe_events(run_id=run_id, from_index=start, callback=callback)


class FieldUnnamed(MemoryStore):
    async def subscribe_events(self, **given: Any) -> Unsubscribe:
        try:
            return await super().subscribe_events(**given)
        except InvalidArgument as error:
            raise InvalidArgument("callback", error.problem) from None


SUBSCRIPTIONS: tuple[Broken, ...] = (
    broken(NoReplay, "what was there before is not given", "subscribeEvents.replay"),
    broken(NoLive, "what is appended later is not given", "subscribeEvents.live"),
    broken(LiveFromNow, "fromIndex beyond the end is taken as the end", "subscribeEvents.live"),
    broken(GivenTwice, "some events are given twice", "subscribeEvents.once", "subscribeEvents.replay"),
    broken(ReplayInPages, "a long log is replayed in part", "subscribeEvents.once"),
    broken(EveryRun, "events of a run whose id differs in case are given", "subscribeEvents.own-run"),
    broken(NeverEnds, "unsubscribing does nothing", "subscribeEvents.unsubscribed"),
    broken(EndsOnce, "unsubscribing twice raises", "subscribeEvents.unsubscribed"),
    broken(FailureEndsSubscription, "a failing callback ends its subscription", "subscribeEvents.failing-callback"),
    broken(FailureBreaksAppend, "a failing callback breaks the append", "subscribeEvents.failing-callback"),
    broken(SharedEvents, "subscribers get the log's own events", "subscribeEvents.own-copies"),
    broken(NegativeFromIndex, "a negative fromIndex is taken", "subscribeEvents.arguments", careful=False),
    broken(FieldUnnamed, "InvalidArgument names the wrong field", "subscribeEvents.arguments", careful=False),
)

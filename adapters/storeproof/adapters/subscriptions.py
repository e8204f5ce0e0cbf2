"""Subscriptions for stores that can only be asked: each reads its run's log on and on (rulings 11 and 24).

One task per subscription reads pages of events from its own position, so replay and live are the same thing and no gap
between them can exist. Refused: pushing appended events to the subscribers, because another process appends too.
Knows no SQL, no driver and no operation; the store gives it one function that reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import TypeAlias

from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.store import EventCallback, Unsubscribe
from storeproof.spec.types import StoredEvent

PAGE = 500
"""Events asked for in one read."""

ReadEvents: TypeAlias = Callable[[str, int, int], Awaitable[list[StoredEvent]]]
"""Called with run id, from index and limit; answers the stored events by index, at most `limit` of them."""


class PollingSubscriptions:
    """The subscriptions of one store, on one event loop."""

    def __init__(self, read: ReadEvents, *, poll_ms: int) -> None:
        """`poll_ms`: milliseconds between two reads of an idle log. Raises ValueError below 1."""
        if poll_ms < 1:
            raise ValueError(f"poll_ms is {poll_ms}; a subscription needs at least 1 millisecond between two reads")
        self._read = read
        self._poll_ms = poll_ms
        self._following: dict[str, set[_Subscription]] = {}
        self._closed = False

    async def subscribe(self, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        """Calls `callback` for every event from `from_index` on, once each and in order, until unsubscribed.

        It returns before the first event is handed out. A read that ends in StoreUnavailable is made again at the next
        poll; any other error ends this subscription and goes to the event loop's exception handler. What comes after
        the run's log was deleted is open (ruling 24): here, events from the old position on.
        Raises StoreUnavailable after `close`.
        """
        if self._closed:
            raise StoreUnavailable("The store is closed; subscribe before close() or open another store.")
        subscription = _Subscription(run_id, from_index, callback)
        self._following.setdefault(run_id, set()).add(subscription)
        subscription.task = asyncio.create_task(self._follow(subscription), name=f"subscription to {run_id!r}")
        return subscription.end

    def wake(self, run_id: str) -> None:
        """Reads this run's log now and not only at the next poll; to be called after an append by this process."""
        for subscription in self._following.get(run_id, ()):
            subscription.woken.set()

    async def close(self) -> None:
        """Ends every subscription: no callback is called and nothing is read after it. Twice is harmless."""
        self._closed = True
        subscriptions = [subscription for group in self._following.values() for subscription in group]
        await asyncio.gather(*(subscription.end() for subscription in subscriptions))

    async def _follow(self, subscription: _Subscription) -> None:
        try:
            while not subscription.ended:
                # Cleared before the read: an append during the read then causes another one.
                subscription.woken.clear()
                try:
                    page = await self._read(subscription.run_id, subscription.position, PAGE)
                except StoreUnavailable:
                    page = []
                subscription.hand_out(page)
                if len(page) < PAGE:
                    await subscription.pause(self._poll_ms)
        except Exception as error:
            _report(f"The subscription to run {subscription.run_id!r} ended: its log could not be read.", error)
        finally:
            self._forget(subscription)

    def _forget(self, subscription: _Subscription) -> None:
        group = self._following.get(subscription.run_id, set())
        group.discard(subscription)
        if not group:
            self._following.pop(subscription.run_id, None)


class _Subscription:
    """One subscriber and how far it has got."""

    def __init__(self, run_id: str, from_index: int, callback: EventCallback) -> None:
        self.run_id = run_id
        self.position = from_index
        self.woken = asyncio.Event()
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._callback = callback

    def hand_out(self, page: list[StoredEvent]) -> None:
        """No await between looking at `ended` and the callback: after `end` no event can slip out."""
        for stored in page:
            if self.ended:
                return
            self.position = stored.event_index + 1
            try:
                self._callback(deepcopy(stored.event), stored.event_index)
            # A callback is not a coroutine, so a CancelledError here is its own and not the end of this task.
            except (Exception, asyncio.CancelledError) as error:
                _report(f"A subscriber to run {self.run_id!r} failed at event {stored.event_index}.", error)

    async def pause(self, milliseconds: int) -> None:
        try:
            async with asyncio.timeout(milliseconds / 1000):
                await self.woken.wait()
        except TimeoutError:
            pass

    async def end(self) -> None:
        """Unsubscribes and waits until the task is over.

        A read under way is waited for and not cancelled: cutting a statement costs most drivers their connection. A
        call from inside the task itself does not wait, since it would wait for itself.
        """
        self.ended = True
        self.woken.set()
        task = self.task
        if task is not None and task is not asyncio.current_task() and not task.done():
            await asyncio.wait([task])


def _report(message: str, error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

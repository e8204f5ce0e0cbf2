"""Subscriptions with a gap, with events twice, and with events after their end, for both backends.

They have what `PollingSubscriptions` has, but for the defect: an append wakes nobody, so the next poll finds it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy

from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.store import EventCallback, Unsubscribe
from storeproof.spec.types import StoredEvent

ReadSome = Callable[[str, int, int], Awaitable[list[StoredEvent]]]
"""Run id, from index, limit."""
Length = Callable[[str], Awaitable[int]]
"""The length of a run's log."""
Live = Callable[[int], Awaitable[Unsubscribe]]
"""Follows the log from an index on."""

_ALL = 1_000_000


def give(callback: EventCallback, page: Sequence[StoredEvent]) -> None:
    """Hands events out; a failing callback is told to the event loop."""
    for stored in page:
        try:
            callback(deepcopy(stored.event), stored.event_index)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": "a subscriber failed", "exception": error})


async def gap(
    read: ReadSome, length: Length, live: Live, run_id: str, from_index: int, callback: EventCallback
) -> Unsubscribe:
    """Replays, then asks for the log's length and follows from there."""
    give(callback, await read(run_id, from_index, _ALL))
    return await live(max(from_index, await length(run_id)))


async def twice(
    read: ReadSome, length: Length, live: Live, run_id: str, from_index: int, callback: EventCallback
) -> Unsubscribe:
    """Asks for the log's length, replays to whatever its end is by then, and follows from that length."""
    start = max(from_index, await length(run_id))
    give(callback, await read(run_id, from_index, _ALL))
    return await live(start)


class Followers:
    """Polls each subscription in a task of its own."""

    def __init__(self, read: ReadSome, length: Length | None, poll_ms: int) -> None:
        """With `length` the next read begins at the log's length, asked for after the read: a gap. Without, events that
        were read are handed out even if the subscriber has left meanwhile.
        """
        self._read = read
        self._length = length
        self._poll_ms = poll_ms
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def subscribe(self, run_id: str, from_index: int, callback: EventCallback) -> Unsubscribe:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        ended = asyncio.Event()
        task = asyncio.create_task(self._follow(run_id, from_index, callback, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        async def end() -> None:
            ended.set()
            if self._length is not None and task is not asyncio.current_task() and not task.done():
                await asyncio.wait([task])

        return end

    async def close(self) -> None:
        """Ends all of them."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow(self, run_id: str, position: int, callback: EventCallback, ended: asyncio.Event) -> None:
        while not (ended.is_set() or self._closed):
            try:
                page = await self._read(run_id, position, _ALL)
                if self._length is None:
                    give(callback, page)
                    position += len(page)
                else:
                    if not ended.is_set():
                        give(callback, page)
                    position = max(position, await self._length(run_id))
            except StoreUnavailable:
                pass  # again at the next poll
            try:
                async with asyncio.timeout(self._poll_ms / 1000):
                    await ended.wait()
            except TimeoutError:
                pass

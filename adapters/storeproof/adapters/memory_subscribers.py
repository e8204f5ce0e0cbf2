"""The subscribers of the memory store: who follows which run's log, and how far each has got (rulings 11 and 24).

Knows no operation and keeps no event; the store lends it the log. It calls back at once, in the caller's own step, so
an event is handed out before the answer of the append that brought it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy

from storeproof.adapters.memory_rows import Row
from storeproof.spec.store import EventCallback


class Subscribers:
    """All subscribers of one store."""

    def __init__(self) -> None:
        self._by_run: dict[str, list[Subscriber]] = {}

    def add(self, run_id: str, from_index: int, callback: EventCallback) -> Subscriber:
        subscriber = Subscriber(run_id, from_index, callback)
        self._by_run.setdefault(run_id, []).append(subscriber)
        return subscriber

    def remove(self, subscriber: Subscriber) -> None:
        """Ends a subscription; twice is harmless."""
        subscriber.ended = True
        remaining = [other for other in self._by_run.get(subscriber.run_id, []) if other is not subscriber]
        if remaining:
            self._by_run[subscriber.run_id] = remaining
        else:
            self._by_run.pop(subscriber.run_id, None)

    def publish(self, run_id: str, log: Sequence[Row]) -> None:
        """Brings every subscriber of the run up to the end of its log."""
        for subscriber in list(self._by_run.get(run_id, [])):
            subscriber.catch_up(log)


class Subscriber:
    """One callback and the index of the next event it gets.

    Replay and live events go the same way, from a position, so nothing can come twice or be left out, even where a
    callback appends to the log it is being told about. After the run was deleted the position stays (ruling 24).
    """

    def __init__(self, run_id: str, position: int, callback: EventCallback) -> None:
        self.run_id = run_id
        self.ended = False
        self._position = position
        self._callback = callback

    def catch_up(self, log: Sequence[Row]) -> None:
        """Hands out every event from the position on; what the callback raises goes to the loop's handler."""
        while not self.ended and self._position < len(log):
            index = self._position
            self._position += 1
            try:
                self._callback(deepcopy(log[index]["event"]), index)
            # A callback is not a coroutine, so a CancelledError here is its own and ends nothing.
            except (Exception, asyncio.CancelledError) as error:
                message = f"A subscriber to run {self.run_id!r} failed at event {index}."
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

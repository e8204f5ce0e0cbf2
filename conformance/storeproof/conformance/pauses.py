"""Makes the pauses of followers take no time: a poll comes when nobody else can move, not when a clock says so.

Only of tasks that a client started, and only short ones: a guard against a broken connection stays what it is. Knows
the event loop's timers and nothing of subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from storeproof.conformance.points import Timer
from storeproof.conformance.scheduling import Scheduler


@contextmanager
def pauses_are_points(scheduler: Scheduler, longest_s: float) -> Generator[None]:
    """While it is open, timers of followers of up to so many seconds end when the scheduler says so."""
    loop: Any = asyncio.get_running_loop()
    original = loop.call_at

    def call_at(
        when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        follower = scheduler.steered(asyncio.current_task()) if when - loop.time() <= longest_s else None
        if follower is None:
            handle: asyncio.TimerHandle = original(when, callback, *args, context=context)
            return handle
        handle = asyncio.TimerHandle(when, callback, args, loop, context)
        follower.timers.append(Timer(when, handle, lambda: loop.call_soon(callback, *args, context=context)))
        return handle

    try:
        loop.call_at = call_at
    except AttributeError:  # a loop that is not Python's own: its pauses take their time
        yield
        return
    try:
        yield
    finally:
        del loop.call_at

"""Ends a call that blocks the event loop, where asyncio's time-out cannot: `time.sleep`, an endless loop, a lock.

An alarm signal interrupts the main thread. In other threads, and where there is no such signal, it does nothing.
Another user's timer, such as pytest-timeout's, is put back afterwards.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

PATIENCE_S = 5.0
"""Seconds that a cancelled call gets to clean up, such as to cancel a query on its server."""


class Blocked(BaseException):
    """The time is over. Not an Exception: a store that catches every Exception must not catch this."""


abandoned: list[object] = []
"""Tasks that would not end. Kept, because taking one away runs its code again, perhaps for ever."""


@contextmanager
def watch(limit_s: float) -> Generator[None]:
    """Raises Blocked in the body when it takes longer than so many seconds.

    Where the event loop is idle, nothing blocks it: what was cancelled may be cleaning up, and gets PATIENCE_S more.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return
    patient = False

    def bark(_number: int, _frame: object) -> None:
        nonlocal patient
        if patient or not _idle():
            raise Blocked
        patient = True
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, bark)
    left, interval = signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - started)), interval)


def _idle() -> bool:
    """Whether an event loop runs here and waits."""
    try:
        return asyncio.current_task() is None
    except RuntimeError:
        return False

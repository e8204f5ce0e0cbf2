"""How the command ends even where a store has left a thread behind that never does."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import NoReturn

from storeproof.conformance.watchdog import abandoned

PATIENCE_S = 2.0
"""Seconds in which the threads of a store may still end by themselves."""


def leave(code: int) -> NoReturn:
    """Leaves with the exit code; Python alone would wait for every thread, also for one that hangs for ever."""
    until = time.monotonic() + PATIENCE_S
    while _others() and time.monotonic() < until:
        time.sleep(0.01)
    if not _others() and not abandoned:
        sys.exit(code)
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # the embedded server stops there; os._exit skips it
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _others() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]

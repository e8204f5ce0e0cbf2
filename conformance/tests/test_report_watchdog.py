"""The alarm that ends a call which blocks the event loop."""

from __future__ import annotations

import signal
import threading
import time
from typing import NoReturn

import pytest
from storeproof.conformance.watchdog import Blocked, watch


def test_it_interrupts_and_leaves_no_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Blocked), watch(0.05):
        time.sleep(30)
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))


def loop_that_catches_every_exception() -> NoReturn:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def test_it_ends_a_loop_that_catches_every_exception() -> None:
    with pytest.raises(Blocked), watch(0.05):
        loop_that_catches_every_exception()


def test_it_lets_quick_calls_alone() -> None:
    with watch(30):
        done = True
    assert (done, signal.getitimer(signal.ITIMER_REAL)) == (True, (0.0, 0.0))


def test_it_puts_another_timer_back() -> None:
    fired: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: fired.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with watch(30):
            pass
        time.sleep(0.4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert fired == [signal.SIGALRM]


def test_it_does_nothing_in_other_threads() -> None:
    ended: list[str] = []

    def work() -> None:
        with watch(0.01):
            time.sleep(0.1)
        ended.append("well")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert ended == ["well"]

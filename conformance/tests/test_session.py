"""Which rule a session says is broken."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.targets import Reopenable, StoreTarget, made_by
from storeproof.conformance.vectors import recorded_programs
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load
from tests.broken_leases import LeaseHoldsAtItsEnd
from tests.broken_timers import TimerTiesBySignal


def rules_named(store: type[Any], check: str) -> list[list[str]]:
    specification = load()
    report = verify(made_by(store, "store", specification), specification, PROFILES["quick"], seed=1, checks=(check,))
    assert report.error is None
    return [failure.rules for failure in report.failures]


def test_ids_that_are_listed_in_another_order_are_not_confused() -> None:
    named = rules_named(TimerTiesBySignal, "ids")
    assert ["claimDueTimers.ties"] in named
    assert not {"ids.opaque", "ids.kinds", "ids.length"} & {rule for rules in named for rule in rules}


def test_what_fails_for_another_reason_does_not_end_the_check_of_durability() -> None:
    """A store that keeps everything and compares a lease wrongly: all programs are tried, not the first three."""

    @asynccontextmanager
    async def make_store() -> AsyncGenerator[Reopenable]:
        kept = LeaseHoldsAtItsEnd()

        @asynccontextmanager
        async def opened() -> AsyncGenerator[LeaseHoldsAtItsEnd]:
            yield kept

        yield Reopenable(opened)

    specification = load()
    target = StoreTarget("store", make_store, specification)
    report = verify(target, specification, PROFILES["quick"], seed=1, checks=("durability",))
    assert report.error is None
    assert report.failures
    assert not any("durability.reopened" in failure.rules for failure in report.failures)
    assert report.programs["durability"] > len(list(recorded_programs()))

"""Which rule a session says is broken."""

from __future__ import annotations

from typing import Any

from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.targets import made_by
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load
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

"""What one client shows too is no race; what only its reading shows in another order says nothing about the race."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Operation
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.races import Tried
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.targets import StoreTarget
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load

ORDER = "claimDueTimers.order"
# The first one leaves both timers where they are.
SIGNALS = tuple(call for call in INSTANCES if call.operation == "deliverSignal")[::-1]


class LastFirst(MemoryStore):
    """Hands out due timers in the wrong order."""

    async def claim_due_timers(self, **given: Any) -> Any:
        return (await super().claim_due_timers(**given))[::-1]


class AndNoStaleRuns(LastFirst):
    """The same, and a claim of stale runs finds none, which the reading shows after the timers."""

    async def claim_stale_runs(self, **_: Any) -> Any:
        return []


@pytest.mark.parametrize(("store", "alone"), [(LastFirst, False), (AndNoStaleRuns, True)])
def test_rows_in_a_wrong_order_hide_no_race(store: type[MemoryStore], alone: bool) -> None:
    runner = Runner(StoreTarget("store", lambda: nullcontext(store()), load()), Model(load()))
    runner.open()
    try:
        session = Session(runner, PROFILES["quick"], 1)
        findings = RaceFindings(session, "histories")
        assert findings.told_as_sequence(two_deliveries()) is alone
    finally:
        runner.close()
    assert session.misordered == {ORDER}
    assert ORDER in {failure.rules[0] for failure in session.failures}


def two_deliveries() -> Tried:
    """One wait that took two signals, as several clients may have seen it."""
    history = tuple(Operation(number, call, number, 9, Returned(None)) for number, call in enumerate(SIGNALS))
    wrong = Wrong((LINEARIZABLE,), "both were delivered", "not-waiting", "delivered", history, (), False)
    scenario = Scenario(WORLDS["waiting"], tuple((call,) for call in SIGNALS))
    return Tried(scenario, wrong, Encounter(history, (), (), (), None, None))

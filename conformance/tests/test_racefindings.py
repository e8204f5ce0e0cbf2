"""What one client shows too is no race; what only its reading shows in another order says nothing about the race."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
from storeproof.adapters.memory import MemoryStore
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.closing import READER
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Operation
from storeproof.conformance.judgement import judge
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.races import Tried, after
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.targets import StoreTarget
from storeproof.conformance.verify import verify
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load

ORDER = "claimDueTimers.order"
# The first one leaves both timers where they are.
SIGNALS = tuple(call for call in INSTANCES if call.operation == "deliverSignal")[::-1]

CLAIM = next(call for call in INSTANCES if call.operation == "claimDueTimers" and call.args["limit"] > 1)

FINISH = next(call for call in INSTANCES if call.operation == "markRunFinished")


class LastFirst(MemoryStore):
    """Hands out due timers in the wrong order."""

    async def claim_due_timers(self, **given: Any) -> Any:
        return (await super().claim_due_timers(**given))[::-1]


class AndNoStaleRuns(LastFirst):
    """The same, and a claim of stale runs finds none, which the reading shows after the timers."""

    async def claim_stale_runs(self, **_: Any) -> Any:
        return []


class SometimesLastFirst(MemoryStore):
    """Hands them out in the wrong order every seventh time, and never to who reads the state."""

    times = 0

    async def claim_due_timers(self, **given: Any) -> Any:
        due = await super().claim_due_timers(**given)
        SometimesLastFirst.times += not given["lease_owner"].startswith(READER)
        return due if SometimesLastFirst.times % 7 else due[::-1]


@contextmanager
def findings_on(store: type[MemoryStore]) -> Generator[RaceFindings]:
    """What a check of several clients finds on such a store."""
    runner = Runner(StoreTarget("store", lambda: nullcontext(store()), load()), Model(load()))
    runner.open()
    try:
        yield RaceFindings(Session(runner, PROFILES["quick"], 1), "histories")
    finally:
        runner.close()


@pytest.mark.parametrize(("store", "alone"), [(LastFirst, False), (AndNoStaleRuns, True)])
@pytest.mark.parametrize("setup", [WORLDS["waiting"], (*WORLDS["waiting"], CLAIM)])
def test_rows_in_a_wrong_order_hide_no_race(store: type[MemoryStore], alone: bool, setup: Program) -> None:
    with findings_on(store) as findings:
        assert findings.told_as_sequence(two_deliveries(setup)) is alone
    session = findings.session
    assert session.misordered == {ORDER}
    assert ORDER in {failure.rules[0] for failure in session.failures}


def test_a_load_that_leaves_rows_in_a_wrong_order_is_told_by_their_rule() -> None:
    """Statements of such a store are not seen, and the reading after a load breaks no other rule."""
    target = StoreTarget("store", lambda: nullcontext(LastFirst()), load())
    report = verify(target, load(), PROFILES["quick"], seed=1, checks=("histories",))
    assert report.error is None
    assert [failure.rules for failure in report.failures] == [[ORDER]]
    assert report.failures[0].clients == []


@pytest.mark.parametrize(("store", "alone"), [(SometimesLastFirst, True), (MemoryStore, False)])
def test_rows_that_come_in_a_wrong_order_by_chance_are_no_race(store: type[MemoryStore], alone: bool) -> None:
    with findings_on(store) as findings:
        assert findings.told_as_sequence(two_claims()) is alone
    assert findings.session.misordered == ({ORDER} if alone else set())


def test_what_one_client_is_left_with_is_told_by_its_own_rule() -> None:
    """Even where the store is right when the small program is run once more."""
    with findings_on(MemoryStore) as findings:
        assert not findings.add(two_claims(), lambda _: one_claim())
        (failure,) = findings.session.failures
        assert failure.rules == [ORDER]
        assert failure.clients == []
        assert [step["op"] for step in failure.program][-1] == "claimDueTimers"
        assert not findings.told_before(two_claims())  # the next one may be a race


def test_each_two_operations_that_are_not_linearizable_are_told_once() -> None:
    """The rule alone names no defect: behind two deliveries a delivery to a run that has ended would not be told."""
    with findings_on(MemoryStore) as findings:
        for met in (SIGNALS, SIGNALS[::-1], (SIGNALS[0], FINISH), (FINISH, SIGNALS[1])):
            findings.add(wrong(*met), lambda _: None)
        assert [[client[0]["op"] for client in each.clients] for each in findings.session.failures] == [
            ["deliverSignal", "deliverSignal"],
            ["deliverSignal", "markRunFinished"],
        ]
        assert findings.stories == 2


def test_many_races_of_one_operation_leave_room_for_those_of_others() -> None:
    later = {call.operation: call for call in INSTANCES if call.operation > SIGNALS[0].operation}
    others = list(later.values())[:5]
    with findings_on(MemoryStore) as findings:
        for other in others:
            findings.add(wrong(SIGNALS[0], other), lambda _: None)
        assert findings.stories == len(others) > PROFILES["quick"].most_told
        for name in ("claimRun", "claimDueTimers", "claimStaleRuns"):
            assert not findings.enough
            findings.add(wrong(next(call for call in INSTANCES if call.operation == name), SIGNALS[0]), lambda _: None)
        assert findings.enough


def test_of_many_operations_what_may_have_been_told_is_not_told_again() -> None:
    many = wrong(SIGNALS[0], FINISH, *(CLAIM,) * 3)
    with findings_on(MemoryStore) as findings:
        assert not findings.told_before(many)
        findings.add(many, lambda smaller: wrong(*SIGNALS) if smaller.width == 2 else None)
        assert len(findings.session.failures) == 1
        assert findings.told_before(many)
        findings.add(wrong(*SIGNALS), lambda _: None)
        assert len(findings.session.failures) == 1


def wrong(*met: Call) -> Tried:
    """Answers of as many clients that no order explains; the first one's fits nowhere."""
    history = tuple(Operation(number, call, number, 99, Returned(None)) for number, call in enumerate(met))
    operations = load().operations
    rules = (LINEARIZABLE, *dict.fromkeys(operations[call.operation].rules[-1].id for call in met))
    said = Wrong(rules, "no order", "not-waiting", "delivered", history, (), False, history[0])
    scenario = Scenario(WORLDS["waiting"], tuple((call,) for call in met))
    return Tried(scenario, said, Encounter(history, (), (), (), None, None))


def two_claims() -> Tried:
    """Two claims at once, one of which got both timers in the wrong order."""
    return claims(CLAIM, replace(CLAIM, args={**CLAIM.args, "leaseOwner": "p"}))


def one_claim() -> Tried:
    """The same without the other claim."""
    return claims(CLAIM)


def claims(*calls: Call) -> Tried:
    """The first of several clients got both timers in the wrong order, the others nothing."""
    model, setup = Model(load()), WORLDS["waiting"]
    step = model.step(after(model, setup), CLAIM.operation, CLAIM.args)
    assert isinstance(step.outcome, Returned)
    got = [list(step.outcome.value)[::-1], *([] for _ in calls[1:])]
    history = tuple(
        Operation(number, call, number, 9, Returned(answer))
        for number, (call, answer) in enumerate(zip(calls, got, strict=True))
    )
    alone = judge(model, after(model, setup), CLAIM, step, Returned(got[0]))
    wrong = Wrong((LINEARIZABLE,), "no order", "x, y", "y, x", history, (), False, history[0], alone)
    return Tried(Scenario(setup, tuple((call,) for call in calls)), wrong, Encounter(history, (), (), (), None, None))


def two_deliveries(setup: Program) -> Tried:
    """One wait that took two signals, as several clients may have seen it."""
    history = tuple(Operation(number, call, number, 9, Returned(None)) for number, call in enumerate(SIGNALS))
    wrong = Wrong((LINEARIZABLE,), "both were delivered", "not-waiting", "delivered", history, (), False)
    scenario = Scenario(setup, tuple((call,) for call in SIGNALS))
    return Tried(scenario, wrong, Encounter(history, (), (), (), None, None))

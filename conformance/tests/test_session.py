"""Which rule a session says is broken."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.runner import Runner
from storeproof.conformance.session import MOST_HANGING, Session
from storeproof.conformance.targets import Reopenable, StoreTarget, made_by
from storeproof.conformance.vectors import recorded_programs
from storeproof.conformance.verify import verify
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.broken import Broken
from tests.broken_ids import IDS
from tests.broken_leases import LeaseHoldsAtItsEnd
from tests.broken_timers import TIMERS, TimerTiesBySignal
from tests.report_stores import Hangs


def rules_named(store: type[Any], check: str) -> list[list[str]]:
    specification = load()
    report = verify(made_by(store, "store", specification), specification, PROFILES["quick"], seed=1, checks=(check,))
    assert report.error is None
    return [failure.rules for failure in report.failures]


def test_ids_that_are_listed_in_another_order_are_not_confused() -> None:
    named = rules_named(TimerTiesBySignal, "ids")
    assert ["claimDueTimers.ties"] in named
    assert not {"ids.opaque", "ids.kinds", "ids.length"} & {rule for rules in named for rule in rules}


def timer(run_id: str, signal_id: str) -> Call:
    args = {"runId": run_id, "workflowId": "w", "wakeAt": 5, "signalId": signal_id, "now": 1}
    return Call("scheduleTimer", args)


JOINED = (timer("a", "b:a"), timer("a:b", "a"))
LOWERED = (Call("createRun", {"runId": "A", "workflowId": "w", "input": 0, "now": 0}), Call("loadRun", {"runId": "a"}))


@pytest.mark.parametrize(("store", "program"), [("JoinedTimerKeys", JOINED), ("IdsLowered", LOWERED)])
def test_a_program_that_fails_only_with_its_ids_tells_of_confused_ids(store: str, program: Program) -> None:
    assert broken_rules(store, IDS, program)[0] == "ids.opaque"


def test_ids_that_look_special_are_not_to_blame_for_what_fails_with_any() -> None:
    program = (timer("a:b", "A"), Call("claimDueTimers", {"now": 5, "limit": 9, "leaseOwner": "a:b", "leaseMs": 1}))
    assert broken_rules("TimerDueTooLate", TIMERS, program)[0] == "claimDueTimers.claimed"


@pytest.mark.parametrize("told", [(), ("values.text",)])
def test_every_program_that_hangs_counts_whether_or_not_it_is_told(told: tuple[str, ...]) -> None:
    """Else a store would be waited for in every further program of the same promise."""
    program = (Call("claimRun", {"runId": "a", "leaseOwner": "o", "leaseMs": 1, "now": 0}),)
    runner = Runner(StoreTarget("hangs", lambda: nullcontext(Hangs()), load(), limit_s=0.05), Model(load()))
    runner.open()
    try:
        session = Session(runner, PROFILES["quick"], 1)
        if told:
            session.fail(told, "values", "as in another program", program, "this", "that", 0)
        for turn in range(MOST_HANGING):
            assert (session.hung, session.full) == (turn, False)
            session.exercise(program, "values", "values.text")
        assert session.full
        assert [failure.rules[0] for failure in session.failures] == ["values.text"]
    finally:
        runner.close()


def broken_rules(store: str, stores: Sequence[Broken], program: Program) -> list[str]:
    made = next(each for each in stores if each.name == store)
    target = StoreTarget(store, made.make, load())
    runner = Runner(target, Model(load()))
    runner.open()
    try:
        session = Session(runner, PROFILES["quick"], 1)
        session.exercise(program, "sequences")
    finally:
        runner.close()
    (failure,) = session.failures
    return failure.rules


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

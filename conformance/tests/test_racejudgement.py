"""What was handed to whom, told from the answers of claims, whatever shape they have; what is read after a race."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Operation
from storeproof.conformance.linearizability import Linearizable
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import (
    Judge,
    Readings,
    Wrong,
    _handed,  # pyright: ignore[reportPrivateUsage]
    _handed_on,  # pyright: ignore[reportPrivateUsage]
    _two_owners,  # pyright: ignore[reportPrivateUsage]
)
from storeproof.conformance.races import after, pair_scenarios
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Model, Outcome, Returned, State
from storeproof.spec.loader import load

MODEL = Model(load())
LEASE = {"owner": "o", "expiresAt": 6}
TIMER = {"runId": "r", "workflowId": "w", "wakeAt": 1, "signalId": "s"}
BUCKET = {"scheduleId": "s", "bucketId": "1", "workflowId": "w", "runId": "w:s:1", "fireAt": 1, "overlapPolicy": "skip"}


def claim(operation: str, answer: Any, owner: str = "o") -> Operation:
    args = {"now": 1, "leaseOwner": owner, "leaseMs": 5, "runId": "r"}
    return Operation(0, Call(operation, args), 0, 1, Returned(answer))


def rows(operation: str, answer: Any) -> list[str]:
    return [row for row, *_ in _handed(claim(operation, answer))]


def test_a_row_is_known_by_its_shape_and_not_by_a_field_too_many() -> None:
    assert rows("claimDueTimers", [{**TIMER, "lease": LEASE}]) == rows("claimDueTimers", [TIMER]) == ["timer 'r' 's'"]
    assert rows("claimDueScheduleBuckets", [{**BUCKET, "lease": LEASE}]) == ["bucket 's' 1"]
    assert rows("claimStaleRuns", [{"run": {"runId": "r"}, "lease": LEASE}]) == ["run r"]


def test_an_answer_of_another_shape_hands_out_nothing() -> None:
    assert rows("claimDueTimers", ["r", None]) == []
    assert rows("claimDueTimers", "r") == []
    assert rows("claimRun", ["claimed"]) == []


def test_two_owners_of_one_timer_are_seen_behind_a_field_too_many() -> None:
    first = claim("claimDueTimers", [{**TIMER, "lease": LEASE}])
    assert _two_owners((first, claim("claimDueTimers", [TIMER], "p")))
    assert not _two_owners((first, claim("claimDueTimers", [TIMER])))


def test_a_lease_that_somebody_gave_back_in_between_is_no_second_owner() -> None:
    start = after(MODEL, WORLDS["waiting"])

    def claimed(owner: str, invoked: int) -> Operation:
        call = Call("claimRun", {"runId": "r", "leaseOwner": owner, "leaseMs": 5, "now": 10})
        return Operation(0, call, invoked, invoked + 1, MODEL.step(start, "claimRun", call.args).outcome)

    def released(owner: str) -> Operation:
        return Operation(1, Call("releaseRunLease", {"runId": "r", "leaseOwner": owner}), 1, 4, Returned("nonsense"))

    first, second = claimed("o", 0), claimed("p", 5)
    assert _two_owners((first, released("o"), second))
    assert _handed_on(MODEL, start, (first, released("o"), second))
    assert not _handed_on(MODEL, start, (first, second))
    assert not _handed_on(MODEL, start, (first, released("p"), second))
    assert not _handed_on(MODEL, start, (first, second, replace(released("o"), invoked=7, returned=8)))
    many = tuple(replace(released("p"), client=client) for client in range(2, 12))
    assert _handed_on(MODEL, start, (first, second, *many))  # too many to be certain


def test_only_what_the_calls_that_met_may_have_written_is_read() -> None:
    def read_after(*calls: Call) -> set[str]:
        scenario = Scenario(WORLDS["waiting"], tuple((call,) for call in calls))
        return {step.operation for step in closing(scenario, *calls)}

    append, signal, timer, schedule, look = (
        next(call for call in INSTANCES if call.operation == name)
        for name in ("appendEvents", "deliverSignal", "scheduleTimer", "upsertSchedule", "loadRun")
    )
    assert read_after(append, append) == {"loadExecution", "readEvents"}
    assert read_after(look, schedule) == {"claimDueScheduleBuckets"}
    assert {"claimDueTimers", "loadExecution", "deliverSignal"} <= read_after(signal, timer)
    assert "claimDueScheduleBuckets" not in read_after(signal, timer)
    assert read_after(look, look) == set()


def test_a_write_that_is_lost_shows_in_it_as_in_everything() -> None:
    shown = 0
    for scenario in pair_scenarios(MODEL, 1):
        start = after(MODEL, scenario.setup)
        one, other = scenario.meeting
        both = final(start, one, other)
        whole, near = (reading(scenario, both, writers) for writers in (None, scenario.meeting))
        for lost in (final(start, one), final(start, other)):
            differs = answers(lost, whole) != answers(both, whole)
            assert (answers(lost, near) != answers(both, near)) == differs, scenario
            shown += differs
    assert shown > 800


@pytest.mark.parametrize(("events", "first"), [("none", "reads.snapshot"), ("others", "atomic.linearizable")])
def test_a_read_of_two_moments_is_told_beside_any_number_of_operations(events: str, first: str) -> None:
    """The run before it is deleted, and no events: right apart. Events that never were: wrong either way."""
    start = after(MODEL, WORLDS["waiting"])
    whole: Any = final_answer(start, Call("loadExecution", {"runId": "r"}))
    shown: dict[str, Any] = {**whole, "events": [] if events == "none" else whole["events"][1:]}
    history = [
        Operation(0, Call("loadExecution", {"runId": "r"}), 0, 99, Returned(shown)),
        Operation(1, Call("deleteRun", {"runId": "r", "reason": "finished"}), 1, 99, Returned(None)),
    ]
    for number in range(20):
        create = Call("createRun", {"runId": f"n{number}", "workflowId": "w", "input": 0, "now": number})
        history.append(Operation(number + 2, create, 2, 99, MODEL.step(start, "createRun", create.args).outcome))
    scenario = Scenario(WORLDS["waiting"], tuple((each.call,) for each in history))
    judge = Judge(MODEL, cast(Stage, None), scenario, start, Readings())
    verdict = asyncio.run(judge.judged(Encounter(tuple(history), (), (), (), None, None)))
    assert isinstance(verdict, Wrong)
    assert verdict.rules[0] == first


@pytest.mark.parametrize("known", [True, False])
def test_rows_in_an_order_that_is_known_to_be_wrong_hide_nothing(*, known: bool) -> None:
    start = after(MODEL, WORLDS["waiting"])
    claim_ = next(call for call in INSTANCES if call.operation == "claimDueTimers" and call.args["limit"] > 1)
    look = Call("loadRun", {"runId": "r"})
    backwards: Any = final_answer(start, claim_)
    history = (
        Operation(0, claim_, 0, 99, Returned(backwards[::-1])),
        Operation(1, look, 1, 99, MODEL.step(start, "loadRun", look.args).outcome),
    )
    lost = (history[0], replace(history[1], outcome=Returned(None)))
    avoidance = Avoidance(MODEL, frozenset({"claimDueTimers.order"} if known else ()))
    scenario = Scenario(WORLDS["waiting"], ((claim_,), (look,)))
    judge = Judge(MODEL, cast(Stage, None), scenario, start, Readings(avoidance=avoidance, writers=()))
    right, wrong = (asyncio.run(judge.judged(Encounter(each, (), (), (), None, None))) for each in (history, lost))
    assert isinstance(wrong, Wrong)
    if known:
        assert isinstance(right, Linearizable)
        assert wrong.stuck == lost[1]
    else:
        assert isinstance(right, Wrong)
        assert right.alone is not None
        assert right.alone.rules == ("claimDueTimers.order",)


@pytest.mark.parametrize("known", [True, False])
def test_rows_in_a_wrong_order_look_like_no_race_beside_another_call(*, known: bool) -> None:
    """After the heartbeat the claim would have been given one run only: the longest beginning that fits ends there."""
    start = after(MODEL, WORLDS["leased"])
    claim_ = next(call for call in INSTANCES if call.operation == "claimStaleRuns" and call.args["limit"] > 1)
    heartbeat = next(call for call in INSTANCES if call.operation == "heartbeatRunLease")
    both: Any = final_answer(start, claim_)
    assert [each["run"]["runId"] for each in both] == ["r", "q"]
    assert len(final_answer(final(start, heartbeat), claim_)) == 1
    history = (Operation(0, claim_, 0, 99, Returned(both[::-1])), Operation(1, heartbeat, 1, 99, Returned(None)))
    scenario = Scenario(WORLDS["leased"], ((claim_,), (heartbeat,)))
    avoidance = Avoidance(MODEL, frozenset({"claimStaleRuns.order"} if known else ()))
    judge = Judge(MODEL, cast(Stage, None), scenario, start, Readings(avoidance=avoidance, writers=()))
    verdict = asyncio.run(judge.judged(Encounter(history, (), (), (), None, None)))
    if known:
        assert isinstance(verdict, Linearizable)
    else:
        assert isinstance(verdict, Wrong)
        assert verdict.stuck == history[0]
        assert verdict.disordered
        assert verdict.alone is not None
        assert verdict.alone.rules == ("claimStaleRuns.order",)


def test_another_row_than_the_first_is_no_matter_of_order() -> None:
    """The rule about the order also says which rows a limit takes; a claim that took others is not mended."""
    start = after(MODEL, WORLDS["waiting"])
    one, every = (
        next(call for call in INSTANCES if call.operation == "claimDueTimers" and call.args["limit"] == limit)
        for limit in (1, 9)
    )
    wrong: Any = final_answer(start, every)
    answer = Operation(0, one, 0, 1, Returned([row for row in wrong if row != final_answer(start, one)[0]][:1]))
    readings = Readings(avoidance=Avoidance(MODEL, frozenset({"claimDueTimers.order"})), writers=())
    judge = Judge(MODEL, cast(Stage, None), Scenario(WORLDS["waiting"], ((one,),)), start, readings)
    verdict = asyncio.run(judge.judged(Encounter((answer,), (), (), (), None, None)))
    assert isinstance(verdict, Wrong)
    assert verdict.stuck == answer


def final_answer(state: State, call: Call) -> Any:
    outcome = MODEL.step(state, call.operation, call.args).outcome
    assert isinstance(outcome, Returned)
    return outcome.value


def final(state: State, *calls: Call) -> State:
    for call in calls:
        state = MODEL.step(state, call.operation, call.args).state
    return state


def reading(scenario: Scenario, state: State, writers: Program | None) -> Program:
    return Readings(writers=writers).closing(MODEL, state, scenario).program


def answers(state: State, program: Program) -> list[Outcome]:
    found: list[Outcome] = []
    for call in program:
        step = MODEL.step(state, call.operation, call.args)
        found.append(step.outcome)
        state = step.state
    return found


def closing(scenario: Scenario, *calls: Call) -> Program:
    return reading(scenario, final(after(MODEL, scenario.setup), *calls), scenario.meeting)

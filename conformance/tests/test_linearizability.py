"""The linearizability checker: against trying everything, and by hand where there are ties or no answer."""

from collections import Counter
from typing import Any

import pytest
from storeproof.conformance import linearizability
from storeproof.conformance.footprints import Footprint, footprint
from storeproof.conformance.histories import History, Operation
from storeproof.conformance.linearizability import Illegal, Linearizable, Unknown, check, final_states
from storeproof.conformance.partition import parts
from storeproof.conformance.programs import Call
from storeproof.conformance.relation import MOST_ROWS, exhaustive, indeterminate, successors
from storeproof.reference.model import Raised, Returned, State
from storeproof.reference.tables import freeze
from tests import brute_force
from tests.judged import CLAIM, DUE, GONE, MODEL, TIMERS, after, did, rows
from tests.random_histories import (
    EVERYTHING,
    Case,
    claim,
    claim_run,
    create,
    delete,
    finish,
    lease,
    random_case,
    read,
    run_setup,
    signal,
    timer,
)

# against trying everything


def test_agrees_with_trying_everything() -> None:
    counts: Counter[str] = Counter()
    for seed in range(3_500):
        case = random_case(MODEL, seed)
        expected = brute_force.final_states(MODEL, case)
        verdict = check(MODEL, case.initial, case.history)
        found = final_states(MODEL, case.initial, case.history)
        assert not isinstance(found, Unknown)
        assert not isinstance(verdict, Unknown)
        assert isinstance(verdict, Linearizable) == bool(expected), seed
        assert {freeze(end.state) for end in found} == expected, seed
        assert len(found) == len(expected), seed
        for end in [verdict, *found] if isinstance(verdict, Linearizable) else found:
            assert follows(case, end), seed
        counts["legal" if expected else "illegal"] += 1
        counts["in doubt"] += any(map(indeterminate, case.history))
        counts["several ends"] += len(expected) > 1
        if isinstance(verdict, Linearizable):
            counts["left out"] += any(rule.endswith(".omission") for rules in verdict.rules for rule in rules)
        else:
            assert explains(case, verdict), seed
            counts["left out without an excuse"] += bool(verdict.omitted)
    assert counts["legal"] + counts["illegal"] == 3_500
    assert counts["legal"] >= 2_000
    assert counts["illegal"] >= 700
    assert counts["in doubt"] >= 1_000
    assert counts["several ends"] >= 500
    assert counts["left out"] >= 100
    assert counts["left out without an excuse"] >= 200


def follows(case: Case, end: Linearizable) -> bool:
    """Whether the order respects real time and leads to the state, alone by what each call may lead to."""
    everything = list(range(len(case.history)))
    return in_real_time(case.history, end.order, everything) and freeze(end.state) in reached(case, end.order)


def explains(case: Case, verdict: Illegal) -> bool:
    """Whether the order is one as far as it goes, and what comes next does not fit, or fits but leaves rows out."""
    order = (*verdict.order, verdict.stuck)
    fits = bool(reached(Case(verdict.state, case.history), (verdict.stuck,)))
    (part,) = [part for part in parts(footprints(case)) if verdict.stuck in part]
    right = in_real_time(case.history, order, part) and freeze(verdict.state) in reached(case, verdict.order)
    return right and fits == bool(verdict.omitted)


def in_real_time(history: History, order: tuple[int, ...], part: list[int]) -> bool:
    """Whether nothing in the order comes before an operation of the part that was answered when it was called."""

    def precedes(one: int, other: int) -> bool:
        returned = history[one].returned
        return returned is not None and not indeterminate(history[one]) and returned < history[other].invoked

    return not any(
        precedes(other, index)
        for position, index in enumerate(order)
        for other in part
        if other not in order[:position]
    )


def reached(case: Case, order: tuple[int, ...]) -> dict[object, State]:
    states: dict[object, State] = {freeze(case.initial): case.initial}
    for index in order:
        operation = case.history[index]
        outcome = None if indeterminate(operation) else operation.outcome
        following = [one for state in states.values() for one in successors(MODEL, state, operation.call, outcome)]
        states = {freeze(one.state): one.state for one in following}
    return states


def test_parts_are_judged_as_the_whole_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [random_case(MODEL, seed, EVERYTHING, 6) for seed in range(600)]
    split = [final_states(MODEL, case.initial, case.history) for case in cases]
    verdicts = [check(MODEL, case.initial, case.history) for case in cases]
    assert sum(len(parts(footprints(case))) > 2 for case in cases) > 150

    def whole(footprints: list[Footprint]) -> list[list[int]]:
        return [list(range(len(footprints)))]

    monkeypatch.setattr(linearizability, "parts", whole)
    kinds: Counter[type] = Counter()
    for case, ends, verdict in zip(cases, split, verdicts, strict=True):
        together = final_states(MODEL, case.initial, case.history)
        assert not isinstance(ends, Unknown)
        assert not isinstance(together, Unknown)
        assert {freeze(end.state) for end in ends} == {freeze(end.state) for end in together}
        assert type(check(MODEL, case.initial, case.history)) is type(verdict)
        assert all(follows(case, end) for end in ends)
        kinds[type(verdict)] += 1
    assert kinds[Linearizable] >= 100
    assert kinds[Illegal] >= 100


def footprints(case: Case) -> list[Footprint]:
    return [footprint(MODEL.specification, operation.call) for operation in case.history]


def test_a_long_history_over_many_runs_is_judged_within_a_small_budget() -> None:
    state, history, clock = MODEL.initial(), list[Operation](), 0
    for number in range(400):
        calls = [create(f"r{number}", workflow) for workflow in "vw"]
        first = after(state, calls[0])
        history += [did(0, calls[0], clock, clock + 2, state), did(1, calls[1], clock + 1, clock + 3, first)]
        state, clock = first, clock + 4
    verdict = check(MODEL, MODEL.initial(), tuple(history), 1_000)
    assert isinstance(verdict, Linearizable)
    assert freeze(verdict.state) == freeze(state)
    assert len(verdict.order) == 800


def test_a_history_of_one_run_that_is_longer_than_pythons_stack() -> None:
    state = initial = run_setup(MODEL, (create("r"),))
    history: list[Operation] = []
    for number in range(1_500):
        call = claim_run("r", "a", number)
        history.append(did(0, call, 2 * number, 2 * number + 1, state))
        state = after(state, call)
    verdict = check(MODEL, initial, tuple(history))
    assert isinstance(verdict, Linearizable)
    assert verdict.order == tuple(range(1_500))


# ties are open, order is not


def test_rows_of_equal_order_come_in_any_order_and_are_picked_freely() -> None:
    state = run_setup(MODEL, (create("q", now=5), create("r", now=3), create("s", now=3), create("t", now=1)))
    every = rows(state, Call("listRuns", {"limit": 9}))

    def verdict(limit: int, cursor: int, *answer: int) -> object:
        call = Call("listRuns", {"limit": limit, "cursor": str(cursor)})
        return check(MODEL, state, (did(0, call, 0, 1, state, [every[index] for index in answer]),))

    for legal in [(9, 0, 0, 1, 2, 3), (9, 0, 0, 2, 1, 3), (2, 0, 0, 2), (1, 1, 2), (1, 2, 1), (2, 2, 1, 3)]:
        assert isinstance(verdict(*legal), Linearizable), legal
    for illegal in [(9, 0, 1, 0, 2, 3), (2, 0, 1, 2), (1, 1, 3), (2, 0, 0), (9, 0, 0, 1, 1, 3), (1, 0, 0, 1)]:
        assert isinstance(verdict(*illegal), Illegal), illegal


def test_a_field_beyond_the_schema_breaks_no_atomicity_and_a_wrong_one_does() -> None:
    def verdict(*answer: dict[str, Any]) -> object:
        return check(MODEL, TIMERS, (did(0, CLAIM, 0, 1, TIMERS, list(answer)),))

    more = [{**row, "rowId": 7} for row in DUE]
    assert isinstance(verdict(*more), Linearizable)
    assert isinstance(verdict(*more[::-1]), Linearizable)
    assert isinstance(verdict(*more[1:]), Illegal)
    assert isinstance(verdict({**DUE[0], "lease": None}, *DUE[1:]), Linearizable)  # no field of this shape
    assert isinstance(verdict({**DUE[0], "workflowVersion": None}, *DUE[1:]), Illegal)
    assert isinstance(verdict({**DUE[0], "wakeAt": False}, *DUE[1:]), Illegal)
    refused = Call("claimDueTimers", {"limit": 9, **lease("a", 2, 2**53 - 1)})
    assert isinstance(check(MODEL, TIMERS, (did(0, refused, 0, 1, TIMERS, []),)), Illegal)
    refusal = Raised("InvalidArgument", {"field": "leaseMs", "message": "too long"})
    assert isinstance(check(MODEL, TIMERS, (Operation(0, refused, 0, 1, refusal),)), Linearizable)


# operations without an answer


def test_an_operation_without_an_answer_happened_or_not_and_perhaps_later() -> None:
    start = run_setup(MODEL, (create("r"),))
    ended = after(start, finish("r"))
    get = read("loadRun", "r")
    for outcome, returned in ((None, None), (GONE, 1)):
        lost = Operation(0, finish("r"), 0, returned, outcome)
        seen = [did(1, get, 2, 3, start), did(1, get, 4, 5, ended)]
        assert isinstance(check(MODEL, start, (lost, *seen)), Linearizable)
        back = [did(1, get, 2, 3, ended), did(1, get, 4, 5, start)]
        assert isinstance(check(MODEL, start, (lost, *back)), Illegal)
        found = final_states(MODEL, start, (lost, seen[0]))
        assert not isinstance(found, Unknown)
        assert [end.order for end in found] == [(1,), (1, 0)]
    assert isinstance(check(MODEL, start, (did(1, get, 0, 1, ended), Operation(0, finish("r"), 2))), Illegal)


def test_a_claim_without_an_answer_may_have_taken_any_allowed_rows() -> None:
    lost = Operation(0, claim("claimDueTimers", "a", 2), 0)
    other = claim("claimDueTimers", "b", 9)
    for taken in range(4):
        history: History = (lost, did(1, other, 2, 3, TIMERS, DUE[:taken] + DUE[taken + 1 :]))
        verdict = check(MODEL, TIMERS, history)
        # One row gone is no full limit, so that the claim left out the other two, which the second claim was writing.
        assert isinstance(verdict, Linearizable)
    states = final_states(MODEL, TIMERS, (lost,))
    assert not isinstance(states, Unknown)
    assert len(states) == 4  # nothing, or one of the three pairs; nobody was in flight to excuse a smaller pick


def test_a_claim_without_an_answer_over_many_rows_leaves_the_verdict_unknown() -> None:
    many = run_setup(MODEL, tuple(timer("r", f"t{number}", number) for number in range(MOST_ROWS + 1)))
    few = after(many, signal("r", "t0"))
    call, other = claim("claimDueTimers", "a", 99, 50), claim("claimDueTimers", "b", 99, 50)
    assert not exhaustive(MODEL, many, call)
    assert exhaustive(MODEL, TIMERS, call)
    assert exhaustive(MODEL, few, read("loadRun", "r"))
    every = rows(many, other)
    plain = (Operation(0, call, 0), did(1, other, 1, 2, many))
    assert isinstance(check(MODEL, many, plain), Linearizable)
    assert isinstance(final_states(MODEL, many, plain), Unknown)
    wrong = (Operation(0, call, 0), did(1, other, 1, 2, many, [every[0], every[0]]))
    verdict = check(MODEL, many, wrong)
    assert isinstance(verdict, Unknown)
    assert "many rows" in verdict.reason


# what is told


def test_the_longest_order_and_the_operation_that_fits_nowhere_are_told() -> None:
    """Both are told that they created the run: the second one is wrong about it, whoever of them was first."""
    start = MODEL.initial()
    first, second = create("r", "v"), create("r", "w")
    history = (
        did(2, read("readEvents", "r"), 0, 1, start),
        did(0, first, 2, 5, start),
        did(1, second, 3, 4, start),
        did(0, read("loadRun", "r"), 6, 7, after(start, first)),
    )
    verdict = check(MODEL, start, history)
    assert isinstance(verdict, Illegal)
    assert verdict.order == (1,)
    assert verdict.stuck == 2
    assert verdict.expected.rules == ("createRun.existing",)
    assert verdict.omitted == ()
    assert freeze(verdict.state) == freeze(after(start, first))


def test_the_rules_of_each_operation_are_told_in_its_place() -> None:
    start = MODEL.initial()
    history = (did(0, create("r"), 0, 3, after(start, create("r", "v"))), did(1, create("r", "v"), 1, 2, start))
    verdict = check(MODEL, start, history)
    assert isinstance(verdict, Linearizable)
    assert verdict.order == (1, 0)
    assert verdict.rules == (("createRun.created",), ("createRun.existing",))


def test_a_spent_budget_is_unknown_and_nothing_is_legal() -> None:
    calls = [claim_run("r", owner, 0) for owner in "abcdef"]
    start = run_setup(MODEL, (create("r"),))
    free = [did(number, call, number, 50, start) for number, call in enumerate(calls)]
    verdict = check(MODEL, start, tuple(free), 6)
    assert isinstance(verdict, Illegal)  # all six got it, and only one can be first
    assert isinstance(check(MODEL, start, tuple(free), 5), Unknown)
    reads = [did(number, read("loadRun", "r"), number, 50, start) for number in range(6)]
    verdict = check(MODEL, start, (*reads, did(7, delete("r"), 51, 52, start, {"not": "an answer"})), 5)
    assert verdict == Unknown(5, "5 configurations were not enough")
    assert final_states(MODEL, start, tuple(reads), 5) == Unknown(5, "5 configurations were not enough")
    assert isinstance(check(MODEL, start, tuple(reads), 6), Linearizable)


def test_an_empty_history_is_legal() -> None:
    start = MODEL.initial()
    assert check(MODEL, start, ()) == Linearizable((), start, ())
    assert final_states(MODEL, start, ()) == [Linearizable((), start, ())]


def test_refused_arguments_touch_nothing() -> None:
    start = run_setup(MODEL, (create("r"),))
    call = Call("deleteRun", {"runId": "r", "reason": "bored"}, refused="reason")
    refusal = Raised("InvalidArgument", {"field": "reason", "message": "not a reason"})
    history = (Operation(0, call, 0, 1, refusal), did(0, read("loadRun", "r"), 2, 3, start))
    verdict = check(MODEL, start, history)
    assert isinstance(verdict, Linearizable)
    assert verdict.rules[0] == ("deleteRun.arguments",)
    assert isinstance(check(MODEL, start, (Operation(0, call, 0, 1, Returned(None)),)), Illegal)

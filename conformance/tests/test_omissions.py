"""What a claim may leave out, judged by hand: rows that another operation could be writing, and no others."""

from typing import Any

import pytest
from storeproof.conformance.histories import Operation
from storeproof.conformance.linearizability import Illegal, Linearizable, check
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Returned
from storeproof.reference.tables import freeze
from storeproof.spec.loader import read_data
from storeproof.spec.specification import Specification
from tests.judged import CLAIM, DUE, GONE, MODEL, SIGNAL, TIMERS, after, did, rows
from tests.random_histories import claim, claim_run, create, lease, run_setup, schedule, signal, started, timer


def left_out(*others: Operation, answer: list[Any] = DUE[1:], at: tuple[int, int] = (1, 4)) -> Any:
    """The verdict on a claim between moments 1 and 4 that did not answer the timer x of run r."""
    history = sorted([did(0, CLAIM, *at, TIMERS, answer), *others], key=lambda operation: operation.invoked)
    return check(MODEL, TIMERS, tuple(history))


def test_a_row_may_be_left_out_while_its_writer_is_in_flight() -> None:
    again = timer("r", "x", 1)
    for writer in (did(1, again, 0, 2, TIMERS), did(1, again, 2, 3, TIMERS), did(1, again, 3, 9, TIMERS)):
        verdict = left_out(writer)
        assert isinstance(verdict, Linearizable)
        assert "claimDueTimers.omission" in {rule for rules in verdict.rules for rule in rules}


def test_not_after_the_writer_was_answered_nor_before_it_was_called() -> None:
    again = timer("r", "x", 1)
    for first, last in ((0, 1), (8, 9)):
        verdict = left_out(did(1, again, first, last, TIMERS), at=(2, 7))
        assert isinstance(verdict, Illegal)
        assert verdict.omitted == (("timers", ("r", "x")),)
        stuck = [0, 1][first == 0]
        assert verdict.stuck == stuck
        assert verdict.order == tuple(range(stuck))
        assert verdict.expected.outcome == Returned(rows(after(TIMERS, again) if stuck else TIMERS, CLAIM))
        assert verdict.expected.rules[0] == "claimDueTimers.claimed"


@pytest.mark.parametrize("other", [timer("r", "y", 1), timer("s", "x", 1), timer("s", "y", 1), signal("r", "y")])
def test_a_writer_of_another_row_is_no_excuse(other: Call) -> None:
    verdict = left_out(did(1, other, 0, 9, TIMERS))
    assert isinstance(verdict, Illegal)
    assert verdict.omitted == (("timers", ("r", "x")),)
    assert MODEL.specification.operations["claimDueTimers"].rules[-2].id == "claimDueTimers.omission"


def test_a_claim_that_only_looked_at_the_row_is_no_excuse() -> None:
    """Two claims, and neither returns the row: each thought that the other had it."""
    other = claim("claimDueTimers", "b", 9)
    taken = after(TIMERS, CLAIM)
    both = left_out(did(1, other, 0, 9, TIMERS, []))
    assert isinstance(both, Illegal)
    assert both.omitted == (("timers", ("r", "x")),)
    assert isinstance(left_out(did(1, other, 0, 9, taken, DUE[:1])), Linearizable)
    assert isinstance(left_out(did(1, other, 0, 9, taken)), Illegal)


def test_a_claim_that_returned_the_row_is_an_excuse_for_one_by_the_same_owner() -> None:
    """An owner's own lease is free to it, so that only the omission explains the second answer."""
    assert isinstance(left_out(did(1, claim("claimDueTimers", "a", 1), 0, 9, TIMERS)), Linearizable)
    assert isinstance(left_out(did(1, claim("claimDueTimers", "a", 1), 0, 1, TIMERS), at=(2, 5)), Illegal)


def test_a_row_handed_to_two_owners_is_illegal() -> None:
    assert isinstance(left_out(did(1, claim("claimDueTimers", "b", 1), 0, 9, TIMERS, DUE[:1]), answer=DUE), Illegal)


def test_an_operation_without_an_answer_excuses_whatever_it_could_have_written() -> None:
    lost = Operation(1, timer("r", "x", 1), 0)
    assert isinstance(left_out(lost), Linearizable)
    assert isinstance(left_out(Operation(1, SIGNAL, 0, 2, GONE), at=(3, 6)), Linearizable)
    assert isinstance(left_out(Operation(1, timer("s", "x", 1), 0)), Illegal)
    assert isinstance(left_out(Operation(1, claim("claimStaleRuns", "b", 1), 0)), Illegal)
    assert isinstance(left_out(Operation(1, timer("r", "x", 1), 9)), Illegal)


def test_an_operation_on_the_row_is_an_excuse_whatever_it_answered() -> None:
    """It had dropped the timer when it met the first delivery, and undid that: the row was locked meanwhile."""
    first, second = signal("r", "y"), SIGNAL
    delivered = after(TIMERS, first)

    def verdict(beaten: Call, invoked: int, returned: int) -> object:
        return left_out(did(1, first, 0, 3, TIMERS), did(2, beaten, invoked, returned, delivered))

    assert isinstance(verdict(second, 2, 9), Linearizable)
    assert isinstance(verdict(signal("r", "z"), 2, 9), Illegal)
    assert isinstance(verdict(second, 8, 9), Illegal)


def test_a_writer_is_an_excuse_also_where_the_order_hides_that_it_wrote() -> None:
    """Only before the takeover does the heartbeat write; the other order ends in the same state without that."""
    start = run_setup(MODEL, (create("r"), claim_run("r", "a", 0)))
    takeover, heartbeat = claim_run("r", "b", 1), Call("heartbeatRunLease", {"runId": "r", **lease("a", 0)})
    taken = after(start, takeover)
    assert freeze(after(start, heartbeat, takeover)) == freeze(after(start, takeover, heartbeat)) == freeze(taken)
    history = (
        did(1, takeover, 0, 2, start),
        did(2, heartbeat, 1, 5, start),
        did(0, claim("claimStaleRuns", "c", 9), 3, 6, taken, []),
    )
    assert isinstance(check(MODEL, start, history), Linearizable)
    assert isinstance(check(MODEL, start, (history[0], did(2, heartbeat, 1, 2, start), history[2])), Illegal)


def test_a_limit_makes_only_what_comes_before_an_omission() -> None:
    state = run_setup(MODEL, (timer("r", "x", 0), timer("r", "y", 1), timer("s", "x", 1), timer("s", "y", 2)))
    every = rows(state, CLAIM)

    def verdict(limit: int, *answer: int) -> object:
        call = claim("claimDueTimers", "a", limit)
        return check(MODEL, state, (did(0, call, 0, 1, state, [every[index] for index in answer]),))

    assert isinstance(verdict(2, 0, 1), Linearizable)
    assert isinstance(verdict(2, 0, 2), Linearizable)  # ties
    assert isinstance(verdict(0), Linearizable)
    for answer in [(1, 0), (1, 2), (0, 3), (0,), ()]:
        found = verdict(2, *answer)
        assert isinstance(found, Illegal)
        assert bool(found.omitted) == (answer != (1, 0))
    assert isinstance(verdict(1, 0, 1), Illegal)


BUCKETS = run_setup(MODEL, (schedule("s", 0), schedule("t", 0), claim("claimDueScheduleBuckets", "a", 9, 0)))


@pytest.mark.parametrize(
    ("writer", "legal"),
    [
        (schedule("s", 0, "v"), True),  # the schedule itself
        (started("s", "0"), True),
        (claim("claimDueScheduleBuckets", "b", 1), True),
        (schedule("t", 0, "v"), False),
        (started("t", "0"), False),
        (started("s", "1"), False),  # no such bucket: nothing written
    ],
)
def test_a_bucket_is_excused_by_a_writer_of_it_or_of_its_schedule(writer: Call, legal: bool) -> None:
    call = claim("claimDueScheduleBuckets", "a", 9)
    history = (did(1, writer, 0, 9, BUCKETS), did(0, call, 1, 2, BUCKETS, rows(BUCKETS, call)[1:]))
    verdict = check(MODEL, BUCKETS, history)
    assert isinstance(verdict, Linearizable if legal else Illegal)
    if isinstance(verdict, Illegal):
        assert verdict.omitted == (("schedules", ("s",)),)


def test_without_the_rule_in_the_specification_nothing_may_be_left_out() -> None:
    data = read_data()
    del data["operations"]["claimDueTimers"]["each"]["omission"]
    strict = Model(Specification.from_data(data))
    history = (did(1, timer("r", "x", 1), 0, 9, TIMERS), did(0, CLAIM, 1, 2, TIMERS, DUE[1:]))
    assert isinstance(check(MODEL, TIMERS, history), Linearizable)
    assert isinstance(check(strict, TIMERS, history), Illegal)
    assert isinstance(check(strict, TIMERS, (did(0, CLAIM, 1, 2, TIMERS, DUE[::-1]),)), Linearizable)

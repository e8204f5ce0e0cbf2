"""What was handed to whom, told from the answers of claims, whatever shape they have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from storeproof.conformance.catalogue import WORLDS
from storeproof.conformance.histories import Operation
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import (
    _handed,  # pyright: ignore[reportPrivateUsage]
    _handed_on,  # pyright: ignore[reportPrivateUsage]
    _two_owners,  # pyright: ignore[reportPrivateUsage]
)
from storeproof.conformance.races import after
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load

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
    model = Model(load())
    start = after(model, WORLDS["waiting"])

    def claimed(owner: str, invoked: int) -> Operation:
        call = Call("claimRun", {"runId": "r", "leaseOwner": owner, "leaseMs": 5, "now": 10})
        return Operation(0, call, invoked, invoked + 1, model.step(start, "claimRun", call.args).outcome)

    def released(owner: str) -> Operation:
        return Operation(1, Call("releaseRunLease", {"runId": "r", "leaseOwner": owner}), 1, 4, Returned("nonsense"))

    first, second = claimed("o", 0), claimed("p", 5)
    assert _two_owners((first, released("o"), second))
    assert _handed_on(model, start, (first, released("o"), second))
    assert not _handed_on(model, start, (first, second))
    assert not _handed_on(model, start, (first, released("p"), second))
    assert not _handed_on(model, start, (first, second, replace(released("o"), invoked=7, returned=8)))
    many = tuple(replace(released("p"), client=client) for client in range(2, 12))
    assert _handed_on(model, start, (first, second, *many))  # too many to be certain

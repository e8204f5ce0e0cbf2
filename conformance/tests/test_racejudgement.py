"""What was handed to whom, told from the answers of claims, whatever shape they have."""

from __future__ import annotations

from typing import Any

from storeproof.conformance.histories import Operation
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import _handed, _two_owners  # pyright: ignore[reportPrivateUsage]
from storeproof.reference.model import Returned

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

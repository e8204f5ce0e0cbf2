"""Which calls the published stores are known to get wrong, told from the state and what the contract expects.

By the name of the finding in docs/track-record.md. Used to keep such calls away from upstream, never to judge anybody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from storeproof.conformance.programs import Call
from storeproof.reference.model import Raised, Returned, State, Step
from storeproof.spec.jsonvalues import is_array, is_object

Finding: TypeAlias = Callable[[State, Call, Step], bool]

INT4 = 2**31 - 1


def _rows(step: Step) -> list[dict[str, Any]]:
    """The objects of an answer: runs, buckets, states, wherever they stand."""
    value: Any = step.outcome.value if isinstance(step.outcome, Returned) else None
    answers = value if is_array(value) else [value]
    found = [answer for answer in answers if is_object(answer)]
    return found + [answer["run"] for answer in found if is_object(answer.get("run"))]


def _refused(_state: State, _call: Call, step: Step) -> bool:
    """Bad arguments are not part of upstream's contract."""
    return isinstance(step.outcome, Raised) and step.outcome.name == "InvalidArgument"


def _null_is_absent(_state: State, _call: Call, step: Step) -> bool:
    """`output`, and the `input` of a bucket."""
    return any(
        row.get("output", "") is None or ("fireAt" in row and row.get("input", "") is None) for row in _rows(step)
    )


def _string_is_parsed(_state: State, _call: Call, step: Step) -> bool:
    return any(_is_json(row.get(name)) for row in _rows(step) for name in ("input", "output"))


def _is_json(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _rows_in_any_order(_state: State, call: Call, step: Step) -> bool:
    return call.operation in ("claimDueTimers", "claimStaleRuns") and len(_rows(step)) > 1


def _index_of_32_bits(_state: State, call: Call, _step: Step) -> bool:
    return any(call.args.get(name, 0) > INT4 for name in ("expectedNextIndex", "fromIndex"))


def _timer_without_deadline(_state: State, call: Call, _step: Step) -> bool:
    waiting = call.args.get("state", {}).get("waitingFor", {})
    return waiting.get("signalName") == "__timer" and "deadline" not in waiting


def _approval_is_a_signal(_state: State, call: Call, _step: Step) -> bool:
    """Ours keeps such signals under another name (contract, section 5), so that the two stores don't share them."""
    signal: str = call.args.get("delivery", {}).get("signalId", "")
    return signal.startswith(("approval:", "signal:"))


def _only_waiting_for(state: State, call: Call, _step: Step) -> bool:
    """D1 looks at waitingFor.signalName and pendingApproval only: no awaiting, no stepId."""
    if call.operation not in ("deliverSignal", "deliverApproval"):
        return False
    run = state["runs"].get(call.args["runId"], {})
    delivery = call.args.get("delivery", {})
    return "awaiting" in run or ("stepId" in delivery and "stepId" in run.get("waitingFor", {}))


_BOTH: dict[str, Finding] = {"refusals": _refused, "approval-is-a-signal": _approval_is_a_signal}

KNOWN: dict[str, dict[str, Finding]] = {
    "postgres": {
        **_BOTH,
        "null-is-absent": _null_is_absent,
        "string-is-parsed": _string_is_parsed,
        "rows-in-any-order": _rows_in_any_order,
        "index-of-32-bits": _index_of_32_bits,
        "timer-without-deadline": _timer_without_deadline,
    },
    "d1": {**_BOTH, "only-waiting-for": _only_waiting_for},
}

RACY = frozenset(
    {
        *("deliverSignal", "deliverApproval", "loadExecution", "getRunTimeline", "createRun", "claimRun"),
        *("claimDueTimers", "claimStaleRuns", "claimDueScheduleBuckets", "saveRunState", "deleteRun"),
    }
)
"""Operations of the Postgres store that read and then write, or take several statements, or answer in any order."""

"""The operations that meet in races and are cut off: small value domains, colliding ids, the same few rows.

A world is a setup in which the operations have something to do; every operation of the contract has at least one
instance, and those that compete have one per owner. Three runs (r, q, and n, which is not there), two owners (o, p),
times around 10.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

from storeproof.conformance.programs import Call, Program

NOW = 10


def _create(run: str, value: object, now: int) -> Call:
    return Call("createRun", {"runId": run, "workflowId": "w", "input": value, "now": now})


def _event(value: int) -> dict[str, Any]:
    return {"type": "CUSTOM", "ts": value, "name": "n", "value": {"at": value}}


def _append(run: str, at: int, *values: int) -> Call:
    events = [_event(value) for value in values]
    return Call("appendEvents", {"runId": run, "expectedNextIndex": at, "events": events})


def _lease(owner: str, now: int, lease_ms: int = 5) -> dict[str, Any]:
    return {"leaseOwner": owner, "leaseMs": lease_ms, "now": now}


def _timer(run: str, signal: str, wake_at: int, now: int) -> Call:
    args = {"runId": run, "workflowId": "w", "wakeAt": wake_at, "signalId": signal, "now": now}
    return Call("scheduleTimer", args)


def _schedule(name: str, value: int, next_fire_at: int) -> Call:
    args: dict[str, Any] = {"scheduleId": name, "workflowId": "w", "overlapPolicy": "skip", "input": value}
    args |= {"schedule": {"kind": "interval", "everyMs": 5}, "nextFireAt": next_fire_at, "enabled": True, "now": 1}
    return Call("upsertSchedule", args)


def _due(operation: str, owner: str, limit: int, now: int = NOW) -> Call:
    return Call(operation, {**_lease(owner, now), "limit": limit})


def _signal(signal: str, name: str = "go", now: int = 12) -> Call:
    delivery = {"signalId": signal, "name": name, "payload": None}
    return Call("deliverSignal", {"runId": "r", "delivery": delivery, "now": now})


def _approval(approval: str, now: int = 13) -> Call:
    return Call("deliverApproval", {"runId": "r", "approval": {"approvalId": approval, "approved": True}, "now": now})


_BOTH: Program = (_create("r", 1, 0), _create("q", 2, 0), _append("r", 0, 1, 2))
_QUEUES: Program = (
    _timer("r", "x", 9, 2),
    _timer("q", "x", 10, 3),
    _schedule("s", 1, 9),
    _schedule("u", 2, 10),
)
_WAITS = {"waitingFor": {"signalName": "go"}, "pendingApproval": {"approvalId": "a", "title": ""}}

WORLDS: dict[str, Program] = {
    "waiting": (
        *_BOTH,
        Call("claimRun", {"runId": "q", **_lease("p", 1)}),
        *_QUEUES,
        Call("markRunPaused", {"runId": "r", **_WAITS, "wakeAt": 10, "now": 4}),
    ),
    "leased": (
        *_BOTH,
        *_QUEUES,
        Call("claimRun", {"runId": "r", **_lease("o", 4, 6)}),
        Call("claimRun", {"runId": "q", **_lease("p", 5)}),
        _due("claimDueTimers", "o", 9, 10),
        _due("claimDueScheduleBuckets", "o", 9, 10),
    ),
    "empty": (),
}
"""By name: a run that waits and one whose lease is over, with timers and schedules due; both running, with leases that
end at 10, timers and buckets leased to 15; nothing at all. What most calls are about, r and s, is due first: a claim
with a limit of 1 meets them."""

_STATE = {"runId": "r", "workflowId": "w", "input": 3, "createdAt": 0, "updatedAt": 14}

INSTANCES: Program = (
    *(Call(name, {"runId": "r"}) for name in ("loadRun", "loadExecution", "getRunTimeline", "loadRunState")),
    Call("readEvents", {"runId": "r"}),
    Call("listRuns", {"limit": 9}),
    _create("r", 4, 10),
    _create("n", 5, 11),
    _create("n", 6, 12),
    Call("saveRunState", {"state": {**_STATE, "status": "paused", "waitingFor": {"signalName": "go"}}}),
    Call("deleteRun", {"runId": "r", "reason": "finished"}),
    _append("r", 2, 3),
    _append("r", 2, 4, 5),
    _append("r", 0, 6, 7),
    Call("claimRun", {"runId": "r", **_lease("o", NOW)}),
    Call("claimRun", {"runId": "r", **_lease("p", NOW, 6)}),
    Call("heartbeatRunLease", {"runId": "r", **_lease("o", 9, 8)}),
    Call("releaseRunLease", {"runId": "r", "leaseOwner": "o"}),
    _due("claimStaleRuns", "o", 1),
    _due("claimStaleRuns", "p", 1),
    _due("claimStaleRuns", "p", 9, 11),
    Call("markRunPaused", {"runId": "r", **_WAITS, "now": 15}),
    Call("markRunFinished", {"runId": "r", "output": 6, "now": 16}),
    Call("markRunErrored", {"runId": "r", "error": {"name": "E", "message": ""}, "code": "c", "now": 17}),
    _timer("r", "x", 11, 18),
    _timer("r", "y", 8, 19),
    _timer("n", "x", 8, 19),
    _due("claimDueTimers", "o", 1),
    _due("claimDueTimers", "p", 1),
    _due("claimDueTimers", "p", 9, 16),
    _signal("x"),
    _signal("y"),
    _approval("a"),
    _schedule("s", 3, 9),
    _schedule("s", 4, 30),
    _due("claimDueScheduleBuckets", "o", 1),
    _due("claimDueScheduleBuckets", "p", 1),
    _due("claimDueScheduleBuckets", "p", 9, 16),
    Call("markScheduleBucketStarted", {"scheduleId": "s", "bucketId": "9", "runId": "w:s:9", "now": 17}),
)


_READS = ("load", "get", "read", "list")
WRITERS: Program = tuple(call for call in INSTANCES if not call.operation.startswith(_READS))

LONG_APPEND = _append("r", 2, *range(6, 14))
"""What takes longest of all where each event is written for itself, and so is easily cut off in its middle."""


def pairs() -> list[tuple[Call, Call]]:
    """Every two instances, an instance beside itself included; the same operation twice comes first."""
    found = combinations_with_replacement(INSTANCES, 2)
    return sorted(found, key=lambda pair: pair[0].operation != pair[1].operation)


def histories_of_a_run() -> list[Program]:
    """Two writes of one client, one to the log and one to the run: what a read in two steps sees half of."""
    appends = [call for call in WRITERS if call.operation == "appendEvents"]
    others = [call for call in WRITERS if call.args.get("runId") == "r" and call.operation != "appendEvents"]
    return [pair for append in appends for other in others for pair in ((append, other), (other, append))]


def looks_at_a_run() -> list[Program]:
    """Two calls of one client, the second a look at the run: what a cache answers beside another client's write."""
    load = Call("loadRun", {"runId": "r"})
    claim = next(call for call in WRITERS if call.operation == "claimRun")
    return [(load, load), (claim, load)]

"""The instances whose states are enumerated, by concern: a few ids, two owners, times from 0 to 2.

Small enough to be visited whole, large enough for every rule of the concern to meet every other. An instance is the
list of the calls that may be made in any order and number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storeproof.reference.workload import Call

_TIMES = (0, 1, 2)
_OWNERS = ("a", "b")


def _create(run: str, now: int = 0) -> Call:
    return "createRun", {"runId": run, "workflowId": "w", "input": None, "now": now}


def _leasing(owner: str, now: int, milliseconds: int = 1) -> dict[str, Any]:
    return {"leaseOwner": owner, "leaseMs": milliseconds, "now": now}


def _due(owner: str, now: int, limit: int) -> dict[str, Any]:
    return {**_leasing(owner, now), "limit": limit}


def _leases() -> list[Call]:
    calls = [_create(run) for run in ("r", "s")]
    for run in ("r", "s"):
        for owner in _OWNERS:
            calls += [("claimRun", {"runId": run, **_leasing(owner, now)}) for now in _TIMES]
            calls.append(("releaseRunLease", {"runId": run, "leaseOwner": owner}))
        calls.append(("heartbeatRunLease", {"runId": run, **_leasing("a", 1, 2)}))
    calls += [("claimStaleRuns", _due(owner, now, 1)) for owner in _OWNERS for now in (1, 2)]
    return [*calls, ("markRunFinished", {"runId": "r", "output": None, "now": 1})]


def _waits() -> list[Call]:
    signal, approval = {"signalName": "n"}, {"approvalId": "x", "title": ""}
    waits: list[dict[str, Any]] = [
        {},
        {"waitingFor": signal},
        {"waitingFor": {**signal, "stepId": "p"}},
        {"pendingApproval": approval},
        {"awaiting": [{"type": "signal", **signal}, {"type": "approval", **approval}], "wakeAt": 1},
    ]
    calls = [_create("r"), ("claimRun", {"runId": "r", **_leasing("a", 0)})]
    calls += [("markRunPaused", {"runId": "r", **wait, "now": 1}) for wait in waits]
    for signal_id in ("x", "y"):
        delivery = {"signalId": signal_id, "name": "n", "payload": None}
        calls += [
            ("deliverSignal", {"runId": "r", "delivery": {**delivery, **step}, "now": 2})
            for step in ({}, {"stepId": "p"}, {"stepId": "q"})
        ]
        calls.append(
            ("deliverApproval", {"runId": "r", "approval": {"approvalId": signal_id, "approved": True}, "now": 2})
        )
        calls.append(("scheduleTimer", {"runId": "r", "workflowId": "w", "wakeAt": 1, "signalId": signal_id, "now": 0}))
    return [*calls, ("deleteRun", {"runId": "r", "reason": "aborted"})]


def _timers() -> list[Call]:
    calls = [_create("r"), ("deleteRun", {"runId": "r", "reason": "aborted"})]
    for run, signal in (("r", "t"), ("r", "u"), ("q", "t")):
        calls += [
            ("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": at, "signalId": signal, "now": 0})
            for at in (0, 1)
        ]
    calls += [("claimDueTimers", _due(owner, now, limit)) for owner in _OWNERS for now in (0, 1) for limit in (1, 2)]
    return calls


def _schedules() -> list[Call]:
    calls: list[Call] = []
    for schedule in ("s", "t"):
        base: dict[str, Any] = {
            "scheduleId": schedule,
            "workflowId": "w",
            "schedule": {"kind": "interval", "everyMs": 1},
            "overlapPolicy": "skip",
            "now": 0,
        }
        calls += [("upsertSchedule", {**base, "enabled": True, "nextFireAt": at}) for at in (0, 1)]
        calls.append(("upsertSchedule", {**base, "enabled": False, "nextFireAt": 0}))
        calls.append(("markScheduleBucketStarted", {"scheduleId": schedule, "bucketId": "0", "runId": "r", "now": 1}))
    calls[1][1]["input"] = None
    calls.append(("upsertSchedule", {**calls[0][1], "enabled": True} | {"overlapPolicy": "allow"}))
    calls += [("claimDueScheduleBuckets", _due(owner, now, 1)) for owner in _OWNERS for now in (0, 1)]
    return calls


def _log() -> list[Call]:
    events: list[dict[str, Any]] = [{"type": "x", "ts": 0}, {"type": "y", "ts": 1, "stepId": "p"}]
    calls = [_create("r"), ("deleteRun", {"runId": "r", "reason": "errored"})]
    for run in ("r", "q"):
        for index in (0, 1, 2):
            calls += [
                ("appendEvents", {"runId": run, "expectedNextIndex": index, "events": appended})
                for appended in ([], events[:1], events[1:], events)
                if index + len(appended) <= 3
            ]
        calls.append(("readEvents", {"runId": run, "fromIndex": 1}))
    return [*calls, ("loadExecution", {"runId": "r"})]


def _lifecycle() -> list[Call]:
    state: dict[str, Any] = {"runId": "r", "workflowId": "w", "input": None, "createdAt": 0, "updatedAt": 1}
    timer = {"waitingFor": {"signalName": "__timer", "deadline": 2}}
    delivery = {"signalId": "t", "name": "__timer", "payload": None}
    return [
        _create("r"),
        *(("claimRun", {"runId": "r", **_leasing(owner, now)}) for owner in _OWNERS for now in (0, 1)),
        ("releaseRunLease", {"runId": "r", "leaseOwner": "a"}),
        ("heartbeatRunLease", {"runId": "r", **_leasing("a", 1, 2)}),
        ("claimStaleRuns", _due("b", 2, 1)),
        ("saveRunState", {"state": {**state, "status": "paused", **timer}}),
        ("saveRunState", {"state": {**state, "status": "running"}}),
        ("saveRunState", {"state": {**state, "status": "finished", "output": None}}),
        ("markRunPaused", {"runId": "r", **timer, "wakeAt": 2, "now": 1}),
        ("markRunFinished", {"runId": "r", "output": 1, "now": 2}),
        ("markRunErrored", {"runId": "r", "error": {"name": "E", "message": ""}, "code": "c", "now": 2}),
        ("scheduleTimer", {"runId": "r", "workflowId": "w", "wakeAt": 2, "signalId": "t", "now": 1}),
        ("claimDueTimers", _due("a", 2, 1)),
        ("deliverSignal", {"runId": "r", "delivery": delivery, "now": 2}),
        ("appendEvents", {"runId": "r", "expectedNextIndex": 0, "events": [{"type": "x", "ts": 0}]}),
        ("deleteRun", {"runId": "r", "reason": "finished"}),
    ]


INSTANCES: Mapping[str, list[Call]] = {
    "leases": _leases(),
    "waits": _waits(),
    "timers": _timers(),
    "schedules": _schedules(),
    "log": _log(),
    "lifecycle": _lifecycle(),
}

"""Programs in which rows to be passed over stand before the ones to be taken, and arrival is not the contract's order.

A limit that is applied too early, or to the wrong order, shows nowhere else. Each is recorded as a vector as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from storeproof.conformance.programs import Arguments, Call, Program


def crowd_programs() -> Iterator[tuple[str, Program]]:
    """(the operation it is about, the program)."""
    yield "appendEvents", _log()
    yield "heartbeatRunLease", _leases()
    yield "claimDueTimers", _timers()
    yield "claimStaleRuns", _stale_runs()
    yield "claimDueScheduleBuckets", _buckets()
    yield "claimDueScheduleBuckets", _restarted()
    yield "listRuns", _runs()


def _lease(owner: str, now: int, limit: int, lease_ms: int = 10) -> Arguments:
    return {"now": now, "limit": limit, "leaseOwner": owner, "leaseMs": lease_ms}


def _log() -> Program:
    """Every index near both ends of a log, of a run that has no row and of one that has."""
    calls: list[Call] = [Call("createRun", {"runId": "b", "workflowId": "w", "input": None, "now": 0})]
    for run in ("a", "b"):
        for at, count in (
            (1, 1),
            (0, 3),
            (0, 1),
            (1, 2),
            (2, 0),
            (4, 1),
            (3, 0),
            (4, 0),
            (3, 2),
            (5, 1),
            (7, 1),
            (5, 1),
        ):
            events = [{"type": "x", "ts": 9 - index, "value": [run, at, index]} for index in range(count)]
            calls.append(Call("appendEvents", {"runId": run, "expectedNextIndex": at, "events": events}))
        calls += [Call("readEvents", {"runId": run, "fromIndex": at}) for at in (0, 1, 5, 6, 7)]
        calls.append(Call("loadExecution", {"runId": run}))
    return tuple(calls)


def _leases() -> Program:
    """Renewed late, by somebody else, and released by somebody else; ended with a lease."""
    own: Arguments = {"runId": "a", "leaseOwner": "o", "leaseMs": 5}
    other: Arguments = {**own, "leaseOwner": "p"}
    load = Call("loadRun", {"runId": "a"})
    state: Arguments = {"runId": "a", "workflowId": "w", "input": None, "createdAt": 0, "updatedAt": 40}
    ended = [
        step
        for status in ("finished", "errored", "aborted")
        for step in (
            Call("saveRunState", {"state": {**state, "status": status}}),
            Call("claimRun", {**other, "now": 50}),
            Call("claimRun", {**own, "now": 50}),
        )
    ]
    return (
        Call("createRun", {"runId": "a", "workflowId": "w", "input": None, "now": 0}),
        Call("claimRun", {**own, "now": 10}),
        Call("heartbeatRunLease", {**other, "now": 12}),
        load,
        Call("releaseRunLease", {"runId": "a", "leaseOwner": "p"}),
        load,
        Call("heartbeatRunLease", {**other, "now": 20}),
        load,
        Call("heartbeatRunLease", {**own, "now": 20}),
        load,
        *ended,
        Call("releaseRunLease", {"runId": "a", "leaseOwner": "o"}),
        load,
        Call("claimRun", {**other, "now": 60}),
    )


def _timers() -> Program:
    timers = [("c", 5), ("a", 7), ("b", 3), ("d", 3), ("e", 30)]
    return (
        *(
            Call("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": at, "signalId": "t", "now": 0})
            for run, at in timers
        ),
        *(Call("claimDueTimers", _lease(owner, 9, limit)) for owner, limit in (("o", 1), ("p", 2), ("q", 9), ("r", 1))),
        *(Call("claimDueTimers", _lease("r", 19, limit)) for limit in (0, 2, 9)),
    )


def _stale_runs() -> Program:
    calls: list[Call] = []
    for run, at, lease_ms in (("e", 9, 1), ("d", 1, 50), ("c", 7, 2), ("a", 8, 1), ("b", 3, 5), ("f", 2, 1)):
        calls.append(Call("createRun", {"runId": run, "workflowId": "w", "input": None, "now": 0}))
        claim = {"leaseOwner": "o", "leaseMs": lease_ms, "now": at}
        calls.append(Call("claimRun", {"runId": run, **claim}))
    calls.append(Call("releaseRunLease", {"runId": "f", "leaseOwner": "o"}))
    for owner, now, limit in (("p", 10, 1), ("o", 10, 1), ("q", 10, 0), ("q", 10, 9), ("p", 20, 2), ("p", 21, 9)):
        calls.append(Call("claimStaleRuns", _lease(owner, now, limit)))
    return tuple(calls)


def _schedule(name: str, at: int, *, enabled: bool = True, value: int = 0) -> Call:
    schedule = {"kind": "interval", "everyMs": 10}
    args: Arguments = {"scheduleId": name, "workflowId": "w", "schedule": schedule, "overlapPolicy": "skip"}
    return Call("upsertSchedule", {**args, "input": value, "nextFireAt": at, "enabled": enabled, "now": 0})


def _started(name: str, at: int) -> Call:
    args: Arguments = {"scheduleId": name, "bucketId": str(at), "runId": "r", "now": 9}
    return Call("markScheduleBucketStarted", args)


def _buckets() -> Program:
    return (
        *(_schedule(name, at) for name, at in (("c", 5), ("a", 7), ("b", 3), ("e", 30))),
        _schedule("d", 1, enabled=False),
        Call("claimDueScheduleBuckets", _lease("o", 9, 1)),
        _started("b", 3),
        *(
            Call("claimDueScheduleBuckets", _lease(owner, now, limit))
            for owner, now, limit in (("p", 9, 1), ("q", 9, 1), ("q", 9, 9), ("p", 10, 0), ("r", 18, 1), ("r", 29, 9))
        ),
    )


def _restarted() -> Program:
    """The schedule of a started bucket and of a claimed one is written anew, for the same time."""
    return (
        _schedule("a", 5, value=1),
        _schedule("b", 5, value=1),
        Call("claimDueScheduleBuckets", _lease("o", 9, 9)),
        _started("a", 5),
        _schedule("a", 5, value=2),
        _schedule("b", 5, value=2),
        Call("claimDueScheduleBuckets", _lease("o", 10, 9)),
        Call("claimDueScheduleBuckets", _lease("p", 30, 9)),
    )


def _runs() -> Program:
    calls: list[Call] = []
    runs = (("d", "v", 4), ("a", "w", 1), ("f", "w", 6), ("c", "v", 3), ("b", "w", 2), ("e", "w", 5))
    for run, workflow, at in runs:
        calls.append(Call("createRun", {"runId": run, "workflowId": workflow, "input": None, "now": at}))
    calls += [Call("markRunFinished", {"runId": run, "output": None, "now": at}) for run, at in (("a", 7), ("d", 8))]
    for wanted in ({}, {"workflowId": "w"}, {"status": "queued"}, {"workflowId": "w", "status": "queued"}):
        calls += [
            Call("listRuns", {**wanted, "limit": limit, "cursor": cursor})
            for limit, cursor in ((2, "0"), (2, "2"), (1, "1"), (9, "1"), (0, "0"))
        ]
    return tuple(calls)

"""A seeded workload over small pools, in which ids, owners and times collide all the time.

For the benchmark and this part's tests; the conformance kit has generators of its own. Every argument keeps its
operation's schema.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Call: TypeAlias = tuple[str, dict[str, Any]]
"""An operation and its arguments in wire form."""

_RUNS = ("r", "r2", "w:s")
_OWNERS = ("a", "b")
_SIGNALS = ("t", "u", "approval:t")
_NAMES = ("n", "m")
_STEPS = ("p", "q")
_SCHEDULES = ("s", "s2")
_WORKFLOWS = ("w", "w2")
_VALUES: tuple[Any, ...] = (None, 1, "1", True, {"k": [1, 1.5]})
_STATUSES = ("running", "paused", "finished", "errored", "aborted")


def workload(seed: int, length: int) -> Iterator[Call]:
    """`length` calls, the same for the same seed; time goes on slowly, and sometimes back."""
    source = random.Random(seed)
    clock = 10
    for _ in range(length):
        clock = max(0, clock + source.choice((-1, 0, 0, 0, 0, 0, 0, 0, 1, 2)))
        name = source.choice(_WEIGHTED)
        yield name, _CALLS[name](_Pool(source, clock))


class _Pool:
    """Draws values; `maybe` leaves a field out half of the time."""

    def __init__(self, source: random.Random, now: int) -> None:
        self.now = now
        self._source = source

    def of(self, values: tuple[Any, ...]) -> Any:
        return self._source.choice(values)

    def near(self) -> int:
        return max(0, self.now + self._source.randint(-2, 4))

    def maybe(self, name: str, draw: Callable[[], Any]) -> dict[str, Any]:
        return {name: draw()} if self._source.random() < 0.5 else {}

    def leasing(self) -> dict[str, Any]:
        return {"leaseOwner": self.of(_OWNERS), "leaseMs": self.of((1, 2, 5)), "now": self._late()}

    def _late(self) -> int:
        return 2**53 - 2 if self._source.random() < 0.02 else self.now

    def signal(self) -> dict[str, Any]:
        return {
            "signalName": self.of((*_NAMES, "__timer")),
            **self.maybe("stepId", lambda: self.of(_STEPS)),
            **self.maybe("deadline", self.near),
        }

    def approval(self) -> dict[str, Any]:
        return {"approvalId": self.of(_SIGNALS), "title": "", **self.maybe("stepId", lambda: self.of(_STEPS))}

    def waits(self) -> dict[str, Any]:
        return {
            **self.maybe("awaiting", lambda: [self._awaitable() for _ in range(self.of((0, 1, 2)))]),
            **self.maybe("waitingFor", self.signal),
            **self.maybe("pendingApproval", self.approval),
        }

    def _awaitable(self) -> dict[str, Any]:
        return {"type": "signal", **self.signal()} if self.of((0, 1)) else {"type": "approval", **self.approval()}

    def workflow(self) -> dict[str, Any]:
        return {"workflowId": self.of(_WORKFLOWS), **self.maybe("workflowVersion", lambda: "1")}

    def state(self) -> dict[str, Any]:
        return {
            "runId": self.of(_RUNS),
            **self.workflow(),
            "status": self.of(_STATUSES),
            "input": self.of(_VALUES),
            **self.maybe("output", lambda: self.of(_VALUES)),
            **self.waits(),
            "createdAt": self.near(),
            "updatedAt": self.near(),
        }

    def event(self) -> dict[str, Any]:
        return {"type": self.of(("STEP_STARTED", "x")), "ts": self.near(), **self.maybe("stepId", lambda: "p")}

    def delivery(self) -> dict[str, Any]:
        step = self.maybe("stepId", lambda: self.of(_STEPS))
        return {"signalId": self.of(_SIGNALS), "name": self.of(_NAMES), "payload": self.of(_VALUES), **step}


def _claim_due(pool: _Pool) -> dict[str, Any]:
    return {**pool.leasing(), "limit": pool.of((0, 1, 2, 100))}


def _run_id(pool: _Pool) -> dict[str, Any]:
    return {"runId": pool.of(_RUNS)}


_CALLS: dict[str, Callable[[_Pool], dict[str, Any]]] = {
    "createRun": lambda p: {**_run_id(p), **p.workflow(), "input": p.of(_VALUES), "now": p.now},
    "loadRun": _run_id,
    "loadExecution": _run_id,
    "getRunTimeline": _run_id,
    "loadRunState": _run_id,
    "saveRunState": lambda p: {"state": p.state()},
    "deleteRun": lambda p: {**_run_id(p), "reason": "aborted"},
    "appendEvents": lambda p: {
        **_run_id(p),
        "expectedNextIndex": p.of((0, 0, 1, 2, 3)),
        "events": [p.event() for _ in range(p.of((0, 1, 2)))],
    },
    "readEvents": lambda p: {**_run_id(p), **p.maybe("fromIndex", lambda: p.of((0, 1, 3)))},
    "claimRun": lambda p: {**_run_id(p), **p.leasing()},
    "heartbeatRunLease": lambda p: {**_run_id(p), **p.leasing()},
    "releaseRunLease": lambda p: {**_run_id(p), "leaseOwner": p.of(_OWNERS)},
    "claimStaleRuns": _claim_due,
    "markRunPaused": lambda p: {**_run_id(p), **p.waits(), **p.maybe("wakeAt", p.near), "now": p.now},
    "markRunFinished": lambda p: {**_run_id(p), "output": p.of(_VALUES), "now": p.now},
    "markRunErrored": lambda p: {**_run_id(p), "error": {"name": "E", "message": ""}, "code": "c", "now": p.now},
    "scheduleTimer": lambda p: {
        **_run_id(p),
        **p.workflow(),
        "wakeAt": p.near(),
        "signalId": p.of(_SIGNALS),
        "now": p.now,
    },
    "claimDueTimers": _claim_due,
    "deliverSignal": lambda p: {**_run_id(p), "delivery": p.delivery(), "now": p.now},
    "deliverApproval": lambda p: {
        **_run_id(p),
        "approval": {"approvalId": p.of(_SIGNALS), "approved": p.of((True, False))},
        "now": p.now,
    },
    "upsertSchedule": lambda p: {
        "scheduleId": p.of(_SCHEDULES) if p.of(tuple(range(40))) else "s" * 1006,
        **p.workflow(),
        "schedule": {"kind": "cron", "expression": "* * * * *"},
        "overlapPolicy": p.of(("skip", "allow")),
        **p.maybe("input", lambda: p.of(_VALUES)),
        **({"nextFireAt": p.near()} if p.of((0, 1, 2)) else {}),
        "enabled": p.of((True, True, True, False)),
        "now": p.now,
    },
    "claimDueScheduleBuckets": _claim_due,
    "markScheduleBucketStarted": lambda p: {
        "scheduleId": p.of(_SCHEDULES),
        "bucketId": str(p.near()),
        **_run_id(p),
        "now": p.now,
    },
    "listRuns": lambda p: {
        "limit": p.of((0, 1, 2, 100)),
        **p.maybe("workflowId", lambda: p.of(_WORKFLOWS)),
        **p.maybe("status", lambda: p.of(("queued", *_STATUSES))),
        **p.maybe("cursor", lambda: p.of(("0", "1", "002"))),
    },
}

_WEIGHTS = {
    "appendEvents": 3,
    "claimDueScheduleBuckets": 3,
    "claimRun": 4,
    "claimStaleRuns": 2,
    "createRun": 4,
    "deliverSignal": 3,
    "markRunPaused": 3,
    "markScheduleBucketStarted": 5,
    "upsertSchedule": 4,
}
_WEIGHTED = tuple(name for name in _CALLS for _ in range(_WEIGHTS.get(name, 1)))

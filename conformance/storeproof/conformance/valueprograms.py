"""Enumerated programs for the promises about values: JSON, numbers, text, times and sizes that have to come back.

Each is a program like any other and is judged by the model; here stands only which values to try, and where.
"""

from __future__ import annotations

from typing import Any

from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.spec.values import MAX_INTEGER


def _deep(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


JSON_VALUES: tuple[Any, ...] = (
    None, True, False, "", "123", "null", "true", "1e5", '"quoted"', "{}", "[]", "\\u0000", {}, [], [[]], [{}], [None],
    {"": ""}, {"a": None}, {"a": {}, "b": []}, {"__proto__": 1}, {"type": "x"}, [1, "1", True, None, [1], {"1": 1}],
    {"b": 1, "a": 2, "\U0001f600": 3, "\ue000": 4, "A": 5},
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0, -0.0, 1, -1, 5.0, 0.1, 1.5, -2.5e-7, MAX_INTEGER, -MAX_INTEGER, 2**31, 2**32 + 1, 2**53, 1e21, 1e308,
    -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 123456789.12345679, 1e15, 1e16, 0.30000000000000004,
)  # fmt: skip
STRINGS: tuple[str, ...] = (
    " ", "'", '"', "\\", "%", "%s", "?", ":x", "$1", "{0}", "\n", "\r\n", "\t", "\x01", "\x7f", "\x85", "é", "e\u0301",
    "ß", "\ufffe", "\uffff", "\ufeff", "\U0001f600", "\U0010ffff", "\u2028", "\uff41", "a\u200db", "--", "/*", "';--",
)  # fmt: skip


def value_program(value: Any) -> Program:
    """One JSON value through every place where an operation takes JSON and one gives it back."""
    meta = {"k": value}
    wait = {"signalName": "go", "meta": meta}
    approval = {"approvalId": "p", "title": "t", "meta": meta}
    state: Arguments = {
        "runId": "s",
        "workflowId": "w",
        "status": "paused",
        "input": value,
        "output": value,
        "createdAt": 0,
    }
    state |= {"updatedAt": 0, "waitingFor": wait, "pendingApproval": approval, "awaiting": [{"type": "signal", **wait}]}
    event = {"type": "CUSTOM", "ts": 1, "name": "n", "value": meta, "any": value}
    granted = {"approvalId": "p", "approved": True}
    schedule: Arguments = {
        "scheduleId": "s",
        "workflowId": "w",
        "schedule": {"kind": "cron", "expression": "* * * * *"},
    }
    schedule |= {"overlapPolicy": "skip", "enabled": True, "now": 0, "nextFireAt": 5, "input": value}
    return (
        Call("createRun", {"runId": "r", "workflowId": "w", "input": value, "now": 0}),
        Call("appendEvents", {"runId": "r", "expectedNextIndex": 0, "events": [event, event]}),
        Call("appendEvents", {"runId": "r", "expectedNextIndex": 0, "events": []}),
        Call("markRunPaused", {"runId": "r", "waitingFor": wait, "pendingApproval": approval, "now": 1}),
        Call("loadRun", {"runId": "r"}),
        Call("deliverSignal", {"runId": "r", "delivery": {"signalId": "x", "name": "go", "payload": value}, "now": 2}),
        Call("markRunPaused", {"runId": "r", "awaiting": [{"type": "approval", **approval}], "now": 3}),
        Call("deliverApproval", {"runId": "r", "approval": {**granted, "meta": meta}, "now": 4}),
        Call("saveRunState", {"state": state}),
        Call("upsertSchedule", schedule),
        Call("markRunFinished", {"runId": "r", "output": value, "now": 5}),
    )


def text_program(text: str) -> Program:
    """One string through every place that takes free text, and inside JSON."""
    error = {"name": text, "message": text, "stack": text}
    wait = {"signalName": text, "stepId": "s"}
    approval = {"approvalId": "p", "title": text, "description": text}
    state: Arguments = {
        "runId": "r",
        "workflowId": "w",
        "workflowVersion": text,
        "status": "paused",
        "input": {text: text},
    }
    state |= {"error": error, "waitingFor": wait, "pendingApproval": approval, "createdAt": 0, "updatedAt": 0}
    schedule: Arguments = {
        "scheduleId": "s",
        "workflowId": "w",
        "workflowVersion": text,
        "overlapPolicy": "skip",
        "enabled": True,
    }
    schedule |= {"schedule": {"kind": "cron", "expression": text, "timezone": text}, "now": 0, "nextFireAt": 5}
    feedback = {"approvalId": "p", "approved": False, "feedback": text}
    timer: Arguments = {"runId": "r", "workflowId": "w", "wakeAt": 5, "signalId": "t", "now": 4}
    return (
        Call("createRun", {"runId": "c", "workflowId": "w", "workflowVersion": text, "input": text, "now": 0}),
        Call("appendEvents", {"runId": "c", "expectedNextIndex": 0, "events": [{"type": text, "ts": 0, text: text}]}),
        Call("markRunErrored", {"runId": "c", "error": error, "code": text, "now": 1}),
        Call("saveRunState", {"state": state}),
        Call("loadRun", {"runId": "r"}),
        Call("deliverApproval", {"runId": "r", "approval": feedback, "now": 2}),
        Call("saveRunState", {"state": state}),
        Call("deliverSignal", {"runId": "r", "delivery": {"signalId": "x", "name": text, "payload": text}, "now": 3}),
        Call("scheduleTimer", {**timer, "workflowVersion": text}),
        Call("upsertSchedule", schedule),
    )


def times_program(late: int, top: int) -> Program:
    """Times about `late` and indexes up to `top`, wherever an integer stands."""
    index: Arguments = {"runId": "r", "expectedNextIndex": top, "events": [{"type": "x", "ts": late}]}
    schedule: Arguments = {
        "scheduleId": "s",
        "workflowId": "w",
        "schedule": {"kind": "interval", "everyMs": top},
    }
    schedule |= {"overlapPolicy": "skip", "enabled": True, "now": late, "nextFireAt": late}
    lease = {"leaseOwner": "o", "leaseMs": 1, "now": late}
    return (
        Call("createRun", {"runId": "r", "workflowId": "w", "input": 0, "now": late}),
        *(Call("appendEvents", {**index, "expectedNextIndex": at}) for at in (top, top // 2**20, top // 2**21, 1, 0)),
        Call("appendEvents", {**index, "events": []}),
        *(Call("readEvents", {"runId": "r", "fromIndex": at}) for at in (0, 1, top // 2**21, top // 2**20, top)),
        Call("claimRun", {"runId": "r", **lease}),
        Call("heartbeatRunLease", {"runId": "r", **lease, "now": late + 1}),
        Call("markRunPaused", {"runId": "r", "waitingFor": {"signalName": "g", "deadline": top}, "now": late}),
        Call("scheduleTimer", {"runId": "r", "workflowId": "w", "wakeAt": late, "signalId": "t", "now": late}),
        Call("claimDueTimers", {**lease, "limit": top}),
        Call("upsertSchedule", schedule),
        Call("claimDueScheduleBuckets", {**lease, "limit": top}),
        Call("listRuns", {"limit": top, "cursor": str(top)}),
        Call("listRuns", {"limit": top, "cursor": "0"}),
    )


def size_program() -> Program:
    """Just under 1 MiB of arguments, and 64 levels of nesting with the arguments' own."""
    big = "x" * (1_048_576 - 200)
    many = [{"type": "CUSTOM", "ts": 0, "value": "y" * 1_000} for _ in range(1_000)]
    nested = {"type": "d", "ts": 0, "v": _deep(61)}
    return (
        Call("createRun", {"runId": "r", "workflowId": "w", "input": big, "now": 0}),
        Call("markRunFinished", {"runId": "r", "output": _deep(63), "now": 0}),
        Call("appendEvents", {"runId": "r", "expectedNextIndex": 0, "events": many}),
        Call("appendEvents", {"runId": "r", "expectedNextIndex": 1_000, "events": [nested]}),
    )

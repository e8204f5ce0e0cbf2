"""Enumerated programs for the cross-cutting promises: values that come back, ids that are not confused, moved clocks.

Each scenario is a program like any other and is judged by the model; here stands only which values and ids to try.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.conformance.refusals import SETUP, plain_arguments
from storeproof.spec.specification import Data, Specification
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

CONFUSABLE: tuple[str, ...] = (
    "a", "A", "a:b", "b", "b:c", "a:b:c", "c", "aa", " a", "a ", "a%", "a_", "é", "e\u0301", "\U0001f600", "\ue000",
    "approval:a", "signal:a", "signal:approval:a", "1", "01", "1.0", "null",
)  # fmt: skip
"""Ids a careless key, pattern, collation or conversion takes for each other."""


LONGEST_IDS = ("y" * 1024, "y" * 1023 + "z", "\U0001f600" * 256, "\U0001f600" * 255 + "\U0001f601")

JOINED = (
    (("a", "b:c"), ("a:b", "c")),
    (("a:b", "b"), ("a", "b:b")),
    (("a", "approval:b"), ("a:approval", "b")),
)
"""Two pairs of ids that are the same text once they are joined by a colon."""


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


def large_times_program() -> Program:
    """Times and indexes beyond 32 bits, up to 2^53-1, wherever an integer stands."""
    late = MAX_INTEGER - 10
    index: Arguments = {"runId": "r", "expectedNextIndex": MAX_INTEGER, "events": [{"type": "x", "ts": late}]}
    schedule: Arguments = {
        "scheduleId": "s",
        "workflowId": "w",
        "schedule": {"kind": "interval", "everyMs": MAX_INTEGER},
    }
    schedule |= {"overlapPolicy": "skip", "enabled": True, "now": late, "nextFireAt": late}
    lease = {"leaseOwner": "o", "leaseMs": 1, "now": late}
    return (
        Call("createRun", {"runId": "r", "workflowId": "w", "input": 0, "now": late}),
        *(Call("appendEvents", {**index, "expectedNextIndex": at}) for at in (MAX_INTEGER, 2**32, 2**31, 1, 0)),
        Call("appendEvents", {**index, "events": []}),
        *(Call("readEvents", {"runId": "r", "fromIndex": at}) for at in (0, 1, 2**31, 2**32, MAX_INTEGER)),
        Call("claimRun", {"runId": "r", **lease}),
        Call("heartbeatRunLease", {"runId": "r", **lease, "now": late + 1}),
        Call("markRunPaused", {"runId": "r", "waitingFor": {"signalName": "g", "deadline": MAX_INTEGER}, "now": late}),
        Call("scheduleTimer", {"runId": "r", "workflowId": "w", "wakeAt": late, "signalId": "t", "now": late}),
        Call("claimDueTimers", {**lease, "limit": MAX_INTEGER}),
        Call("upsertSchedule", schedule),
        Call("claimDueScheduleBuckets", {**lease, "limit": 2**32}),
        Call("listRuns", {"limit": MAX_INTEGER, "cursor": "9999999999999999"}),
        Call("listRuns", {"limit": 2**31, "cursor": "0000000000000000"}),
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


def id_length_program(ids: tuple[str, ...] = LONGEST_IDS) -> Program:
    """Ids of the longest kind, also of characters of four bytes, in every key; some differ in the last one only."""
    calls: list[Call] = []
    for name in ids:
        wait = {"signalName": "go", "stepId": name}
        approval = {"approvalId": name, "title": "t"}
        event = {"type": "x", "ts": 0, "stepId": name}
        delivery = {"signalId": name, "name": "go", "payload": 0}
        calls += [
            Call("createRun", {"runId": name, "workflowId": name, "input": 0, "now": 0}),
            Call("claimRun", {"runId": name, "leaseOwner": name, "leaseMs": 5, "now": 0}),
            Call("appendEvents", {"runId": name, "expectedNextIndex": 0, "events": [event]}),
            Call("scheduleTimer", {"runId": name, "workflowId": name, "wakeAt": 9, "signalId": name, "now": 1}),
            Call("scheduleTimer", {"runId": name, "workflowId": name, "wakeAt": 9, "signalId": "t", "now": 1}),
            Call("markRunPaused", {"runId": name, "waitingFor": wait, "now": 2}),
            Call("deliverSignal", {"runId": name, "delivery": delivery, "now": 3}),
            Call("markRunPaused", {"runId": name, "pendingApproval": approval, "now": 4}),
            Call("deliverApproval", {"runId": name, "approval": {"approvalId": name, "approved": True}, "now": 5}),
            Call("markScheduleBucketStarted", {"scheduleId": name, "bucketId": name, "runId": name, "now": 5}),
        ]
    schedule: Arguments = {
        "scheduleId": "z" * 503,
        "workflowId": "w" * 503,
        "schedule": {"kind": "interval", "everyMs": 1},
    }
    schedule |= {"overlapPolicy": "skip", "enabled": True, "now": 0, "nextFireAt": MAX_INTEGER - 9}
    return (*calls, Call("upsertSchedule", schedule))


def id_programs() -> Iterator[Program]:
    """Two ids, or two pairs of ids that join to the same text, side by side; one of them is then acted on."""
    pairs = list(combinations(CONFUSABLE[:7], 2))
    pairs += [(left, right) for left in CONFUSABLE for right in CONFUSABLE[7:] if left != right and left[0] == right[0]]
    pairs += [("\U0001f600", "\ue000"), ("\ue000", "\U0001f600"), ("1", "null"), ("signal:a", "approval:a")]
    pairs += [("é", "e\u0301"), ("e\u0301", "é"), ("é", "e"), ("ss", "ß"), ("i", "I"), ("a", "\uff41")]
    for left, right in dict.fromkeys(pairs):
        yield pair_program((left, left), (right, right))
    for joined in (
        (("a", "b:c"), ("a:b", "c")),
        (("a:b", "b"), ("a", "b:b")),
        (("a", "approval:b"), ("a:approval", "b")),
    ):
        yield pair_program(*joined)
        yield pair_program(*reversed(joined))


def pair_program(left: tuple[str, str], right: tuple[str, str]) -> Program:
    """Everything keyed by a run and a second id, for both pairs; then deliveries to and the end of the first."""
    calls: list[Call] = []
    for run, other in (left, right):
        schedule: Arguments = {"scheduleId": other, "workflowId": run, "schedule": {"kind": "interval", "everyMs": 1}}
        schedule |= {"overlapPolicy": "skip", "enabled": True, "now": 0, "nextFireAt": 5, "input": [run, other]}
        waits = {"waitingFor": {"signalName": other}, "pendingApproval": {"approvalId": other, "title": "t"}}
        event = {"type": run, "ts": 1, "stepId": other}
        calls += [
            Call("createRun", {"runId": run, "workflowId": other, "input": [run, other], "now": 1}),
            Call("appendEvents", {"runId": run, "expectedNextIndex": 0, "events": [event]}),
            Call("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": 5, "signalId": other, "now": 1}),
            Call("upsertSchedule", schedule),
            Call("markRunPaused", {"runId": run, **waits, "now": 2}),
        ]
    run, other = left
    early = {"now": 5, "limit": 9, "leaseOwner": "early", "leaseMs": 1}
    signal = {"signalId": other, "name": other, "payload": 0}
    rival = {"signalId": right[1], "name": right[1], "payload": 0}
    lease = {"leaseOwner": run, "leaseMs": 5, "now": 5}
    calls += [
        Call("claimDueTimers", early),  # before a delivery drops one of them
        Call("deliverSignal", {"runId": run, "delivery": signal, "now": 3}),
        Call("deliverApproval", {"runId": right[0], "approval": {"approvalId": right[1], "approved": True}, "now": 3}),
        Call("deliverSignal", {"runId": right[0], "delivery": rival, "now": 3}),
        Call("claimDueScheduleBuckets", {**lease, "limit": 1}),
        Call("markScheduleBucketStarted", {"scheduleId": other, "bucketId": "5", "runId": run, "now": 5}),
        Call("claimRun", {"runId": run, **lease}),
        Call("claimRun", {"runId": right[0], "leaseOwner": right[0], "leaseMs": 5, "now": 6}),
        Call("heartbeatRunLease", {"runId": run, "leaseOwner": right[0], "leaseMs": 9, "now": 6}),
        Call("listRuns", {"workflowId": other, "limit": 9}),
        Call("listRuns", {"limit": 1}),
        Call("claimDueTimers", {**lease, "leaseOwner": right[0], "limit": 1}),
        Call("deleteRun", {"runId": run, "reason": "finished"}),
    ]
    return tuple(calls)


def kinds_programs() -> Iterator[Program]:
    """Signals and approvals whose ids would meet in one table (ruling 4)."""
    for first, second in combinations(("a", "approval:a", "signal:a", "signal:approval:a", "approval:signal:a"), 2):
        for signal, approval in ((first, second), (second, first)):
            yield kinds_program(signal, approval)
            yield kinds_program(signal, approval, approval_first=True)


def kinds_program(signal: str, approval: str, *, approval_first: bool = False) -> Program:
    """A run that waits for both gets one, then the other, then the first again."""
    wait = {"waitingFor": {"signalName": "go"}, "pendingApproval": {"approvalId": approval, "title": "t"}}
    deliver_signal = {"runId": "r", "delivery": {"signalId": signal, "name": "go", "payload": 0}, "now": 2}
    deliver_approval = {"runId": "r", "approval": {"approvalId": approval, "approved": True}, "now": 2}
    calls = (Call("deliverSignal", deliver_signal), Call("deliverApproval", deliver_approval))
    first, second = reversed(calls) if approval_first else calls
    pause = Call("markRunPaused", {"runId": "r", **wait, "now": 1})
    create = Call("createRun", {"runId": "r", "workflowId": "w", "input": 0, "now": 0})
    return (create, pause, first, pause, second, pause, first)


CLOCK_OFFSETS = (1_000_000_000_000, 1_900_000_000_000, 4_000_000_000_000, 2**52)
"""A time long past, one near any wall clock this code will see, one far ahead, and one no clock shows."""


def moved(specification: Specification, program: Program, by: int) -> Program:
    """The program with every time `by` milliseconds later; the schema says which fields are times."""
    definitions: Data = specification.contract["$defs"]

    def move(schema: Data, value: Any) -> Any:
        if schema.get("$ref", "").endswith("/Time"):
            return value + by
        if schema.get("$ref", "").endswith("/Event"):
            return {**value, "ts": value["ts"] + by}
        while "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        if alternatives := schema.get("oneOf") or schema.get("anyOf"):
            for alternative in alternatives:
                value = move(alternative, value) if _fits(definitions, alternative, value) else value
            return value
        if schema.get("type") == "array" and "items" in schema and isinstance(value, list):
            return [move(schema["items"], item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if schema.get("type") == "object" and isinstance(value, dict):
            fields = schema.get("properties", {})
            return {name: move(fields.get(name, {}), item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return value

    calls: list[Call] = []
    for call in program:
        args = move({"$ref": "#/$defs/" + specification.operations[call.operation].arguments}, call.args)
        if "bucketId" in args and args["bucketId"].isdecimal():
            args["bucketId"] = str(int(args["bucketId"]) + by)  # a bucket is named by its time
        calls.append(Call(call.operation, args))
    return tuple(calls)


def _fits(definitions: Data, schema: Data, value: Any) -> bool:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    tags = {name: item["const"] for name, item in schema.get("properties", {}).items() if "const" in item}
    return isinstance(value, dict) and all(value.get(name) == tag for name, tag in tags.items())  # pyright: ignore[reportUnknownMemberType]


def movable(program: Program) -> bool:
    """Whether every time of the program stays an integer of the contract when it is moved."""
    return all(number < 2**40 for number in _numbers([call.args for call in program]))


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _numbers(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def order_programs() -> Iterator[Program]:
    """Ids that a collation or UTF-16 would order otherwise, in two orders of arrival."""
    ids = ("a", "B", "b", "ab", "a b", "a:b", "A", "\U0001f600", "\ue000", "é", "z", "1", "10", "2", "-", "_")
    yield order_program(ids)
    yield order_program(ids[::-1])


def order_program(ids: tuple[str, ...]) -> Program:
    """Rows that differ in their ids only; limits then pick, and lists show, by code point."""
    calls: list[Call] = []
    for name in ids:
        schedule: Arguments = {"scheduleId": name, "workflowId": "w", "schedule": {"kind": "interval", "everyMs": 1}}
        schedule |= {"overlapPolicy": "skip", "enabled": True, "now": 0, "nextFireAt": 5}
        calls += [
            Call("createRun", {"runId": name, "workflowId": "w", "input": 0, "now": 1}),
            Call("claimRun", {"runId": name, "leaseOwner": "o", "leaseMs": 1, "now": 1}),
            Call("scheduleTimer", {"runId": name, "workflowId": "w", "wakeAt": 5, "signalId": name, "now": 1}),
            Call("scheduleTimer", {"runId": "a", "workflowId": "w", "wakeAt": 5, "signalId": name, "now": 1}),
            Call("upsertSchedule", schedule),
        ]
    for owner in ("p", "q", "r"):
        lease = {"leaseOwner": owner, "leaseMs": 50, "now": 9}
        calls += [
            Call("listRuns", {"limit": 5}),
            Call("listRuns", {"limit": 5, "cursor": "5"}),
            Call("claimDueTimers", {**lease, "limit": 4}),
            Call("claimDueScheduleBuckets", {**lease, "limit": 4}),
            Call("claimStaleRuns", {**lease, "limit": 4}),
        ]
    return tuple(calls)


def crossing_programs(specification: Specification, operation: str) -> Iterator[Program]:
    """Arguments that fit the schema field by field and break a rule together (rulings 17 and 19); the model judges."""
    names = specification.contract["$defs"][specification.operations[operation].arguments]["properties"]
    plain = plain_arguments(specification, operation)
    if "leaseMs" in names:
        for now, lease_ms in ((1, MAX_INTEGER), (MAX_INTEGER, 1), (0, MAX_INTEGER), (MAX_INTEGER - 1, 1)):
            yield (*SETUP, Call(operation, {**plain, "now": now, "leaseMs": lease_ms}))
    if "scheduleId" in names and "workflowId" in names:
        for workflow, schedule in (
            ("w" * 503, "é" * 252),
            ("w" * 1006, "s"),
            ("w" * 503, "s" * 503),
            ("w", "s" * 1005),
        ):
            yield (*SETUP, Call(operation, {**plain, "workflowId": workflow, "scheduleId": schedule}))

"""Enumerated programs for the promises about ids: not confused, not too long, ordered by code point.

Each is a program like any other and is judged by the model; here stands only which ids to try, and in which places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, pairwise

from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.conformance.rewriting import rewritten
from storeproof.spec.specification import Specification
from storeproof.spec.values import MAX_INTEGER

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
    for joined in JOINED:
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


def with_plain_ids(specification: Specification, program: Program) -> Program | None:
    """The program with ids of small letters and digits, as different and in the same order; None where they are.

    None for a program with a call that is to be refused, too: its bad argument may be an id.
    """
    if any(call.refused for call in program):
        return None
    ids: set[str] = set()
    rewritten(specification, program, {"Id": lambda name: ids.add(name)})
    plain: dict[str, str] = {}
    last = ""
    for name in sorted(ids):
        last = plain[name] = name if _PLAIN.fullmatch(name) else last + "0"  # next to nothing comes between
    in_order = all(before < after for before, after in pairwise(plain.values()))
    if not in_order or all(name == other for name, other in plain.items()):
        return None
    return rewritten(specification, program, {"Id": plain.__getitem__})


_PLAIN = re.compile("[a-z0-9]+")


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


def order_programs() -> Iterator[tuple[Program, Program]]:
    """Ids that a collation or UTF-16 would order otherwise, in two orders of arrival; and the same with ids that nobody
    orders otherwise. A program for each operation: a program ends at the first wrong answer, and would hide the others.
    """
    ids = ("a", "B", "b", "ab", "a b", "a:b", "A", "\U0001f600", "\ue000", "é", "z", "1", "10", "2", "-", "_")
    lease = {"leaseMs": 50, "now": 9, "limit": 4}
    for operation in ("claimDueTimers", "claimDueScheduleBuckets", "claimStaleRuns"):
        claims = tuple(Call(operation, {**lease, "leaseOwner": owner}) for owner in ("p", "q", "r"))
        yield from _ordered(ids, claims)
    yield from _ordered(ids, (Call("listRuns", {"limit": 5}), Call("listRuns", {"limit": 5, "cursor": "5"})))


def _ordered(ids: tuple[str, ...], listing: Program) -> Iterator[tuple[Program, Program]]:
    plain = order_program(tuple("abcdefg"), listing)
    for names in (ids, ids[::-1]):
        yield order_program(names, listing), plain


def order_program(ids: tuple[str, ...], listing: Program) -> Program:
    """Rows that differ in their ids only; then they are listed, or a limit picks among them, by code point."""
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
    return (*calls, *listing)

"""The steps that end a program: they read the whole state, also what only a claim or a second delivery shows.

`plain_reading` shows which rows there are; `boundary_reading` claims at every time at which an answer must change.
Both are made of the model's state and are judged like any other step.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from storeproof.conformance.programs import Call, Program
from storeproof.reference.model import Model, State
from storeproof.reference.tables import rows
from storeproof.spec.values import MAX_INTEGER

READER = "storeproof"
"""The lease owner of closing claims; no program uses it."""
RIVAL = "storeproof-2"
"""Claims what the reader holds."""

_CLAIMS = (("timers", "claimDueTimers"), ("scheduleBuckets", "claimDueScheduleBuckets"), ("runs", "claimStaleRuns"))
MOST_BOUNDARIES = 8


def closing_steps(model: Model, state: State, program: Program) -> Program:
    """Everything: claims at the boundaries, then the plain reading of what is left."""
    reading = run_readings(program)
    boundary = boundary_reading(model, state)
    after = state
    for call in boundary:
        after = model.step(after, call.operation, call.args).state
    return (*reading, *boundary, *plain_reading(model, after, program))


def short_closing(model: Model, state: State, program: Program, last: int = MAX_INTEGER - 1) -> Program:
    """Everything once: of several operations that read the same only one, and no second reading after the claims.

    For races, where one client's programs have shown already that those operations agree.
    """
    boundary = boundary_reading(model, state)
    after = state
    for call in boundary:
        after = model.step(after, call.operation, call.args).state
    # By a new owner each, so that who reads the same store at a later time does not meet these rows again.
    rest = plain_reading(model, after, program, last, f"{READER}-{last}")
    rest = tuple(call for call in rest if call.operation not in _READINGS)
    return (*short_reading(program), *boundary, *rest)


def short_reading(program: Program) -> Program:
    """What `short_closing` begins with: the calls that only read."""
    names = ("loadExecution", "readEvents", "loadRunState")
    reading = [Call(name, {"runId": run_id}) for run_id in _run_ids(program) for name in names]
    return (*reading, Call("listRuns", {"limit": MAX_INTEGER}))


_READINGS = ("loadRun", "loadRunState", "loadExecution", "getRunTimeline", "readEvents", "listRuns")


def names_of(program: Program) -> Hashable:
    """What of a program, besides the state it leads to, decides how it is closed."""
    return tuple(_run_ids(program)), tuple(_deliveries(program))


def run_readings(program: Program) -> Program:
    """Every read of every run the program names."""
    calls: list[Call] = []
    for run_id in _run_ids(program):
        calls += [Call(name, {"runId": run_id}) for name in ("loadRun", "loadRunState", "loadExecution")]
        calls += [Call(name, {"runId": run_id}) for name in ("getRunTimeline", "readEvents")]
    return (*calls, Call("listRuns", {"limit": MAX_INTEGER}))


def boundary_reading(model: Model, state: State) -> Program:
    """Claims one before and at every time at which a row falls due or a lease ends."""
    calls: list[Call] = []
    for relation, operation in _CLAIMS:
        times = _times(model, state, relation)
        if relation == "scheduleBuckets":
            times |= _times(model, state, "schedules")
        near = sorted({max(0, time + step) for time in times for step in (-1, 0)})
        calls += [_claim(operation, time) for time in near[:MOST_BOUNDARIES] if time < MAX_INTEGER]
    after = state
    for call in calls:
        after = model.step(after, call.operation, call.args).state
    return (*calls, *_run_claims(after))


def _run_claims(state: State) -> Program:
    """A rival's claim of each leased run one before and at the end of its lease."""
    calls: list[Call] = []
    for row in rows(state, "runs", 1):
        end = row["lease"]["expiresAt"] if "lease" in row else MAX_INTEGER
        if end < MAX_INTEGER:
            claim = {"runId": row["runId"], "leaseOwner": RIVAL, "leaseMs": 1}
            calls += [Call("claimRun", {**claim, "now": now}) for now in (end - 1, end)]
    return tuple(calls)


def plain_reading(
    model: Model, state: State, program: Program, last: int = MAX_INTEGER - 1, keeper: str = READER
) -> Program:
    """Reads, claims by `keeper` for ever at the time `last`, when every lease is over, and second deliveries; runs that
    are gone are created anew for these.
    """
    calls = [*run_readings(program)]
    calls += [_claim(operation, last, keeper, MAX_INTEGER - last) for _, operation in _CLAIMS]
    runs = {row["runId"] for row in rows(state, "runs", 1)}
    for run_id, kind, delivery_id in _deliveries(program):
        if run_id not in runs:
            runs.add(run_id)
            calls.append(Call("createRun", {"runId": run_id, "workflowId": "w", "input": None, "now": 0}))
        calls.append(_delivery(run_id, kind, delivery_id))
    return tuple(calls)


def _claim(operation: str, now: int, owner: str = READER, lease_ms: int = 1) -> Call:
    return Call(operation, {"now": now, "limit": MAX_INTEGER, "leaseOwner": owner, "leaseMs": lease_ms})


def _delivery(run_id: str, kind: str, delivery_id: str) -> Call:
    """Nobody waits for it, so only a delivery that was remembered answers duplicate."""
    if kind == "deliverSignal":
        delivery = {"signalId": delivery_id, "name": "nobody waits for this", "payload": None}
        return Call(kind, {"runId": run_id, "delivery": delivery, "now": 0})
    approval = {"approvalId": delivery_id, "approved": True}
    return Call(kind, {"runId": run_id, "approval": approval, "now": 0})


def _times(model: Model, state: State, relation: str) -> set[int]:
    width = len(model.specification.relations[relation].key)
    times: set[int] = set()
    for row in rows(state, relation, width):
        times.update(row[field] for field in ("wakeAt", "nextFireAt") if field in row and relation != "runs")
        if "lease" in row:
            times.add(row["lease"]["expiresAt"])
    return times


def _valid(program: Program) -> list[Call]:
    return [call for call in program if call.refused is None]


def _run_ids(program: Program) -> list[str]:
    found: dict[str, None] = {}
    for call in _valid(program):
        holder: dict[str, Any] = call.args.get("state", call.args)
        if "runId" in holder:
            found[holder["runId"]] = None
    return list(found)


def _deliveries(program: Program) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str, str], None] = {}
    for call in _valid(program):
        if call.operation == "deliverSignal":
            found[(call.args["runId"], call.operation, call.args["delivery"]["signalId"])] = None
        elif call.operation == "deliverApproval":
            found[(call.args["runId"], call.operation, call.args["approval"]["approvalId"])] = None
    # What is remembered of one kind must not count for the other (ruling 4).
    for run_id, kind, delivery_id in list(found):
        other = "deliverApproval" if kind == "deliverSignal" else "deliverSignal"
        found.setdefault((run_id, other, delivery_id), None)
    return list(found)

"""Linearizability by trying everything: every order that respects real time, every subset of the operations without an
answer, every set of rows a claim may have left out, every order of ties. The oracle of the checker: slow, and written
without it. What operations write is listed here by hand."""

from collections.abc import Iterator
from itertools import combinations, permutations
from math import inf
from typing import Any, NamedTuple

from storeproof.conformance.histories import Operation
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Outcome, Raised, Returned, State
from storeproof.reference.tables import Draft, freeze
from storeproof.spec.jsonvalues import equal
from storeproof.spec.values import MAX_INTEGER
from tests.random_histories import CLAIMS, Case

RUN_WRITERS = {
    "createRun": {"runs"},
    "claimRun": {"runs"},
    "heartbeatRunLease": {"runs"},
    "releaseRunLease": {"runs"},
    "markRunFinished": {"runs"},
    "markRunPaused": {"runs"},
    "scheduleTimer": {"runs", "timers"},
    "deliverSignal": {"runs", "timers"},
    "deleteRun": {"runs", "timers"},
}
SCHEDULE_WRITERS = {"upsertSchedule": {"schedules"}, "markScheduleBucketStarted": {"scheduleBuckets"}}
CLAIM_WRITERS = {"claimStaleRuns": "runs", "claimDueTimers": "timers", "claimDueScheduleBuckets": "scheduleBuckets"}

Row = tuple[str, tuple[Any, ...]]


class Placed(NamedTuple):
    number: int
    before: State
    after: State
    hidden: tuple[tuple[Row, ...], ...]
    """Each row left out, with the rows whose writers excuse that."""


def final_states(model: Model, case: Case) -> set[object]:
    """What the history may have led to, frozen; empty where it is illegal."""
    history = case.history
    unsure = [_unsure(operation) for operation in history]
    ends = [inf if unsure[index] or one.returned is None else one.returned for index, one in enumerate(history)]
    found: set[object] = set()

    def place(order: tuple[Placed, ...], state: State) -> None:
        done = {placed.number for placed in order}
        if all(index in done or unsure[index] for index in range(len(history))) and _excused(case, unsure, ends, order):
            found.add(freeze(state))
        for index, operation in enumerate(history):
            late = any(
                ends[other] < operation.invoked for other in range(len(history)) if other not in done and other != index
            )
            if index in done or late:
                continue
            outcome = None if unsure[index] else operation.outcome
            for after, hidden in _steps(model, state, operation.call, outcome):
                place((*order, Placed(index, state, after, hidden)), after)

    place((), case.initial)
    return found


def _unsure(operation: Operation) -> bool:
    outcome = operation.outcome
    return outcome is None or (isinstance(outcome, Raised) and outcome.name == "StoreUnavailable")


def _steps(
    model: Model, state: State, call: Call, outcome: Outcome | None
) -> Iterator[tuple[State, tuple[tuple[Row, ...], ...]]]:
    if call.operation in CLAIMS or call.operation == "listRuns":
        yield from _picks(model, state, call, outcome)
        return
    step = model.step(state, call.operation, call.args)
    if outcome is None or _same(step.outcome, outcome):
        yield step.state, ()


def _same(expected: Outcome, actual: Outcome) -> bool:
    if isinstance(expected, Returned):
        return isinstance(actual, Returned) and equal(expected.value, actual.value)
    return isinstance(actual, Raised) and actual.name == expected.name and equal(actual.data, expected.data)


def _picks(
    model: Model, state: State, call: Call, outcome: Outcome | None
) -> Iterator[tuple[State, tuple[tuple[Row, ...], ...]]]:
    relation, _key, order = CLAIMS.get(call.operation, ("runs", ("runId",), "updatedAt"))
    draft = Draft(state)
    everything = {name: value for name, value in call.args.items() if name != "cursor"} | {"limit": MAX_INTEGER}
    step = model.step(state, call.operation, everything)
    assert isinstance(step.outcome, Returned)
    answers = {row: answer for (row, _rule), answer in zip(step.rows, step.outcome.value, strict=False)}

    def value(row: tuple[Any, ...]) -> int:
        content = draft.get(relation, row)
        assert content is not None
        number: int = content[order]
        return -number if call.operation == "listRuns" else number

    skip = int(call.args.get("cursor", "0"))
    most = len(answers) if call.operation in CLAIMS else 0
    tried: set[object] = set()
    for count in range(most + 1):
        for hidden in combinations(sorted(answers), count):
            for rows in permutations([row for row in answers if row not in hidden]):
                if [value(row) for row in rows] != sorted(map(value, rows)):
                    continue
                taken = rows[skip : skip + call.args["limit"]]
                if (hidden, taken) in tried:
                    continue
                tried.add((hidden, taken))
                if outcome is None or _same(Returned([answers[row] for row in taken]), outcome):
                    after = _only(model, state, call, relation, set(answers) - set(taken))
                    yield after, tuple(_writable(state, relation, row) for row in hidden)


def _only(model: Model, state: State, call: Call, relation: str, others: set[tuple[Any, ...]]) -> State:
    """The state after a claim of the candidates that are not among `others`."""
    if call.operation == "listRuns":
        return state
    without = Draft(state)
    contents = {row: without.get(relation, row) for row in others}
    for row in others:
        without.delete(relation, row, len(row))
    step = model.step(without.tables, call.operation, {**call.args, "limit": MAX_INTEGER})
    after = Draft(step.state)
    for row, content in contents.items():
        assert content is not None
        after.put(relation, row, content)
    return after.tables


def _writable(state: State, relation: str, row: tuple[Any, ...]) -> tuple[Row, ...]:
    if relation != "schedules":
        return ((relation, row),)
    content = Draft(state).get(relation, row)
    assert content is not None
    return (relation, row), ("scheduleBuckets", (*row, str(content["nextFireAt"])))


def _excused(case: Case, unsure: list[bool], ends: list[float], order: tuple[Placed, ...]) -> bool:
    history = case.history

    def overlap(one: int, other: int) -> bool:
        return one != other and history[one].invoked < ends[other] and history[other].invoked < ends[one]

    def excused(claim: int, rows: tuple[Row, ...]) -> bool:
        in_flight = any(
            (unsure[other] or history[other].call.operation not in CLAIM_WRITERS)
            and overlap(claim, other)
            and any(_may_write(history[other].call, row) for row in rows)
            for other in range(len(history))
        )
        return in_flight or any(
            not unsure[placed.number]
            and overlap(claim, placed.number)
            and Draft(placed.before).get(*row) is not Draft(placed.after).get(*row)
            for placed in order
            for row in rows
        )

    return all(excused(placed.number, rows) for placed in order for rows in placed.hidden)


def _may_write(call: Call, row: Row) -> bool:
    relation, key = row
    if call.operation in CLAIM_WRITERS:
        return CLAIM_WRITERS[call.operation] == relation
    args = call.args
    if relation in RUN_WRITERS.get(call.operation, ()):
        timer = args.get("signalId") or args.get("delivery", {}).get("signalId") if relation == "timers" else None
        return bool(args["runId"] == key[0]) and timer in (None, key[-1])
    bucket = args.get("bucketId")
    return (
        relation in SCHEDULE_WRITERS.get(call.operation, ())
        and args["scheduleId"] == key[0]
        and bucket in (None, key[-1])
    )

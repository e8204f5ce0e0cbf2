"""Small histories of several clients, for the linearizability checker: some right, some corrupted, some with answers
lost. They come of a serial execution by the model, at moments within overlapping intervals, so that many are legal."""

import random
from typing import Any, NamedTuple

from storeproof.conformance.histories import History, Operation
from storeproof.conformance.programs import Call
from storeproof.reference.model import Model, Outcome, Raised, Returned, State
from storeproof.reference.tables import Draft
from storeproof.spec.jsonvalues import is_array

CLAIMS = {
    "claimDueTimers": ("timers", ("runId", "signalId"), "wakeAt"),
    "claimDueScheduleBuckets": ("schedules", ("scheduleId",), "nextFireAt"),
    "claimStaleRuns": ("runs", ("runId",), "updatedAt"),
}
"""Relation, key and order key of each claim."""


def lease(owner: str, now: int, ms: int = 1) -> dict[str, Any]:
    return {"leaseOwner": owner, "leaseMs": ms, "now": now}


def create(run: str, workflow: str = "w", now: int = 0) -> Call:
    return Call("createRun", {"runId": run, "workflowId": workflow, "input": None, "now": now})


def claim_run(run: str, owner: str, now: int) -> Call:
    return Call("claimRun", {"runId": run, **lease(owner, now)})


def timer(run: str, signal: str, at: int) -> Call:
    return Call("scheduleTimer", {"runId": run, "workflowId": "w", "wakeAt": at, "signalId": signal, "now": 0})


def signal(run: str, signal_id: str) -> Call:
    return Call(
        "deliverSignal", {"runId": run, "delivery": {"signalId": signal_id, "name": "n", "payload": 1}, "now": 2}
    )


def pause(run: str) -> Call:
    return Call("markRunPaused", {"runId": run, "waitingFor": {"signalName": "n"}, "now": 1})


def finish(run: str) -> Call:
    return Call("markRunFinished", {"runId": run, "output": 1, "now": 1})


def delete(run: str) -> Call:
    return Call("deleteRun", {"runId": run, "reason": "finished"})


def claim(operation: str, owner: str, limit: int, now: int = 2) -> Call:
    return Call(operation, {"limit": limit, **lease(owner, now)})


def schedule(schedule_id: str, at: int, workflow: str = "w") -> Call:
    args = {"scheduleId": schedule_id, "workflowId": workflow, "schedule": {"kind": "interval", "everyMs": 5}}
    return Call("upsertSchedule", {**args, "overlapPolicy": "skip", "enabled": True, "nextFireAt": at, "now": 0})


def started(schedule_id: str, bucket: str) -> Call:
    return Call("markScheduleBucketStarted", {"scheduleId": schedule_id, "bucketId": bucket, "runId": "r", "now": 2})


def append(run: str, at: int, value: int) -> Call:
    event: dict[str, Any] = {"type": "CUSTOM", "ts": value, "name": "n", "value": {}}
    return Call("appendEvents", {"runId": run, "expectedNextIndex": at, "events": [event]})


def read(operation: str, run: str) -> Call:
    return Call(operation, {"runId": run})


def _leases() -> list[Call]:
    calls = [claim_run(run, owner, now) for run in "rs" for owner in "ab" for now in (0, 1)]
    calls += [Call("heartbeatRunLease", {"runId": run, **lease("a", 1)}) for run in "rs"]
    calls += [Call("releaseRunLease", {"runId": "r", "leaseOwner": owner}) for owner in "ab"]
    calls += [claim("claimStaleRuns", owner, limit) for owner in "ab" for limit in (1, 2)] * 3
    calls += [Call("listRuns", {"limit": 9}), Call("listRuns", {"limit": 1, "cursor": "1"})]
    return [*calls, create("r"), create("s"), finish("r"), read("loadRun", "r"), delete("r")]


def _signals() -> list[Call]:
    calls = [signal(run, signal_id) for run in "rs" for signal_id in "xy"] * 2 + [pause("r"), pause("s")]
    calls += [create("r"), create("r", "v"), finish("r"), delete("r"), read("loadRun", "r"), timer("r", "x", 1)]
    return [*calls, claim("claimDueTimers", "a", 9), read("loadExecution", "r")]


def _log() -> list[Call]:
    calls = [append(run, at, value) for run in "rs" for at in (0, 1) for value in (1, 2)]
    calls += [read(operation, "r") for operation in ("readEvents", "loadExecution", "getRunTimeline")] * 2
    return [*calls, create("r"), delete("r"), finish("r"), read("readEvents", "s")]


def _timers() -> list[Call]:
    calls = [timer(run, signal_id, at) for run, signal_id in ("rx", "ry", "sx") for at in (0, 1)]
    calls += [claim("claimDueTimers", owner, limit, now) for owner in "ab" for limit in (1, 2) for now in (1, 2)] * 2
    return [*calls, signal("r", "x"), signal("s", "x"), pause("r"), delete("r"), delete("s"), read("loadRun", "r")]


def _schedules() -> list[Call]:
    calls = [schedule(schedule_id, at, workflow) for schedule_id in "st" for at in (0, 1) for workflow in "wv"]
    calls += [
        claim("claimDueScheduleBuckets", owner, limit, now) for owner in "ab" for limit in (1, 2) for now in (1, 2)
    ]
    return [*calls, *calls[8:], started("s", "0"), started("t", "0"), started("s", "1")]


class Theme(NamedTuple):
    setup: tuple[Call, ...]
    calls: list[Call]


THEMES = (
    Theme((create("r"), create("s"), claim_run("r", "a", 0), claim_run("s", "b", 0)), _leases()),
    Theme((create("r"), create("s"), pause("r"), pause("s")), _signals()),
    Theme((create("r"), append("r", 0, 0)), _log()),
    Theme((create("r"), pause("r"), timer("r", "x", 0), timer("s", "x", 0), timer("r", "y", 1)), _timers()),
    Theme((schedule("s", 0), schedule("t", 0), claim("claimDueScheduleBuckets", "a", 1, 0)), _schedules()),
)


class Case(NamedTuple):
    initial: State
    history: History


def run_setup(model: Model, calls: tuple[Call, ...]) -> State:
    state = model.initial()
    for call in calls:
        state = model.step(state, call.operation, call.args).state
    return state


EVERYTHING = Theme(
    tuple(call for theme in THEMES for call in theme.setup), [call for theme in THEMES for call in theme.calls]
)


def random_case(model: Model, seed: int, theme: Theme | None = None, most: int = 4) -> Case:
    """2 to `most` operations of 2 or 3 clients after the theme's setup; the same seed gives the same case."""
    rng = random.Random(seed)
    theme = theme or THEMES[seed % len(THEMES)]
    initial = run_setup(model, theme.setup)
    clients = rng.choice((2, 3))
    calls = [(rng.randrange(clients), rng.choice(theme.calls)) for _ in range(rng.randint(2, most))]
    return Case(initial, _corrupted(model, rng, initial, _executed(model, rng, initial, calls)))


def _executed(model: Model, rng: random.Random, initial: State, calls: list[tuple[int, Call]]) -> History:
    """Each operation goes through call, effect and answer; whose turn is next is drawn."""
    queues: dict[int, list[tuple[int, Call]]] = {}
    for number, (client, call) in enumerate(calls):
        queues.setdefault(client, []).append((number, call))
    found: dict[int, Operation] = {}
    stage = dict.fromkeys(queues, 0)
    state, clock = initial, 0
    while queues:
        client = rng.choice(sorted(queues))
        number, call = queues[client][0]
        if stage[client] == 0:
            found[number] = Operation(client, call, clock)
        elif stage[client] == 1:
            lost = rng.random() < 0.15
            outcome: Outcome | None = None
            if not lost or rng.random() < 0.6:
                state, outcome = _effect(model, rng, state, call)
            if lost:
                outcome = rng.choice((None, Raised("StoreUnavailable", {"message": "gone"})))
            found[number] = Operation(client, call, found[number].invoked, None, outcome)
        else:
            answered = None if found[number].outcome is None else clock
            found[number] = Operation(client, call, found[number].invoked, answered, found[number].outcome)
            queues[client].pop(0)
            if not queues[client]:
                del queues[client]
        stage[client] = (stage[client] + 1) % 3
        clock += 1
    return tuple(sorted(found.values(), key=lambda operation: operation.invoked))


def _effect(model: Model, rng: random.Random, state: State, call: Call) -> tuple[State, Outcome]:
    """The model's step; a claim now and then does not see one of its rows, as if another client had locked it."""
    if call.operation not in CLAIMS or rng.random() < 0.5:
        step = model.step(state, call.operation, call.args)
        return step.state, step.outcome
    relation, key, _order = CLAIMS[call.operation]
    rows = [tuple(row[name] for name in key) for row in _rows(state, relation, len(key))]
    hidden = rng.sample(sorted(rows), min(1, len(rows)))
    without, row = Draft(state), [Draft(state).get(relation, one) for one in hidden]
    for one in hidden:
        without.delete(relation, one, len(one))
    step = model.step(without.tables, call.operation, call.args)
    after = Draft(step.state)
    for one, content in zip(hidden, row, strict=True):
        assert content is not None
        after.put(relation, one, content)
    return after.tables, step.outcome


def _rows(state: State, relation: str, width: int) -> list[dict[str, Any]]:
    table = state[relation]
    return list(table.values()) if width == 1 else [row for group in table.values() for row in group.values()]


def _corrupted(model: Model, rng: random.Random, initial: State, history: History) -> History:
    """In every second history one answer is exchanged: for that in another state, or for another list."""
    answered = [index for index, operation in enumerate(history) if isinstance(operation.outcome, Returned)]
    if not answered or rng.random() < 0.5:
        return history
    index = rng.choice(answered)
    operation = history[index]
    rows: Any = operation.outcome.value if isinstance(operation.outcome, Returned) else None
    if is_array(rows) and rng.random() < 0.6:
        change: Outcome = Returned(_other_rows(rng, rows))
    else:
        change = _elsewhere(model, rng, initial, history, operation.call)
    changed = Operation(operation.client, operation.call, operation.invoked, operation.returned, change)
    return (*history[:index], changed, *history[index + 1 :])


def _elsewhere(model: Model, rng: random.Random, initial: State, history: History, call: Call) -> Outcome:
    state = initial
    for other in rng.sample(history, rng.randrange(len(history))):
        state = model.step(state, other.call.operation, other.call.args).state
    return model.step(state, call.operation, call.args).outcome


def _other_rows(rng: random.Random, rows: list[Any]) -> list[Any]:
    return rng.choice((rows[1:], rows[:-1], rows[::-1], rows + rows[:1]))

"""Draws programs: arguments by a walk over the schema, from small pools in which ids collide and times meet.

What fields there are, which are optional and what type they have comes from the specification; this module adds only
the pools. The model runs beside the generator, so that times stand on boundaries, indexes at the log's end, and a step
can be drawn again when it would miss the rules that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from storeproof.conformance.choices import Choices
from storeproof.conformance.openings import OPENINGS
from storeproof.conformance.pools import Pools, draw_pools
from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.reference.model import Model, State, Step
from storeproof.reference.tables import Row, rows
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Specification
from storeproof.spec.values import MAX_INTEGER

EVENT_TYPES = ("STEP_STARTED", "RUN_STARTED", "CUSTOM", "unknown to the store")
LIKELY = frozenset({"nextFireAt", "waitingFor", "deadline"})
"""Optional fields without which an operation has little to do."""
TRIES = 3
"""How often a step is drawn again while it misses the wanted rules."""


def draw_program(
    choices: Choices,
    model: Model,
    operations: Sequence[str],
    length: int,
    wanted: Set[str] = frozenset(),
    avoided: Set[str] = frozenset(),
) -> Program:
    """A program of an opening and `length` steps over `operations` (name one several times to draw it more often).

    `wanted` rules attract: a step that misses all of them is drawn again, up to TRIES times. `avoided` rules repel: a
    step that exercises one of them is left out, and so are ids and values that are special where those are avoided.
    """
    pools = draw_pools(choices, avoided)
    state = model.initial()
    steps: list[Call] = []
    opening = choices.among(OPENINGS)
    for place in range(len(opening) + length):
        if place < len(opening):
            operation, number = opening[place]
            call, answer = ArgumentSource(model, choices, pools.only(number), state).step((operation,))
        elif steps and choices.chance(8) and "retry.converges" not in avoided:
            call = steps[-1]  # called again, as after a lost answer (ruling 16)
            answer = model.step(state, call.operation, call.args)
        else:
            call, answer = _draw_step(ArgumentSource(model, choices, pools, state), operations, wanted, avoided)
        if avoided.isdisjoint(answer.rules):
            steps.append(call)
            state = answer.state
    return tuple(steps)


def _draw_step(
    source: ArgumentSource, operations: Sequence[str], wanted: Set[str], avoided: Set[str]
) -> tuple[Call, Step]:
    call, answer = source.step(operations)
    for _ in range(TRIES - 1):
        if (not wanted or not wanted.isdisjoint(answer.rules)) and avoided.isdisjoint(answer.rules):
            break
        call, answer = source.step(operations)
    return call, answer


def weighted_operations(specification: Specification, focus: str | None) -> list[str]:
    """Operations to draw from: the focus most, those that touch its relations often, the others now and then."""
    names = [name for name, operation in specification.operations.items() if operation.executable]
    if focus is None:
        return names
    touched = relations_of(specification, focus)
    weighted: list[str] = []
    for name in names:
        weight = 1 if touched.isdisjoint(relations_of(specification, name)) else 3
        weighted += [name] * (12 if name == focus else weight)
    return weighted


def relations_of(specification: Specification, operation: str) -> frozenset[str]:
    """The relations an operation reads or writes."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if is_object(value):
            for key in ("in", "all", "put", "update", "delete"):
                if value.get(key) in specification.relations:
                    found.add(value[key])
            for item in value.values():
                walk(item)
        elif is_array(value):
            for item in value:
                walk(item)

    walk(specification.operations[operation].data)
    return frozenset(found)


class ArgumentSource:
    """Draws arguments for operations called in one state."""

    def __init__(self, model: Model, choices: Choices, pools: Pools, state: State) -> None:
        self._model = model
        self._choices = choices
        self._pools = pools
        self._state = state
        self._times = _boundary_times(model, state)
        self._run_id = pools.runs[0]
        self._schedule_id = pools.schedules[0]
        pick = choices.among
        self._by_name: dict[str, Callable[[], Any]] = {
            "runId": self._draw_run_id,
            "workflowId": lambda: pick(pools.workflows),
            "scheduleId": self._draw_schedule_id,
            "nextFireAt": self._next_fire_at,
            "bucketId": self._bucket_id,
            "signalId": lambda: pick(pools.deliveries),
            "approvalId": lambda: pick(pools.deliveries),
            "leaseOwner": self._lease_owner,
            "owner": lambda: pick(pools.owners),
            "stepId": lambda: pick(pools.steps),
            "signalName": lambda: pick(pools.names),
            "name": lambda: pick(pools.names),
            "leaseMs": lambda: pick((10, 1, 5, 10, 1, 5, 10, 1, 5, MAX_INTEGER)),
            "limit": lambda: pick((10, 1, 2, 3, 0, MAX_INTEGER)),
            "expectedNextIndex": self._next_index,
            "fromIndex": lambda: pick((0, 1, 2, 3, 2**31, MAX_INTEGER)),
            "cursor": lambda: pick(("0", "1", "2", "10", "0001", "9999999999999999")),
            "events": lambda: [self._event() for _ in range(pick((1, 2, 0, 3)))],
            "enabled": lambda: not self._choices.chance(15),
        }
        self._by_type: dict[str, Callable[[], Any]] = {
            "Id": lambda: pick(pools.ids),
            "Text": lambda: pick(pools.texts),
            "Time": self._time,
            "Integer": lambda: pick((0, 1, 2)),
            "Positive": lambda: pick((1, 60_000)),
            "Json": lambda: pick(pools.values),
            "JsonObject": lambda: pick(pools.objects),
            "Event": self._event,
        }

    def step(self, operations: Sequence[str]) -> tuple[Call, Step]:
        """A call of one of the operations, and what the model answers in this state."""
        operation = self._choices.among(operations)
        call = Call(operation, self.arguments(operation))
        return call, self._model.step(self._state, operation, call.args)

    def arguments(self, operation: str) -> Arguments:
        """Arguments that are valid against the operation's schema."""
        definition = self._model.specification.operations[operation].arguments
        drawn = self._object(self._definition(definition))
        self._repair(drawn)
        return drawn

    def _repair(self, args: Arguments) -> None:
        """A deadline beside `__timer` and a matching name are what most runs have: chance alone rarely draws them."""
        wait = args.get("waitingFor")
        if wait is not None and wait["signalName"] == "__timer" and self._choices.chance(70):
            wait["deadline"] = self._time()

    def _definition(self, name: str) -> Data:
        definition: Data = self._model.specification.contract["$defs"][name]
        return definition

    def _value(self, schema: Data) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return self._by_type[name]() if name in self._by_type else self._value(self._definition(name))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choices.among(schema["enum"])
        if alternatives := schema.get("oneOf") or schema.get("anyOf"):
            return self._value(self._choices.among(alternatives))
        if schema["type"] == "object":
            return self._object(schema)
        if schema["type"] == "array":
            return [self._value(schema["items"]) for _ in range(self._choices.among((1, 2, 0)))]
        if schema["type"] == "boolean":
            return self._choices.among((True, False))
        raise AssertionError(f"the generator has no rule for the schema {schema}")

    def _object(self, schema: Data) -> Arguments:
        drawn: Arguments = {}
        required = schema.get("required", ())
        for name, field in schema["properties"].items():
            if name in required or self._choices.chance(80 if name in LIKELY else 45):
                drawn[name] = self._by_name[name]() if name in self._by_name else self._value(field)
        return drawn

    def _time(self) -> int:
        # Equal times, without which nothing shows how ties are broken, would be rare among all boundaries.
        return self._choices.among((10, 20) if self._choices.chance(25) else self._times)

    def _draw_run_id(self) -> str:
        self._run_id = self._choices.among(self._pools.runs)
        return self._run_id

    def _draw_schedule_id(self) -> str:
        self._schedule_id = self._choices.among(self._pools.schedules)
        return self._schedule_id

    def _lease_owner(self) -> str:
        """Often who holds the run's lease: renewing and releasing one's own is what most calls do."""
        held: list[str] = [row["lease"]["owner"] for row in self._own("runs", "runId", self._run_id) if "lease" in row]
        return self._choices.among(held if held and self._choices.chance(40) else self._pools.owners)

    def _next_fire_at(self) -> int:
        """Often the time the schedule has: a schedule changed while its bucket stands is what ruling 8 is about."""
        own = self._own("schedules", "scheduleId", self._schedule_id)
        standing = [row["nextFireAt"] for row in own if "nextFireAt" in row]
        return standing[0] if standing and self._choices.chance(40) else self._time()

    def _own(self, relation: str, field: str, value: str) -> list[Row]:
        return [row for row in _rows(self._model, self._state, relation) if row[field] == value]

    def _holders(self) -> list[str]:
        """Who holds a lease on a run: most operations of a lease do nothing for anybody else."""
        return [row["lease"]["owner"] for row in _rows(self._model, self._state, "runs") if "lease" in row]

    def _next_index(self) -> int:
        length = sum(1 for row in _rows(self._model, self._state, "events") if row["runId"] == self._run_id)
        return self._choices.among((length, length, length, length + 1, max(0, length - 1), 0, 2**40))

    def _bucket_id(self) -> str:
        due = [str(row["nextFireAt"]) for row in _rows(self._model, self._state, "schedules") if "nextFireAt" in row]
        return self._choices.among((*due, *due, *due, "10", "a"))

    def _event(self) -> Arguments:
        event: Arguments = {"type": self._choices.among(EVENT_TYPES), "ts": self._time()}
        if self._choices.chance(50):
            event["stepId"] = self._choices.among(self._pools.steps)
        if self._choices.chance(50):
            event[self._choices.among(("value", "meta", "audience", "runId"))] = self._choices.among(self._pools.values)
        return event


def _rows(model: Model, state: State, relation: str) -> Iterable[Row]:
    return rows(state, relation, len(model.specification.relations[relation].key))


def _boundary_times(model: Model, state: State) -> list[int]:
    """Every time the state holds, one before and one after it, and a few plain ones."""
    times = {0, 10, 20}
    for relation, fields in (("timers", ("wakeAt",)), ("schedules", ("nextFireAt",)), ("runs", ("updatedAt",))):
        for row in _rows(model, state, relation):
            times.update(row[field] for field in fields if field in row)
    for relation in ("runs", "timers", "scheduleBuckets"):
        times.update(row["lease"]["expiresAt"] for row in _rows(model, state, relation) if "lease" in row)
    near = {time + step for time in times for step in (-1, 0, 1)}
    return sorted(time for time in near if 0 <= time <= MAX_INTEGER - 100)

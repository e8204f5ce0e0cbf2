"""Where rules lead: the edges of a state diagram, found by executing the model on every reachable state.

A chart names the row it is about and the states that row can be in, each by a condition on the row and the time. The
search makes every call at every time, in any order, on a clock that never runs back. Whatever changes the row's state
is an edge, so nothing on a diagram can be wrong about the model, and nothing the search reaches is missing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

from storeproof.reference.model import Model, State, freeze
from storeproof.reference.tables import Row, Table, rows
from storeproof.reference.workload import Call
from storeproof.spec.compiler import compiled, compiled_functions
from storeproof.spec.specification import Specification

TIME = ""
"""Stands where a rule's id does: no call was made, only time passed."""

Pair = tuple[str, str]
"""Two states: before and after."""

Happening = tuple[str, Row | None, Row | None, int, int]
"""Rule, row before, row after, time before, time after."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A row, and the calls that are made around it at every time from 0 to `until`."""

    relation: str
    key: tuple[str, ...]
    calls: Callable[[int], Sequence[Call]]
    until: int
    apart: tuple[str, ...] = ()
    """Relations by which states are told apart, all by default: what no writer of the row reads need not be."""
    blind: tuple[str, ...] = ()
    """Fields of any row by which they are not, for the same reason."""


@dataclass(frozen=True, slots=True)
class Edge:
    """From each state of a group to each of another; `notes` says of a rule what all its steps had in common."""

    source: str
    target: str
    rules: tuple[str, ...]
    notes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Found:
    """`pairs` by rule: the states before and after; `kept` by rule: states it wrote the row in and left as it was."""

    pairs: Mapping[str, frozenset[Pair]]
    kept: Mapping[str, frozenset[str]]
    owners: Mapping[tuple[str, Pair], frozenset[str]]
    """By rule and pair: whether the lease that was there went on to `the same owner` or to `another owner`."""


def found(
    specification: Specification, subjects: Sequence[Subject], states: Mapping[str, str], watched: Sequence[str]
) -> Found:
    """Everything that happens to the subjects. `states` are conditions on `row` (null where there is none) and `now`.

    A step that leaves the state as it is counts as an edge where it changes one of the `watched` fields. Raises
    ValueError where the conditions overlap, and where a rule that writes such a row was never reached.
    """
    pairs: dict[str, set[Pair]] = defaultdict(set)
    kept: dict[str, set[str]] = defaultdict(set)
    owners: dict[tuple[str, Pair], set[str]] = defaultdict(set)
    functions = compiled_functions({name: (f.parameters, f.value) for name, f in specification.functions.items()})
    tests = {name: compiled(condition, ("row", "now"), functions) for name, condition in states.items()}
    for subject in subjects:
        writers = _writers(specification, subject.relation)
        for rule, before, after, now, later in _happenings(specification, subject):
            pair = _state(tests, before, now), _state(tests, after, later)
            changed = _watched(before, watched) != _watched(after, watched)
            if pair[0] != pair[1] or (rule and changed):
                pairs[rule].add(pair)
                owners[rule, pair].add(_owner(before, after))
            elif rule in writers:
                kept[rule].add(pair[0])
        unreached = writers - pairs.keys() - kept.keys()
        if unreached:
            raise ValueError(f"the calls around {subject.relation} never reach {', '.join(sorted(unreached))}")
    return Found(_frozen(pairs), _frozen(kept), _frozen(owners))


def edges(found: Found, groups: Mapping[str, Sequence[str]]) -> list[Edge]:
    """The pairs as few edges, from group to group where a rule treats a group's states alike; each state is a group."""
    merged: dict[Pair, dict[str, str]] = defaultdict(dict)
    for rule, pairs in found.pairs.items():
        kinds = {found.owners[rule, pair] for pair in pairs}
        for kind in sorted(kinds, key=sorted):
            alike = frozenset(pair for pair in pairs if found.owners[rule, pair] == kind)
            for source, target in _rectangles(alike, found.kept.get(rule, frozenset()), groups):
                merged[source, target][rule] = next(iter(kind)) if len(kind) == 1 else ""
    order = {name: index for index, name in enumerate(groups)}
    return [
        Edge(source, target, tuple(notes), {rule: note for rule, note in notes.items() if note})
        for (source, target), notes in sorted(merged.items(), key=lambda item: (order[item[0][0]], order[item[0][1]]))
    ]


def _rectangles(pairs: frozenset[Pair], kept: frozenset[str], groups: Mapping[str, Sequence[str]]) -> Iterator[Pair]:
    """The fewest products of two groups that hold all pairs and nothing that does not happen, greedily."""
    left = set(pairs)
    allowed = pairs | {(state, state) for state in kept}
    while left:
        fitting = [
            (source, target, covered)
            for source, target in product(groups, groups)
            if (covered := set(product(groups[source], groups[target]))) <= allowed
        ]
        source, target, covered = max(fitting, key=lambda item: (len(item[2] & left), -len(item[2])))
        left -= covered
        yield source, target


@cache
def _happenings(specification: Specification, subject: Subject) -> list[Happening]:
    """What `_steps` gives, each of it once."""
    once = {
        (rule, now, later, *(freeze({"": _without(row or {}, subject.blind)}) for row in (before, after))): (
            rule,
            before,
            after,
            now,
            later,
        )
        for rule, before, after, now, later in _steps(Model(specification), subject)
    }
    return list(once.values())


def _steps(model: Model, subject: Subject) -> Iterator[Happening]:
    """Every step and every tick of the clock."""
    width = len(model.specification.relations[subject.relation].key)
    seen: set[Hashable] = set()
    waiting: deque[tuple[int, State]] = deque()

    def row(state: State) -> Row | None:
        names = model.specification.relations[subject.relation].key
        fitting = (row for row in rows(state, subject.relation, width) if subject.key == tuple(row[n] for n in names))
        return next(fitting, None)

    def visit(now: int, state: State) -> None:
        frozen = (now, freeze({name: _without(state[name], subject.blind) for name in subject.apart or state}))
        if frozen not in seen:
            seen.add(frozen)
            waiting.append((now, state))

    visit(0, model.initial())
    while waiting:
        now, state = waiting.popleft()
        before = row(state)
        for operation, args in subject.calls(now):
            step = model.step(state, operation, args)
            if step.rules:
                yield step.rules[0], before, row(step.state), now, now
                visit(now, step.state)
        if now < subject.until:
            yield TIME, before, before, now, now + 1
            visit(now + 1, state)


def _state(tests: Mapping[str, Callable[..., bool]], row: Row | None, now: int) -> str:
    fitting = [name for name, test in tests.items() if test(row, now)]
    if len(fitting) != 1:
        raise ValueError(f"at {now}, {row} is {' and '.join(fitting) or 'in none of the states'}")
    return fitting[0]


def _without(table: Table, fields: tuple[str, ...]) -> Table:
    """The table with all that is in it, without the fields."""
    return {
        name: _without(value, fields) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
        for name, value in table.items()
        if name not in fields
    }


def _owner(before: Row | None, after: Row | None) -> str:
    old, new = (row.get("lease") if row else None for row in (before, after))
    if old is None or new is None or old == new:
        return ""
    return "the same owner" if old["owner"] == new["owner"] else "another owner"


def _watched(row: Row | None, names: Sequence[str]) -> list[Any]:
    return [(row or {}).get(name) for name in names]


def _writers(specification: Specification, relation: str) -> set[str]:
    """The rules whose effects write the relation."""
    return {
        rule["id"]
        for operation in specification.operations.values()
        for rule in operation.data["rules"]
        for effect in rule.get("effects", ())
        if relation in (effect.get("put"), effect.get("update"), effect.get("delete"))
    }


def _frozen(sets: Mapping[Any, set[Any]]) -> dict[Any, frozenset[Any]]:
    return {key: frozenset(values) for key, values in sets.items()}

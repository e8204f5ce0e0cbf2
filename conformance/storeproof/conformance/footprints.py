"""Which rows an operation may read and write, told by its arguments and the specification, whatever the state is.

A cell is a relation and the first part of its key: the rows of one run or one schedule there. Where the key does not
follow from the arguments the cell is the whole relation. What is written is told to the row, as far as its key follows.
Knows neither states nor answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from storeproof.conformance.programs import Call
from storeproof.reference.tables import Key
from storeproof.spec.compiler import compiled, compiled_functions
from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import is_object
from storeproof.spec.specification import Data, Specification
from storeproof.spec.syntax import Expression, Name, children

RowKey: TypeAlias = tuple[str, Key]
"""(relation, key): one row of a state."""
Cell: TypeAlias = tuple[str, str | None]
"""(relation, first part of the key), or (relation, None) for all of the relation."""
Evaluate: TypeAlias = Callable[..., Any]


class Footprint(NamedTuple):
    """`touched` holds `written`, and that the cells of `rows`, which are beginnings of keys."""

    touched: frozenset[Cell]
    written: frozenset[Cell]
    rows: frozenset[RowKey]

    def touches(self, row: RowKey) -> bool:
        """Whether the operation can, in some state, read or write this row."""
        relation, key = row
        return (relation, key[0]) in self.touched or (relation, None) in self.touched

    def may_write(self, row: RowKey) -> bool:
        """Whether the operation can, in some state, put or delete this row."""
        relation, key = row
        return any((relation, key[:length]) in self.rows for length in range(len(key) + 1))


def footprint(specification: Specification, call: Call) -> Footprint:
    """What a call may touch; nothing where its arguments break the schema, because it is refused."""
    if call.refused is not None:
        return Footprint(frozenset(), frozenset(), frozenset())
    rows = [
        ((place.relation, tuple(part(call.args) for part in place.key)), place.writes)
        for place in _places(specification, call.operation)
    ]
    return Footprint(
        frozenset(_cell(row) for row, _ in rows),
        frozenset(_cell(row) for row, writes in rows if writes),
        frozenset(row for row, writes in rows if writes),
    )


def meets(specification: Specification, one: Call, other: Call) -> bool:
    """Whether one may write a row that the other touches."""
    written = footprint(specification, one).written
    touched = footprint(specification, other).touched
    return any(
        relation == its_relation and (first == its_first or None in (first, its_first))
        for relation, first in written
        for its_relation, its_first in touched
    )


def _cell(row: RowKey) -> Cell:
    relation, key = row
    return relation, key[0] if key else None


def evaluator(specification: Specification, text: str, names: tuple[str, ...]) -> Evaluate:
    """An expression of the model as a function of `names`."""
    return compiled(text, names, _functions(specification))


@cache
def _functions(specification: Specification) -> dict[str, Evaluate]:
    return compiled_functions({name: (item.parameters, item.value) for name, item in specification.functions.items()})


class _Place(NamedTuple):
    relation: str
    key: tuple[Evaluate, ...]
    """The parts that follow from the arguments, up to the first that does not."""
    writes: bool


@cache
def _places(specification: Specification, operation: str) -> tuple[_Place, ...]:
    data = specification.operations[operation].data
    return tuple(
        _Place(relation, tuple(_of_arguments(specification, key)), writes)
        for relation, key, writes in _mentioned(specification, data)
    )


def _mentioned(specification: Specification, data: Data) -> Iterator[tuple[str, Sequence[str | None], bool]]:
    """Every place in an operation where rows are read or written: relation, expressions of the key's parts."""
    each = data.get("each", {})
    if each:
        yield each["in"], each.get("key", ()), False
    finds: Mapping[str, Data] = {**data.get("find", {}), **each.get("find", {})}
    for find in finds.values():
        yield find.get("in") or find["all"], find["key"], False
    for rule in data["rules"]:
        for effect in rule.get("effects", ()):
            if "put" in effect:
                fields = specification.relations[effect["put"]].key
                yield effect["put"], [_given(effect["row"], field) for field in fields], True
            else:
                yield effect.get("update") or effect["delete"], effect["key"], True


def _given(template: object, field: str) -> str | None:
    """The expression a row template computes a field with, or None where it is none."""
    if isinstance(template, str):
        return f"({template[1:]}).{field}"
    if not is_object(template):
        return None
    value = template.get(field)
    if isinstance(value, str) and value.startswith("="):
        return value[1:]
    for giver, fields in template.get("$copy", {}).items():
        if field in fields:
            return f"({giver}).{field}"
    return None


def _of_arguments(specification: Specification, key: Sequence[str | None]) -> Iterator[Evaluate]:
    for text in key:
        if text is None or not _names(parse(text)) <= {"args"}:
            return
        yield evaluator(specification, text, ("args",))


def _names(tree: Expression) -> set[str]:
    found: set[str] = {tree.name} if isinstance(tree, Name) else set()
    return found.union(*map(_names, children(tree)))

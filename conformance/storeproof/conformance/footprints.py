"""Which rows an operation may read and write, told by its arguments and the specification, whatever the state is.

A cell is a relation and the first part of its key: the rows of one run or one schedule there. Where the key does not
follow from the arguments the cell is the whole relation. Knows neither states nor answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    """`touched` holds `written`."""

    touched: frozenset[Cell]
    written: frozenset[Cell]

    def touches(self, row: RowKey) -> bool:
        """Whether the operation can, in some state, read or write this row."""
        return _holds(self.touched, row)

    def may_write(self, row: RowKey) -> bool:
        """Whether the operation can, in some state, put or delete this row."""
        return _holds(self.written, row)


def _holds(cells: frozenset[Cell], row: RowKey) -> bool:
    relation, key = row
    return (relation, key[0]) in cells or (relation, None) in cells


def footprint(specification: Specification, call: Call) -> Footprint:
    """What a call may touch; nothing where its arguments break the schema, because it is refused."""
    if call.refused is not None:
        return Footprint(frozenset(), frozenset())
    cells = [
        ((place.relation, None if place.first is None else place.first(call.args)), place.writes)
        for place in _places(specification, call.operation)
    ]
    return Footprint(
        frozenset(cell for cell, _ in cells),
        frozenset(cell for cell, writes in cells if writes),
    )


def evaluator(specification: Specification, text: str, names: tuple[str, ...]) -> Evaluate:
    """An expression of the model as a function of `names`."""
    return compiled(text, names, _functions(specification))


@cache
def _functions(specification: Specification) -> dict[str, Evaluate]:
    return compiled_functions({name: (item.parameters, item.value) for name, item in specification.functions.items()})


class _Place(NamedTuple):
    relation: str
    first: Evaluate | None
    writes: bool


@cache
def _places(specification: Specification, operation: str) -> tuple[_Place, ...]:
    data = specification.operations[operation].data
    return tuple(
        _Place(relation, _of_arguments(specification, first), writes)
        for relation, first, writes in _mentioned(specification, data)
    )


def _mentioned(specification: Specification, data: Data) -> Iterator[tuple[str, str | None, bool]]:
    """Every place in an operation where rows are read or written: relation, expression of the key's first part."""
    each = data.get("each", {})
    if each:
        yield each["in"], next(iter(each.get("key", ())), None), False
    finds: Mapping[str, Data] = {**data.get("find", {}), **each.get("find", {})}
    for find in finds.values():
        yield find.get("in") or find["all"], next(iter(find["key"]), None), False
    for rule in data["rules"]:
        for effect in rule.get("effects", ()):
            if "put" in effect:
                first = specification.relations[effect["put"]].key[0]
                yield effect["put"], _given(effect["row"], first), True
            else:
                yield effect.get("update") or effect["delete"], next(iter(effect["key"]), None), True


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


def _of_arguments(specification: Specification, text: str | None) -> Evaluate | None:
    if text is None or not _names(parse(text)) <= {"args"}:
        return None
    return evaluator(specification, text, ("args",))


def _names(tree: Expression) -> set[str]:
    found: set[str] = {tree.name} if isinstance(tree, Name) else set()
    return found.union(*map(_names, children(tree)))

"""The reference model: what a store that keeps the contract answers, and what state it is then in.

    model = Model(load())
    step = model.step(model.initial(), "createRun", {"runId": "r", "workflowId": "w", "input": None, "now": 0})
    step.outcome.value["kind"], step.rules        # ('created', ('createRun.created',))

Arguments and answers are in wire form. Nothing handed in or out may be changed by the caller: states, rows, arguments
and answers share their parts. Arguments that break the operation's schema are not the model's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

from storeproof.reference.generation import operation_source
from storeproof.reference.tables import Draft, Key, Row, State, Table, freeze, rows
from storeproof.spec.compiler import compiled, compiled_functions
from storeproof.spec.specification import Specification

__all__ = ["Model", "Outcome", "Raised", "Returned", "State", "Step", "freeze"]

Arguments: TypeAlias = Mapping[str, Any]


class Returned(NamedTuple):
    value: Any


class Raised(NamedTuple):
    """`name` is LogConflict or InvalidArgument; `data` its fields in wire form ({"fields": […]} for the latter)."""

    name: str
    data: Row


Outcome: TypeAlias = Returned | Raised


class Step(NamedTuple):
    state: State
    outcome: Outcome
    rules: tuple[str, ...]
    """The ids of the rules this step exercised, the decisive one first. Over rows: what yielded, then order, ties, skip
    and limit where another choice would have been another answer, then the reasons for which rows were passed over."""
    rows: tuple[tuple[Key, str], ...]
    """Over rows: each row's key and the rule that decided about it, answered rows first and in the answer's order."""


class Model:
    """Executes a specification. Compiles each operation at its first step, and then never again."""

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self._functions = compiled_functions(
            {name: (function.parameters, function.value) for name, function in specification.functions.items()}
        )
        self._namespace = {**self._functions, **_NAMESPACE}
        self._steps: dict[str, Callable[[State, Arguments], Step]] = {}
        self._initial: State = {name: {} for name in specification.relations}
        self._invariants: dict[str, Callable[..., bool]] = {}

    def initial(self) -> State:
        """The state of a new store."""
        return self._initial

    def step(self, state: State, operation: str, args: Arguments) -> Step:
        """One operation. Raises KeyError if the model does not execute it, EvaluationError if a wrong model fails."""
        try:
            function = self._steps[operation]
        except KeyError:
            function = self._steps[operation] = self._compiled(operation)
        return function(state, args)

    def broken_invariants(self, state: State) -> list[str]:
        """The ids of the invariants that do not hold in `state`."""
        if not self._invariants:
            names = tuple(self.specification.relations)
            self._invariants = {
                invariant.id: compiled(invariant.holds, names, self._functions)
                for invariant in self.specification.invariants
            }
        relations = self.specification.relations.values()
        tables = [rows(state, relation.name, len(relation.key)) for relation in relations]
        return [name for name, holds in self._invariants.items() if not holds(*tables)]

    def source(self, operation: str) -> str:
        """The Python that an operation was compiled to, for people."""
        return operation_source(self.specification.operations[operation], self.specification.relations)

    def _compiled(self, name: str) -> Callable[[State, Arguments], Step]:
        operation = self.specification.operations[name]
        if not operation.executable:
            raise KeyError(f"{name} has no rules; the model cannot execute it")
        namespace = dict(self._namespace)
        exec(_code(self.source(name), name), namespace)
        function: Callable[[State, Arguments], Step] = namespace[name]
        return function


@lru_cache(maxsize=1024)
def _code(text: str, name: str) -> CodeType:
    return compile(text, f"<{name}>", "exec")  # cached: mutants of a model differ in one operation


def _get(table: Table, key: Key) -> Row | None:
    row: Row | None
    if len(key) == 1:
        row = table.get(key[0])
    else:
        group = table.get(key[0])
        row = group.get(key[1] if len(key) == 2 else key[1:]) if group else None
    return row


def _rows(table: Table, key: Key, width: int) -> list[Row]:
    """The rows whose key, of `width` parts, begins with `key`."""
    if width == 1:
        return list(table.values()) if not key else [table[key[0]]] if key[0] in table else []
    if not key:
        return [row for group in table.values() for row in group.values()]
    group = table.get(key[0], {})
    if len(key) == 1:
        return list(group.values())
    return [row for rest, row in group.items() if (rest if width > 2 else (rest,))[: len(key) - 1] == key[1:]]


def _sorted_rows(table: Table, key: Key, names: tuple[str, ...]) -> list[Row]:
    """The rows whose key, of the fields `names`, begins with `key`, ordered by key."""
    return sorted(_rows(table, key, len(names)), key=lambda row: [row[name] for name in names])


def _copy(giver: Row, fields: tuple[str, ...]) -> Row:
    return {name: giver[name] for name in fields if name in giver}


def _unless_null(name: str, value: object) -> Row:
    return {} if value is None else {name: value}


_Taken: TypeAlias = tuple[Any, ...]
"""(order key, ties key, relation key, rule id, …)."""


def _pick(taken: list[_Taken], skip: int, limit: int | None) -> list[_Taken]:
    """Sorts what was taken and cuts it; rows equal in both keys stay in the order of the table."""
    taken.sort(key=lambda item: item[:2])
    return taken[skip:] if limit is None else taken[skip : skip + int(limit)]


def _each_step(
    state: State,
    answer: list[Any],
    taken: list[_Taken],
    picked: list[_Taken],
    passed: list[tuple[Key, str]],
    skip: int,
    order_id: str | None,
    ties_id: str | None,
    skip_id: str | None,
    limit_id: str | None,
) -> Step:
    if not taken and not passed:
        return Step(state, Returned(answer), (), ())
    end = skip + len(picked)
    ids = [item[3] for item in picked]
    if picked and len(taken) > 1:
        # Another order would have answered otherwise: two keys differ, and at least one of the rows was answered.
        if order_id and taken[0][0] != taken[-1][0]:
            ids.append(order_id)
        near = taken[max(skip - 1, 0) : end + 1]
        if ties_id and any(a[0] == b[0] and a[1] != b[1] for a, b in pairwise(near)):
            ids.append(ties_id)
    left_out = [(item[2], skip_id or item[3]) for item in taken[:skip]]
    cut = [(item[2], limit_id or item[3]) for item in taken[end:]]
    decided = [(item[2], item[3]) for item in picked] + left_out + cut + passed
    ids += [rule for _, rule in decided[len(picked) :]]
    return Step(state, Returned(answer), tuple(dict.fromkeys(ids)), tuple(decided))


_NAMESPACE: dict[str, Any] = {
    "Draft": Draft,
    "Raised": Raised,
    "Returned": Returned,
    "Step": Step,
    "_copy": _copy,
    "_each_step": _each_step,
    "_get": _get,
    "_pick": _pick,
    "_rows": _rows,
    "_sorted_rows": _sorted_rows,
    "_unless_null": _unless_null,
}

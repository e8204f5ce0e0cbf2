"""The specification as objects: operations, relations, functions, invariants, and every rule by its id.

Made of the plain data of the model files by `Specification.from_data`, without checking them: `loader` checks, and
mutants are checked by whoever makes them. The data themselves stay reachable (`data`, `Operation.data`) for what
executes or prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

REVISION = "1"
"""The revision of the contract that the model states."""

Data: TypeAlias = dict[str, Any]
"""An object of the model files, as json.load gives it."""

RuleKind: TypeAlias = Literal["decision", "pass-over", "order", "ties", "limit", "skip", "promise"]
"""A `decision` answers, raises or yields; a `pass-over` is the reason why a row is left out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the contract; `source` is the clause it is from (`from` in the files)."""

    id: str
    kind: RuleKind
    operation: str | None
    says: str
    why: str
    level: str
    source: str
    elsewhere: str | None = None
    """The level for stores that were not written against this specification, where it differs."""
    checked_by: str | None = None
    """The check of the conformance kit that exercises a promise."""
    because: str | None = None
    """Why nothing checks it, where checked_by is `nothing`."""
    capability: str | None = None
    """What a store must be able to do for the promise to concern it, such as `durable`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`arguments` and `result` are names of `$defs` in contract.schema.json; no rules: not executable."""

    name: str
    says: str
    source: str
    arguments: str
    result: str
    optional: bool
    rules: tuple[Rule, ...]
    """Its own rules in order, then order, ties, skip, limit and omission, then its promises."""
    data: Data

    @property
    def executable(self) -> bool:
        return bool(self.data["rules"])


@dataclass(frozen=True, slots=True)
class Relation:
    name: str
    says: str
    key: tuple[str, ...]
    row: Data


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    says: str
    parameters: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Invariant:
    id: str
    says: str
    why: str
    source: str
    holds: str


@dataclass(frozen=True, slots=True, eq=False)
class Specification:
    """Everything the model files say; equal only to itself. Nobody may change its `data`."""

    operations: Mapping[str, Operation]
    relations: Mapping[str, Relation]
    functions: Mapping[str, Function]
    invariants: tuple[Invariant, ...]
    rules: Mapping[str, Rule]
    clauses: Mapping[str, list[str] | Data]
    contract: Data
    """contract.schema.json; its `$defs` hold every shape."""
    data: Data
    """{relations, functions, invariants, promises, clauses, operations: {name: …}, contract}."""
    revision: str = REVISION

    @staticmethod
    def from_data(data: Data) -> Specification:
        """The specification `data` states, unchecked; `data` is as in `Specification.data`."""
        operations = {name: _operation(raw, data["promises"]) for name, raw in data["operations"].items()}
        general = [_rule(raw, "promise", None) for raw in data["promises"] if "each" not in raw]
        own = [rule for operation in operations.values() for rule in operation.rules]
        return Specification(
            operations=operations,
            relations={
                name: Relation(name, raw["says"], tuple(raw["key"]), raw["row"])
                for name, raw in data["relations"].items()
            },
            functions={
                name: Function(name, raw["says"], tuple(raw["params"]), raw["value"])
                for name, raw in data["functions"].items()
            },
            invariants=tuple(
                Invariant(raw["id"], raw["says"], raw["why"], raw["from"], raw["holds"]) for raw in data["invariants"]
            ),
            rules={rule.id: rule for rule in own + general},
            clauses=data["clauses"],
            contract=data["contract"],
            data=data,
        )


def rule_data(operation: Data) -> Iterator[tuple[RuleKind, Data]]:
    """The rules of an operation's file with their kinds, in the order of `Operation.rules`."""
    for raw in operation["rules"]:
        yield ("decision" if raw.keys() & {"returns", "raises", "yields"} else "pass-over"), raw
    each = operation.get("each", {})
    kinds: tuple[RuleKind, ...] = ("order", "ties", "skip", "limit")
    for kind in kinds:
        if kind in each:
            yield kind, each[kind]
    if "omission" in each:
        yield (
            "promise",
            each["omission"],
        )  # it says what other clients may make of the answer: nothing one step executes
    for raw in operation.get("promises", ()):
        yield "promise", raw


def _operation(raw: Data, promises: list[Data]) -> Operation:
    name = raw["operation"]
    own = [_rule(rule, kind, name) for kind, rule in rule_data(raw)]
    shared = [
        _rule({**rule, "id": rule["id"].replace("{operation}", name)}, "promise", name)
        for rule in promises
        if rule.get("each") == "operation"
    ]
    return Operation(
        name=name,
        says=raw["says"],
        source=raw["from"],
        arguments=raw["arguments"],
        result=raw["result"],
        optional=raw.get("optional", False),
        rules=tuple(own + shared),
        data=raw,
    )


def _rule(raw: Data, kind: RuleKind, operation: str | None) -> Rule:
    return Rule(
        id=raw["id"],
        kind=kind,
        operation=operation,
        says=raw["says"],
        why=raw["why"],
        level=raw["level"],
        source=raw["from"],
        elsewhere=raw.get("elsewhere"),
        checked_by=raw.get("checkedBy"),
        because=raw.get("because"),
        capability=raw.get("capability"),
    )

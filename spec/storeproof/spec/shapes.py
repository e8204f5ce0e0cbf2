"""The types of the model's expressions, made from JSON Schema, and which value fits where.

Patterns, ranges and formats are no part of a type: arguments were validated before, and the model makes no new ids
but the ones the contract names. This module knows nothing of expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from storeproof.spec.jsonvalues import is_array, is_object


@dataclass(frozen=True, slots=True)
class Simple:
    """integer, boolean, null, bytes, or json: any JSON value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Text:
    """A string; one of `values` where they are known."""

    values: frozenset[str] | None = None

    def __str__(self) -> str:
        return "string" if self.values is None else " | ".join(f"'{value}'" for value in sorted(self.values))


@dataclass(frozen=True, slots=True)
class ListType:
    item: Type

    def __str__(self) -> str:
        return f"list of {self.item}"


@dataclass(frozen=True, slots=True)
class FieldType:
    type: Type
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """An object; `open` ones may have fields beyond the named."""

    name: str
    fields: tuple[tuple[str, FieldType], ...]
    open: bool = False

    def field(self, name: str) -> FieldType | None:
        found = dict(self.fields).get(name)
        return FieldType(JSON, False) if found is None and self.open else found

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Union:
    options: tuple[Type, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.options))


Type: TypeAlias = Simple | Text | ListType | Record | Union

INTEGER, BOOLEAN, NULL, BYTES, JSON = map(Simple, ("integer", "boolean", "null", "bytes", "json"))
TEXT = Text()


def options(type_: Type) -> tuple[Type, ...]:
    return type_.options if isinstance(type_, Union) else (type_,)


def union(types: Iterable[Type]) -> Type:
    """One type for any of `types`; words of different enumerations join."""
    flat = list(dict.fromkeys(option for type_ in types for option in options(type_)))
    if JSON in flat:
        return JSON
    words = [option for option in flat if isinstance(option, Text)]
    if len(words) > 1:
        known = [word.values for word in words if word.values is not None]
        joined = Text(frozenset[str]().union(*known)) if len(known) == len(words) else TEXT
        flat = [option for option in flat if not isinstance(option, Text)] + [joined]
    return flat[0] if len(flat) == 1 else Union(tuple(flat))


def without_null(type_: Type) -> Type | None:
    """The type of what is left when null is not it; None if nothing is."""
    left = [option for option in options(type_) if option != NULL]
    return union(left) if left else None


def may_be_null(type_: Type) -> bool:
    return type_ == JSON or NULL in options(type_)


def overlap(left: Type, right: Type) -> bool:
    """Whether a value of both types exists, so that == is worth asking."""
    for a in options(left):
        for b in options(right):
            if JSON in (a, b) or a == b:
                return True
            if isinstance(a, Text) and isinstance(b, Text):
                if a.values is None or b.values is None or a.values & b.values:
                    return True
            elif isinstance(a, ListType | Record) and type(a) is type(b):
                return True
    return False


def misfit(given: Type, wanted: Type) -> str | None:
    """Why a value of type `given` does not fit where `wanted` is asked for; None if it always does."""
    if wanted == JSON:
        return None if BYTES not in options(given) else "bytes are no JSON"
    if isinstance(given, Union):
        return next((problem for option in given.options if (problem := misfit(option, wanted))), None)
    if isinstance(wanted, Union):
        problems = [misfit(given, option) for option in wanted.options]
        return None if None in problems else _best(given, wanted, problems)
    if isinstance(given, Text) and isinstance(wanted, Text):
        if wanted.values is None or (given.values is not None and given.values <= wanted.values):
            return None
        return f"{given} where only {wanted} fits"
    if isinstance(given, ListType) and isinstance(wanted, ListType):
        problem = misfit(given.item, wanted.item)
        return f"in the list: {problem}" if problem else None
    if isinstance(given, Record) and isinstance(wanted, Record):
        return _record_misfit(given, wanted)
    return None if given == wanted else f"{given} where {wanted} is asked for"


def _record_misfit(given: Record, wanted: Record) -> str | None:
    if given == wanted:
        return None
    fields = dict(given.fields)
    for name, field in wanted.fields:
        if field.required and name not in fields:
            return f"lacks {name}, which {wanted} requires"
        if field.required and not fields[name].required:
            return f"{name} may be absent, but {wanted} requires it"
    for name, field in fields.items():
        target = wanted.field(name)
        if target is None:
            return f"no field {name} in {wanted}; there are {listed(dict(wanted.fields))}"
        if problem := misfit(field.type, target.type):
            return f"{name}: {problem}"
    if given.open and not wanted.open:
        return f"{given} may have fields that {wanted} lacks"
    return None


def _best(given: Type, wanted: Union, problems: list[str | None]) -> str:
    """Of the reasons why no option fits, the one for what was meant: the only object, or that of the kind."""
    if isinstance(given, Record):
        records = [
            (option, problem)
            for option, problem in zip(wanted.options, problems, strict=True)
            if isinstance(option, Record) and problem
        ]
        meant = [problem for option, problem in records if len(records) == 1 or _same_kind(given, option)]
        if meant:
            return meant[0]
    return f"{given} where {wanted} is asked for"


def _same_kind(given: Record, option: Record) -> bool:
    """Whether a constant of the option (`kind`, `type`) is what is given."""
    fields = dict(given.fields)
    return any(
        isinstance(wanted.type, Text) and wanted.type.values and not misfit(fields[name].type, wanted.type)
        for name, wanted in option.fields
        if name in fields
    )


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


class Schemas:
    """Types by JSON Schema; `$ref`s lead into the `$defs` of the contract's schema, whatever file they name."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = contract["$defs"]
        self._made: dict[str, Type] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._definitions

    def definition(self, name: str) -> Type:
        """The type of `$defs/<name>`. Raises KeyError. A definition that contains itself is JSON at that place."""
        if name not in self._made:
            self._made[name] = JSON
            self._made[name] = self.type_of(self._definitions[name], name)
        return self._made[name]

    def type_of(self, schema: Any, name: str = "object") -> Type:
        if not is_object(schema):
            return JSON
        rules: Mapping[str, Any] = schema
        if "$ref" in rules:
            return self.definition(rules["$ref"].rpartition("/")[2])
        if "const" in rules:
            return _constant(rules["const"])
        if "enum" in rules:
            return union(_constant(value) for value in rules["enum"])
        for choice in ("oneOf", "anyOf"):
            if choice in rules and "properties" not in rules:
                return union(self.type_of(option, name) for option in rules[choice])
        kind = rules.get("type", "object" if "properties" in rules else None)
        if is_array(kind):
            return union(self._simple(one, rules, name) for one in kind)
        return self._simple(kind, rules, name)

    def _simple(self, kind: object, rules: Mapping[str, Any], name: str) -> Type:
        match kind:
            case "string":
                return TEXT
            case "integer" | "boolean" | "null":
                return Simple(str(kind))
            case "array":
                return ListType(self.type_of(rules.get("items", True), name))
            case "object":
                required = rules.get("required", ())
                fields = {
                    field: FieldType(self.type_of(schema, field), field in required)
                    for field, schema in rules.get("properties", {}).items()
                }
                fields |= {field: FieldType(JSON, True) for field in required if field not in fields}
                is_open = rules.get("additionalProperties", rules.get("unevaluatedProperties", True)) is not False
                return Record(name, tuple(fields.items()), is_open)
            case _:
                return JSON


def _constant(value: object) -> Type:
    if isinstance(value, str):
        return Text(frozenset([value]))
    if isinstance(value, bool):
        return BOOLEAN
    return NULL if value is None else INTEGER if isinstance(value, int) else JSON

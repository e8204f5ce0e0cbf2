"""The type of a template: of a row to be stored, of an answer, of an error's data.

Knows the notation's `=`, `?` and `$copy`, and nothing of rules or effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from storeproof.spec.expressions import ExpressionError, parse
from storeproof.spec.facts import Facts
from storeproof.spec.inference import Binding, Inference, Inferred
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.shapes import (
    BOOLEAN,
    INTEGER,
    JSON,
    NULL,
    FieldType,
    ListType,
    Record,
    Text,
    Type,
    listed,
    may_be_null,
    misfit,
    options,
    union,
    without_null,
)
from storeproof.spec.specification import Data, Function


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions at one place may use, and what is known there. `place` is for errors."""

    place: str
    names: Mapping[str, Binding]
    functions: Mapping[str, Function]
    facts: Facts

    def at(self, member: str) -> Scope:
        return replace(self, place=f"{self.place}, {member}")

    def with_name(self, name: str, type_: Type) -> Scope:
        """With one more name. Raises ExpressionError if it means something already."""
        if name in self.names or name in self.functions or name == "after":
            raise ExpressionError("means something else already; take another name", name, 0, self.place)
        return replace(self, names={**self.names, name: Binding(type_, name)})

    def infer(self, text: str) -> Inferred:
        """The type of an expression. Raises ExpressionError with the place."""
        try:
            tree = parse(text)
        except ExpressionError as error:
            raise error.at_place(self.place) from None
        return Inference(self.place, text, self.names, self.functions).infer(tree, self.facts)

    def need(self, text: str, wanted: Type) -> Inferred:
        """As `infer`, of an expression that has to be `wanted`."""
        inferred = self.infer(text)
        if NULL in options(inferred.type) and inferred.type != wanted:
            raise ExpressionError("may be null here; test it first", text, 0, self.place)
        self.fit(inferred.type, wanted, text)
        return inferred

    def fit(self, given: Type, wanted: Type, text: str) -> None:
        """Raises ExpressionError unless every `given` is a `wanted`."""
        if problem := misfit(given, wanted):
            raise ExpressionError(problem, text, 0, self.place)

    def template(self, value: object) -> Type:
        """The type of a template's value. Raises ExpressionError."""
        if isinstance(value, str):
            return self.infer(value[1:]).type if value.startswith("=") else Text(frozenset([value]))
        if is_array(value):
            return ListType(union(self.template(item) for item in value) if value else JSON)
        if is_object(value):
            return Record("the template", tuple(self._fields(value).items()))
        if isinstance(value, bool):
            return BOOLEAN
        return NULL if value is None else INTEGER if isinstance(value, int) else JSON

    def _fields(self, template: Data) -> dict[str, FieldType]:
        fields: dict[str, FieldType] = {}
        for name, value in template.items():
            if name == "$copy":
                added = [pair for giver, names in value.items() for pair in self._copied(giver, names)]
            elif name.endswith("?"):
                type_ = self.at(name).template(value)
                left = without_null(type_)
                if left is None or not may_be_null(type_):
                    problem = "is always null" if left is None else "is never null; take the ? away"
                    raise ExpressionError(problem, str(value), 0, f"{self.place}, {name}")
                added = [(name[:-1], FieldType(left, False))]
            else:
                added = [(name, FieldType(self.at(name).template(value), True))]
            for field, field_type in added:
                if field in fields:
                    raise ExpressionError(f"{field} is set twice", field, 0, self.place)
                fields[field] = field_type
        return fields

    def _copied(self, giver: str, names: Iterable[str]) -> list[tuple[str, FieldType]]:
        scope = self.at("$copy")
        base = scope.infer(giver)
        if NULL in options(base.type):
            raise ExpressionError("may be null here; test it first", giver, 0, scope.place)
        if not isinstance(base.type, Record):
            raise ExpressionError(f"is {base.type}; fields are copied from an object", giver, 0, scope.place)
        copied: list[tuple[str, FieldType]] = []
        for name in names:
            field = base.type.field(name)
            if field is None:
                known = listed(dict(base.type.fields))
                raise ExpressionError(f"no field {name} in {giver}; there are {known}", name, 0, scope.place)
            path = f"{base.path}.{name}"
            there = field.required or self.facts.present.get(path)
            if there is not False:
                copied.append((name, FieldType(self.facts.types.get(path, field.type), bool(there))))
        return copied

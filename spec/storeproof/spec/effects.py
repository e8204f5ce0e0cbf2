"""Checks the effects of one rule, and tells what is known of `after.x` once they are done.

Knows rows, keys and templates; which rule it is, and what the rule answers, is the checker's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from storeproof.spec.expressions import ExpressionError, parse
from storeproof.spec.facts import Facts
from storeproof.spec.inference import Binding
from storeproof.spec.jsonvalues import is_object
from storeproof.spec.shapes import (
    INTEGER,
    NULL,
    FieldType,
    ListType,
    Record,
    Type,
    listed,
    misfit,
    options,
    union,
)
from storeproof.spec.specification import Data, Relation
from storeproof.spec.syntax import text_of
from storeproof.spec.templates import Scope


class EffectChecker:
    """Takes the effects of a rule in order. Every method raises ExpressionError for what cannot be meant."""

    def __init__(self, scope: Scope, relations: Mapping[str, Relation], rows: Mapping[str, Record]) -> None:
        self.scope = scope
        self._relations = relations
        self._rows = rows
        self._done: list[Data] = []

    def key(self, relation: str, key: list[str], whole: bool) -> None:
        """A key, or the beginning of one, of a relation there is."""
        if relation not in self._relations:
            self._refuse(f"no relation {relation}; there are {listed(self._relations)}", relation)
        parts = self._relations[relation].key
        if len(key) > len(parts) or (whole and len(key) < len(parts)):
            self._refuse(f"the key of {relation} is {', '.join(parts)}", ", ".join(key))
        for part, expression in zip(parts, key, strict=False):
            field = self._rows[relation].field(part)
            assert field is not None
            self.scope.at(f"key {part}").need(expression, field.type)

    def effect(self, effect: Data) -> None:
        if "put" in effect:
            self._put(effect)
        elif "update" in effect:
            self._update(effect)
        else:
            self.key(effect["delete"], effect["key"], whole=False)
            if not effect["key"]:
                self._refuse("a delete says which rows", effect["delete"])
        self._done.append(effect)

    def _put(self, effect: Data) -> None:
        relation = effect["put"]
        if relation not in self._relations:
            self._refuse(f"no relation {relation}; there are {listed(self._relations)}", relation)
        scope = self.scope.at(f"put {relation}")
        if "forEach" in effect:
            items = scope.infer(effect["forEach"]).type
            if not isinstance(items, ListType):
                self._refuse(f"is {items}, not a list", effect["forEach"])
            scope = scope.with_name(effect["as"], items.item)
            if "index" in effect:
                scope = scope.with_name(effect["index"], INTEGER)
        scope.fit(scope.template(effect["row"]), self._rows[relation], str(effect["row"]))

    def _update(self, effect: Data) -> None:
        relation = effect["update"]
        self.key(relation, effect["key"], whole=True)
        row, key = self._rows[relation], self._relations[relation].key
        scope = self.scope.at(f"update {relation}")
        for name in effect.get("unset", ()):
            field = row.field(name)
            if field is None:
                raise ExpressionError(f"no field {name}; there are {listed(dict(row.fields))}", name, 0, scope.place)
            if field.required and name not in effect.get("set", {}):
                raise ExpressionError(f"{name} is required in {row}; it cannot be unset", name, 0, scope.place)
        changes = scope.template(effect.get("set", {}))
        assert isinstance(changes, Record)
        for name, given in changes.fields:
            field = row.field(name)
            if field is None:
                raise ExpressionError(f"no field {name}; there are {listed(dict(row.fields))}", name, 0, scope.place)
            if name in key:
                raise ExpressionError(f"{name} is part of the key; it cannot change", name, 0, scope.place)
            if problem := misfit(given.type, field.type):
                raise ExpressionError(f"{name}: {problem}", str(effect["set"].get(name)), 0, scope.place)

    def after(self, finds: Mapping[str, Data]) -> Scope:
        """The scope of the answer: `after.x` is there for every x that was looked up."""
        facts = self.scope.facts
        fields: list[tuple[str, FieldType]] = []
        for name, find in finds.items():
            if name not in self.scope.names:
                continue  # a rule that looks at the arguments alone
            type_, facts = self._later(name, find, facts)
            fields.append((name, FieldType(type_, True)))
        names = {**self.scope.names, "after": Binding(Record("after", tuple(fields)), "after")}
        return replace(self.scope, names=names, facts=facts)

    def _later(self, name: str, find: Data, facts: Facts) -> tuple[Type, Facts]:
        if "all" in find:
            return ListType(self._rows[find["all"]]), facts
        relation, key = find["in"], [_normal(part) for part in find["key"]]
        row = self._rows[relation]
        there = NULL not in options(facts.types.get(name, self.scope.names[name].type))
        lost: set[str] = set()  # fields about which nothing from before the effects holds
        present: set[str] = set()  # fields that the effects have set
        for effect in self._done:
            if effect.get("put") == relation:
                lost, present = {field for field, _ in row.fields}, set()
                if "forEach" not in effect and self._put_key(effect["row"], relation) == key:
                    there, present = True, _required(self.scope.template(effect["row"]))
            elif effect.get("update") == relation:
                changed = self.scope.template(effect.get("set", {}))
                assert isinstance(changed, Record)
                lost |= {*effect.get("unset", ()), *dict(changed.fields)}
                present -= set(effect.get("unset", ()))
                if [_normal(part) for part in effect["key"]] == key:
                    present |= _required(changed)
            elif effect.get("delete") == relation:
                there = False
        after = f"after.{name}"
        facts = facts.moved(name, after, frozenset(lost))
        for field in present:
            facts = facts.with_presence(f"{after}.{field}", True)
        return (row if there else union([row, NULL])), facts

    def _put_key(self, row: object, relation: str) -> list[str]:
        return [_row_part(row, part) for part in self._relations[relation].key]

    def _refuse(self, problem: str, text: str) -> NoReturn:
        raise ExpressionError(problem, text, 0, self.scope.place)


def _required(template: Type) -> set[str]:
    return {name for name, field in template.fields if field.required} if isinstance(template, Record) else set()


def _normal(expression: str) -> str:
    return text_of(parse(expression))


def _row_part(row: object, field: str) -> str:
    """The expression that a row's template gives one field, as text."""
    if isinstance(row, str):
        return _normal(f"({row[1:]}).{field}") if row.startswith("=") else ""
    if is_object(row):
        value = row.get(field)
        if isinstance(value, str):
            return _normal(value[1:]) if value.startswith("=") else f"'{value}'"
        for giver, names in row.get("$copy", {}).items():
            if field in names:
                return _normal(f"({giver}).{field}")
    return ""

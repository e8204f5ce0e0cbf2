"""Refuses a model that could read what is not there, or that says something else than its schemas allow.

`check(specification)` is the whole of it; `check_operation` is enough after a change of one operation. Both raise
ExpressionError, with the rule's id and a caret, or ModelError. The shape of the files is `shape`'s business, and what
a rule ought to say is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from storeproof.spec.effects import EffectChecker
from storeproof.spec.errors import SpecificationError
from storeproof.spec.expressions import ExpressionError
from storeproof.spec.facts import Facts, Known, either
from storeproof.spec.inference import Binding
from storeproof.spec.shapes import (
    BOOLEAN,
    INTEGER,
    NULL,
    TEXT,
    ListType,
    Record,
    Schemas,
    Type,
    listed,
    misfit,
    union,
)
from storeproof.spec.specification import Data, Operation, Specification, rule_data
from storeproof.spec.templates import Scope


class ModelError(SpecificationError):
    """The model is not consistent."""


def check(specification: Specification) -> None:
    """Raises ModelError or ExpressionError for the first thing that is wrong."""
    _check_ids(specification)
    _check_clauses(specification)
    for operation in specification.operations.values():
        check_operation(specification, operation)
    checker = _Checker(specification)
    for invariant in specification.invariants:
        names = {name: Binding(ListType(row), name) for name, row in checker.rows.items()}
        Scope(f"invariant {invariant.id}", names, specification.functions, Facts()).need(invariant.holds, BOOLEAN)


def check_operation(specification: Specification, operation: Operation) -> None:
    """Raises ModelError or ExpressionError for the first thing that is wrong in one operation."""
    _Checker(specification).operation(operation)


def _check_ids(specification: Specification) -> None:
    seen: set[str] = set()
    for rule_id, owner in _ids(specification):
        if rule_id in seen:
            raise ModelError(f"{rule_id}: two rules have this id; give one of them another")
        if owner and not rule_id.startswith(f"{owner}."):
            raise ModelError(f"{rule_id}: the id of a rule of {owner} begins with {owner}.")
        seen.add(rule_id)


def _ids(specification: Specification) -> Iterator[tuple[str, str]]:
    for operation in specification.operations.values():
        for rule in operation.rules:
            yield rule.id, operation.name
    for rule in specification.rules.values():
        if rule.operation is None:
            yield rule.id, ""
    for invariant in specification.invariants:
        yield invariant.id, ""


def _check_clauses(specification: Specification) -> None:
    """Every rule is from a clause there is, and every clause has rules or says why not."""
    clauses = specification.clauses
    used: set[str] = set()
    sources = [(rule.id, rule.source) for rule in specification.rules.values()]
    sources += [(invariant.id, invariant.source) for invariant in specification.invariants]
    for name, source in sources:
        used.add(source)
        if source not in clauses:
            raise ModelError(f"{name}: no clause {source!r} in clauses.json; there are {listed(clauses)}")
    for clause, stated in clauses.items():
        if isinstance(stated, list):
            for rule_id in stated:
                if rule_id not in specification.rules:
                    raise ModelError(f"clauses.json, {clause}: no rule {rule_id}")
        elif "because" not in stated and clause not in used:
            raise ModelError(f"clauses.json, {clause}: no rule is from it; add one, or say why with because")


class _Checker:
    """Holds what checking the operations of one specification shares."""

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.schemas = Schemas(specification.contract)
        self.rows: Mapping[str, Record] = {
            name: self._row(name, relation.row) for name, relation in specification.relations.items()
        }

    def _row(self, name: str, schema: Data) -> Record:
        row = self.schemas.type_of(schema, f"a row of {name}")
        if not isinstance(row, Record):
            raise ModelError(f"relations.json, {name}: a row is an object, not {row}")
        for part in self.specification.relations[name].key:
            field = row.field(part)
            if field is None or not field.required:
                raise ModelError(f"relations.json, {name}: the key field {part} is not a required field of the row")
        return row

    def _definition(self, operation: str, name: str) -> Type:
        if name not in self.schemas:
            raise ModelError(f"{operation}: contract.schema.json has no {name}")
        return self.schemas.definition(name)

    def operation(self, operation: Operation) -> None:
        data, name = operation.data, operation.name
        arguments = self._definition(name, operation.arguments)
        self.result = self._definition(name, operation.result)
        self.arguments = arguments
        self.finds: dict[str, Data] = {}
        if not operation.executable and not operation.optional:
            raise ModelError(f"{name}: has no rules; only an optional operation is left to promises alone")
        if operation.executable:
            names = {"args": Binding(arguments, "args")}
            scope = Scope(name, names, self.specification.functions, Facts())
            scope = self._finds(scope, data.get("find", {}))
            if "each" in data:
                self._each(scope, data)
            else:
                self._rules(scope, data["rules"])

    def _finds(self, scope: Scope, finds: Data) -> Scope:
        for name, find in finds.items():
            place = scope.at(f"find {name}")
            relation = find.get("in") or find["all"]
            effects = EffectChecker(place, self.specification.relations, self.rows)
            effects.key(relation, find["key"], whole="in" in find)
            row = self.rows[relation]
            scope = scope.with_name(name, union([row, NULL]) if "in" in find else ListType(row))
            self.finds[name] = find
        return scope

    def _rules(self, scope: Scope, rules: list[Data], last: bool = True) -> tuple[Scope, dict[str, Known]]:
        """Goes through rules in order; answers what is known after all failed, and where each one held."""
        facts: Known = scope.facts
        held: dict[str, Known] = {}
        for number, rule in enumerate(rules):
            if facts is None:
                raise ModelError(f"{rule['id']}: cannot be reached; an earlier rule always holds")
            here = Scope(rule["id"], scope.names, scope.functions, facts)
            if "when" in rule:
                guard = here.at("when").need(rule["when"], BOOLEAN)
                if guard.held is None:
                    raise ExpressionError("cannot hold here", rule["when"], 0, f"{rule['id']}, when")
                held[rule["id"]], facts = guard.held, guard.failed
            else:
                held[rule["id"]], facts = facts, None
            if last and number == len(rules) - 1 and "when" in rule:
                raise ModelError(f"{rule['id']}: the last rule has no when; what if it does not hold?")
            self._answer(Scope(rule["id"], scope.names, scope.functions, held[rule["id"]] or Facts()), rule)
        return Scope(scope.place, scope.names, scope.functions, facts or Facts()), held

    def _each(self, scope: Scope, data: Data) -> None:
        each, rules = data["each"], data["rules"]
        early = [rule for rule in rules if rule.keys() & {"returns", "raises"}]
        late = rules[len(early) :]
        if rules[: len(early)] != early:
            raise ModelError(f"{scope.place}: rules with returns or raises come before those about rows")
        after_early, _ = self._rules(scope, early, last=False)
        if not late or any("when" not in rule for rule in early):
            raise ModelError(f"{scope.place}: no rule about rows can be reached")
        place = after_early.at("each")
        if each["in"] not in self.rows:
            raise ModelError(f"{place.place}: no relation {each['in']}; there are {listed(self.rows)}")
        EffectChecker(place, self.specification.relations, self.rows).key(each["in"], each.get("key", []), whole=False)
        rows = after_early.with_name(each["row"], self.rows[each["in"]])
        key = [f"{each['row']}.{part}" for part in self.specification.relations[each["in"]].key]
        self.finds[each["row"]] = {"in": each["in"], "key": key, "there": True}
        rows = self._finds(rows, each.get("find", {}))
        _, held = self._rules(rows, late)
        taken: Known = None
        for rule in late:
            if "yields" in rule:
                taken = either(taken, held[rule["id"]])
        if taken is None:
            raise ModelError(f"{scope.place}: no rule yields anything")
        for part in ("order", "ties"):
            for expression in each.get(part, {}).get("by", ()):
                here = Scope(each[part]["id"], rows.names, rows.functions, taken)
                type_ = here.infer(expression).type
                if misfit(type_, INTEGER) and misfit(type_, TEXT):
                    raise ExpressionError(f"{type_}: rows are sorted by integers or strings", expression, 0, here.place)
        for part in ("skip", "limit"):
            if part in each:
                here = Scope(each[part]["id"], after_early.names, after_early.functions, after_early.facts)
                here.need(each[part]["of"], INTEGER)
        if "omission" in each:
            self._omission(each, late)

    def _omission(self, each: Data, rules: list[Data]) -> None:
        """A row that is left out must change nothing but itself: neither which rows come after it nor other tables."""
        name = each["omission"]["id"]
        if "skip" in each:
            raise ModelError(f"{name}: a row left out would change which rows skip leaves out; there cannot be both")
        own = {each["in"], *(find.get("in") for find in each.get("find", {}).values())}
        for rule in rules:
            for effect in rule.get("effects", ()):
                relation = effect.get("put") or effect.get("update") or effect["delete"]
                if relation not in own:
                    raise ModelError(f"{name}: {rule['id']} changes {relation}, which is not the row's nor found by it")

    def _answer(self, scope: Scope, rule: Data) -> None:
        effects = EffectChecker(scope, self.specification.relations, self.rows)
        for effect in rule.get("effects", ()):
            effects.effect(effect)
        if "raises" in rule:
            self._raises(scope, rule["raises"])
        for kind in ("returns", "yields"):
            if kind in rule:
                wanted = self.result
                if kind == "yields":
                    if not isinstance(wanted, ListType):
                        raise ModelError(f"{scope.place}: an operation with each answers a list, not {wanted}")
                    wanted = wanted.item
                after = effects.after(self.finds).at(kind)
                after.fit(after.template(rule[kind]), wanted, str(rule[kind]))

    def _raises(self, scope: Scope, raises: Data) -> None:
        for error, data in raises.items():
            here = scope.at("raises")
            if error == "InvalidArgument":
                for field in data["fields"]:
                    if not isinstance(self.arguments, Record) or self.arguments.field(field) is None:
                        raise ModelError(f"{here.place}: the operation has no argument {field}")
            else:
                type_ = here.template(data)
                here.fit(type_, self._definition(here.place, f"{error}Data"), str(data))


__all__ = ["ModelError", "check", "check_operation", "rule_data"]

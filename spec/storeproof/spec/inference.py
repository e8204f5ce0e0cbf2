"""The type of an expression, and what is known after it held or did not.

Refuses unknown names, fields and functions, optional fields read without a test, rows that may be null, and types
that do not go together. A function is checked at each call, with the types and the facts of the call. This module
knows nothing of rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn

from storeproof.spec.expressions import ExpressionError, parse
from storeproof.spec.facts import Facts, Known, either
from storeproof.spec.shapes import (
    BOOLEAN,
    BYTES,
    INTEGER,
    JSON,
    NULL,
    TEXT,
    FieldType,
    ListType,
    Record,
    Text,
    Type,
    listed,
    may_be_null,
    misfit,
    options,
    overlap,
    union,
    without_null,
)
from storeproof.spec.specification import Function
from storeproof.spec.syntax import (
    BUILT_IN,
    Binary,
    Call,
    Choice,
    Expression,
    Field,
    Has,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    Quantifier,
    Unary,
    text_of,
)


class Inferred(NamedTuple):
    type: Type
    held: Known
    """What is known where the expression is true, if it is boolean; else what was known before."""
    failed: Known
    path: str | None = None
    """Where the value stands, if facts can be kept about it."""


class Binding(NamedTuple):
    type: Type
    path: str


@dataclass(frozen=True, slots=True)
class Inference:
    """One expression at one place: `place` and `text` are for errors, `names` and `functions` what it may use."""

    place: str
    text: str
    names: Mapping[str, Binding]
    functions: Mapping[str, Function]
    depth: int = 0
    """0 for the expression itself, more inside functions, where a test may be needless for one of the callers."""

    def infer(self, tree: Expression, facts: Facts) -> Inferred:
        """Raises ExpressionError."""
        match tree:
            case Literal(value):
                known = Text(frozenset([value])) if isinstance(value, str) else _LITERALS[type(value)]
                return Inferred(known, facts, facts)
            case Name(name):
                if name not in self.names:
                    self._refuse(f"no name {name}; there are {listed(self.names)}", tree)
                binding = self.names[name]
                return Inferred(facts.types.get(binding.path, binding.type), facts, facts, binding.path)
            case Field():
                return self._field(tree, facts)
            case Has():
                return self._has(tree, facts)
            case Index(of, index):
                items = self._list(of, facts)
                self._need(index, INTEGER, facts)
                return Inferred(items.item, facts, facts)
            case Call():
                return self._call(tree, facts)
            case Quantifier(_, of, variable, condition):
                items = self._list(of, facts)
                self._free(variable, tree)
                path = f"{variable}@{self.depth}.{tree.at}"
                inner = replace(self, names={**self.names, variable: Binding(items.item, path)})
                inner._need(condition, BOOLEAN, facts)
                return Inferred(BOOLEAN, facts, facts)
            case Unary("!", operand):
                inferred = self._need(operand, BOOLEAN, facts)
                return Inferred(BOOLEAN, inferred.failed, inferred.held)
            case Unary(_, operand):
                self._need(operand, INTEGER, facts)
                return Inferred(INTEGER, facts, facts)
            case Binary():
                return self._binary(tree, facts)
            case Choice(condition, then, otherwise):
                asked = self._need(condition, BOOLEAN, facts)
                yes = self.infer(then, asked.held or facts)
                no = self.infer(otherwise, asked.failed or facts)
                return Inferred(union([yes.type, no.type]), either(yes.held, no.held), either(yes.failed, no.failed))
            case ListOf(items):
                types = [self.infer(item, facts).type for item in items]
                return Inferred(ListType(union(types) if types else JSON), facts, facts)
            case MapOf(entries):
                fields = tuple((key, FieldType(self.infer(value, facts).type, True)) for key, value in entries)
                return Inferred(Record("the object", fields), facts, facts)

    def _refuse(self, problem: str, tree: Expression) -> NoReturn:
        raise ExpressionError(problem, self.text, tree.at, self.place)

    def _need(self, tree: Expression, wanted: Type, facts: Facts) -> Inferred:
        inferred = self.infer(tree, facts)
        if NULL in options(inferred.type) and inferred.type != wanted:
            self._refuse(f"{text_of(tree)} may be null here; test it first", tree)
        if problem := misfit(inferred.type, wanted):
            self._refuse(f"{text_of(tree)}: {problem}", tree)
        return inferred

    def _list(self, tree: Expression, facts: Facts) -> ListType:
        type_ = self.infer(tree, facts).type
        if not isinstance(type_, ListType):
            self._refuse(f"{text_of(tree)} is {type_}, not a list", tree)
        return type_

    def _free(self, name: str, tree: Expression) -> None:
        if name in self.names or name in self.functions:
            self._refuse(f"{name} means something else already; take another name", tree)

    def _member(self, tree: Field | Has, facts: Facts) -> tuple[Inferred, list[FieldType | None]]:
        """What the field belongs to, and its type in each kind of object that it may be."""
        base = self.infer(tree.of, facts)
        if NULL in options(base.type):
            self._refuse(f"{text_of(tree.of)} may be null here; test it first", tree.of)
        found: list[FieldType | None] = []
        for option in options(base.type):
            if not isinstance(option, Record):
                self._refuse(f"{text_of(tree.of)} is {option}, which has no fields", tree)
            found.append(option.field(tree.name))
        if not any(found):
            names = {name for option in options(base.type) if isinstance(option, Record) for name, _ in option.fields}
            self._refuse(f"no field {tree.name}; there are {listed(names)}", tree)
        return base, found

    def _field(self, tree: Field, facts: Facts) -> Inferred:
        base, found = self._member(tree, facts)
        path = f"{base.path}.{tree.name}" if base.path else None
        there = facts.present.get(path or "")
        if there is not True and not all(field and field.required for field in found):
            if None in found:
                kinds = listed(str(option) for option, field in zip(options(base.type), found, strict=True) if field)
                self._refuse(f"{tree.name} is a field of {kinds} only; test first which kind it is", tree)
            self._refuse(f"{tree.name} may be absent here; guard it with has({text_of(tree)})", tree)
        type_ = union(field.type for field in found if field)
        return Inferred(facts.types.get(path or "", type_), facts, facts, path)

    def _has(self, tree: Has, facts: Facts) -> Inferred:
        base, found = self._member(Has(tree.of, tree.name, tree.at), facts)
        path = f"{base.path}.{tree.name}" if base.path else None
        there = True if all(field and field.required for field in found) else facts.present.get(path or "")
        if there is None:
            return Inferred(BOOLEAN, facts.with_presence(path, True), facts.with_presence(path, False))
        if path not in facts.present and self.depth == 0:
            self._refuse(f"{tree.name} is always there; has() says nothing", tree)
        return Inferred(BOOLEAN, facts if there else None, None if there else facts)

    def _call(self, tree: Call, facts: Facts) -> Inferred:
        name, arguments = tree.function, tree.arguments
        function = self.functions.get(name)
        if function is None and name not in BUILT_IN:
            self._refuse(f"no function {name}; there are {listed([*self.functions, *BUILT_IN, 'has'])}", tree)
        if len(arguments) != (wanted := len(function.parameters) if function else BUILT_IN[name]):
            self._refuse(f"{name} takes {wanted} argument(s), not {len(arguments)}", tree)
        if function is None:
            return Inferred(self._built_in(name, arguments[0], facts), facts, facts)
        if self.depth > 20:
            self._refuse(f"{name} calls itself", tree)
        names: dict[str, Binding] = {}
        for parameter, argument in zip(function.parameters, arguments, strict=True):
            given = self.infer(argument, facts)
            names[parameter] = Binding(given.type, given.path or f"{parameter}@{self.depth}.{tree.at}")
        place = f"{self.place}, in {name}" if self.place else name
        inner = Inference(place, function.value, names, self.functions, self.depth + 1)
        return inner.infer(parse(function.value), facts)._replace(path=None)

    def _built_in(self, name: str, argument: Expression, facts: Facts) -> Type:
        if name == "size":
            type_ = self.infer(argument, facts).type
            if not isinstance(type_, ListType | Text) and type_ != BYTES:
                self._refuse(f"size() of {type_}; it takes a list, a string or bytes", argument)
            return INTEGER
        self._need(argument, INTEGER if name == "string" else TEXT, facts)
        return _RESULTS[name]

    def _binary(self, tree: Binary, facts: Facts) -> Inferred:
        match tree.operator:
            case "&&":
                left = self._need(tree.left, BOOLEAN, facts)
                right = self._need(tree.right, BOOLEAN, left.held or facts)
                held = right.held if left.held else None
                return Inferred(BOOLEAN, held, either(left.failed, right.failed if left.held else None))
            case "||":
                left = self._need(tree.left, BOOLEAN, facts)
                right = self._need(tree.right, BOOLEAN, left.failed or facts)
                failed = right.failed if left.failed else None
                return Inferred(BOOLEAN, either(left.held, right.held if left.failed else None), failed)
            case "==" | "!=":
                return self._equality(tree, facts)
            case "in":
                return self._among(tree, facts)
            case _:
                return self._arithmetic(tree, facts)

    def _arithmetic(self, tree: Binary, facts: Facts) -> Inferred:
        left, right = self.infer(tree.left, facts).type, self.infer(tree.right, facts).type
        for side, type_ in ((tree.left, left), (tree.right, right)):
            if may_be_null(type_) and type_ != JSON:
                self._refuse(f"{text_of(side)} may be null here; test it first", side)
        texts, integers = not (misfit(left, TEXT) or misfit(right, TEXT)), left == right == INTEGER
        if tree.operator in ("+", "-"):
            if not integers and not (texts and tree.operator == "+"):
                self._refuse(f"{left} {tree.operator} {right}", tree)
            return Inferred(INTEGER if integers else TEXT, facts, facts)
        if not texts and not integers:
            self._refuse(f"{left} {tree.operator} {right}", tree)
        return Inferred(BOOLEAN, facts, facts)

    def _equality(self, tree: Binary, facts: Facts) -> Inferred:
        left, right = self.infer(tree.left, facts), self.infer(tree.right, facts)
        if right.type == NULL and not may_be_null(left.type) and self.depth == 0:
            self._refuse(f"{text_of(tree.left)} is never null here", tree)
        if right.type != NULL and not overlap(left.type, right.type) and self.depth == 0:
            self._refuse(f"{left.type} {tree.operator} {right.type}: never equal", tree)
        if right.path is not None:
            return Inferred(BOOLEAN, facts, facts)
        same, other = self._narrowed(tree.left, left, right.type, facts)
        return Inferred(BOOLEAN, same, other) if tree.operator == "==" else Inferred(BOOLEAN, other, same)

    def _among(self, tree: Binary, facts: Facts) -> Inferred:
        left, items = self.infer(tree.left, facts), self._list(tree.right, facts)
        if not overlap(left.type, items.item) and self.depth == 0:
            self._refuse(f"{left.type} in {items}: never", tree)
        if isinstance(tree.right, ListOf) and all(isinstance(item, Literal) for item in tree.right.items):
            return Inferred(BOOLEAN, *self._narrowed(tree.left, left, items.item, facts))
        return Inferred(BOOLEAN, facts, facts)

    def _narrowed(self, tree: Expression, value: Inferred, constant: Type, facts: Facts) -> tuple[Known, Known]:
        """What is known where `value` is one of the constants, and where it is not."""
        if constant == NULL and value.type != JSON:
            null = facts.with_type(value.path, NULL) if may_be_null(value.type) else None
            rest = without_null(value.type)
            return null, facts.with_type(value.path, rest) if rest else None
        words = constant.values if isinstance(constant, Text) else None
        if words is None or not isinstance(value.type, Text):
            return facts, facts
        known = value.type.values
        left_over = known - words if known is not None else None
        common = words if known is None else words & known
        same_known: Known = facts.with_type(value.path, Text(common)) if common else None
        others = facts if left_over is None else facts.with_type(value.path, Text(left_over)) if left_over else None
        return self._chosen(tree, words, same_known, True), self._chosen(tree, words, others, False)

    def _chosen(self, tree: Expression, words: frozenset[str], known: Known, equal: bool) -> Known:
        """`a.type == 'signal'` also tells which kind of object `a` is."""
        if known is None or not isinstance(tree, Field):
            return known
        base = self.infer(tree.of, known)
        kept: list[Type] = []
        for option in options(base.type):
            field = option.field(tree.name) if isinstance(option, Record) else None
            values = field.type.values if field and isinstance(field.type, Text) else None
            if values is None or (values & words if equal else values - words):
                kept.append(option)
        return known.with_type(base.path, union(kept)) if kept and len(options(base.type)) > 1 else known


_RESULTS: Mapping[str, Type] = {"string": TEXT, "int": INTEGER, "bytes": BYTES}
_LITERALS: Mapping[type, Type] = {int: INTEGER, bool: BOOLEAN, type(None): NULL}

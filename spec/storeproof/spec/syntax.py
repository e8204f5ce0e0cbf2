"""The tree of an expression of the model, and its text.

Which texts are expressions is the business of `expressions`; what they mean is that of `compiler` and `inference`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal as OneOf
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | int | str | None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """`of.name`."""

    of: Expression
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`of[index]`."""

    of: Expression
    index: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Has:
    """`has(of.name)`: the field is present."""

    of: Expression
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Quantifier:
    """`of.exists(variable, condition)` or `of.all(variable, condition)`."""

    kind: OneOf["exists", "all"]
    of: Expression
    variable: str
    condition: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    operator: OneOf["!", "-"]
    operand: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`at` is the column of the operator."""

    operator: str
    left: Expression
    right: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? then : otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Expression, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MapOf:
    entries: tuple[tuple[str, Expression], ...]
    at: int = field(default=0, compare=False)


Expression: TypeAlias = (
    Literal | Name | Field | Index | Has | Call | Quantifier | Unary | Binary | Choice | ListOf | MapOf
)

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
BUILT_IN = {"size": 1, "string": 1, "int": 1, "bytes": 1}
"""The functions every model has, with the number of their arguments; `has` is a form of its own."""


def children(tree: Expression) -> tuple[Expression, ...]:
    """The parts of an expression, from left to right."""
    match tree:
        case Field(of) | Has(of):
            return (of,)
        case Index(of, index):
            return (of, index)
        case Call(_, arguments):
            return arguments
        case Quantifier(_, of, _, condition):
            return (of, condition)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Choice(condition, then, otherwise):
            return (condition, then, otherwise)
        case ListOf(items):
            return items
        case MapOf(entries):
            return tuple(value for _, value in entries)
        case _:
            return ()


def rebuilt(tree: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The same expression with every direct part replaced by what `change` makes of it."""
    match tree:
        case Field(of) | Has(of):
            return replace(tree, of=change(of))
        case Index(of, index):
            return replace(tree, of=change(of), index=change(index))
        case Call(_, arguments):
            return replace(tree, arguments=tuple(change(argument) for argument in arguments))
        case Quantifier(_, of, _, condition):
            return replace(tree, of=change(of), condition=change(condition))
        case Unary(_, operand):
            return replace(tree, operand=change(operand))
        case Binary(_, left, right):
            return replace(tree, left=change(left), right=change(right))
        case Choice(condition, then, otherwise):
            return replace(tree, condition=change(condition), then=change(then), otherwise=change(otherwise))
        case ListOf(items):
            return replace(tree, items=tuple(change(item) for item in items))
        case MapOf(entries):
            return replace(tree, entries=tuple((key, change(value)) for key, value in entries))
        case _:
            return tree


_LEVELS = {"||": 1, "&&": 2, "+": 4, "-": 4} | dict.fromkeys(COMPARISONS, 3)


def text_of(tree: Expression, level: int = 0) -> str:
    """The expression as text that reads back to an equal tree, in parentheses where it binds looser than `level`."""
    match tree:
        case Literal(value):
            return f"'{value}'" if isinstance(value, str) else json.dumps(value)
        case Name(name):
            return name
        case Field(of, name):
            return f"{text_of(of, 6)}.{name}"
        case Has(of, name):
            return f"has({text_of(of, 6)}.{name})"
        case Index(of, index):
            return f"{text_of(of, 6)}[{text_of(index)}]"
        case Call(function, arguments):
            return f"{function}({', '.join(text_of(argument) for argument in arguments)})"
        case Quantifier(kind, of, variable, condition):
            return f"{text_of(of, 6)}.{kind}({variable}, {text_of(condition)})"
        case ListOf(items):
            return f"[{', '.join(text_of(item) for item in items)}]"
        case MapOf(entries):
            return "{" + ", ".join(f"'{key}': {text_of(value)}" for key, value in entries) + "}"
        case Unary(operator, operand):
            text, own = operator + text_of(operand, 6), 5
        case Binary(operator, left, right):
            own = _LEVELS[operator]
            text = f"{text_of(left, own + (own == 3))} {operator} {text_of(right, own + 1)}"
        case Choice(condition, then, otherwise):
            text, own = f"{text_of(condition, 1)} ? {text_of(then)} : {text_of(otherwise)}", 0
    return f"({text})" if own < level else text

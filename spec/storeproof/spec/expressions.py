"""The expressions of the model: a closed subset of CEL, read into the tree of `syntax`.

The grammar is the one in `model/NOTATION.md`. This module knows neither types nor how an expression is executed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from storeproof.spec.errors import SpecificationError
from storeproof.spec.syntax import (
    COMPARISONS,
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
)


class ExpressionError(SpecificationError):
    """An expression of the model cannot be meant so."""

    def __init__(self, problem: str, text: str, column: int, place: str = "") -> None:
        head = f"{place}: {problem}" if place else problem
        super().__init__(f"{head}\n  {text}\n  {' ' * column}^")
        self.problem = problem
        self.text = text
        self.column = column
        self.place = place

    def at_place(self, place: str) -> ExpressionError:
        """The same error with the rule and the member it stands in, such as `claimRun.claimed, when`."""
        return ExpressionError(self.problem, self.text, self.column, place)


_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z][A-Za-z0-9_]*)|'([^'\\\n]*)'|(==|!=|<=|>=|&&|\|\||[-+!<>?:.,()\[\]{}]))")
_RESERVED = frozenset(
    ("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package")
) | {"namespace", "return", "var", "void", "while"}
"""CEL keeps these for itself; an expression that used one would not be CEL."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The tree of an expression. Raises ExpressionError with the column of the first thing that does not fit."""
    reader = _Reader(text)
    tree = reader.expression()
    if reader.kind != "end":
        raise reader.error(f"expected the end, found {reader.value!r}")
    return tree


class _Reader:
    """Recursive descent, one method per line of the grammar; always looks at one token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.advance()

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.position)
        if found is None:
            rest = self.text[self.position :]
            self.at = self.position + len(rest) - len(rest.lstrip())
            if rest.strip():
                raise self.error(f"{self.text[self.at]!r} is not in the language")
            self.kind, self.value = "end", "the end"
            return
        group = found.lastindex or 0
        self.kind = ("", "integer", "name", "string", "symbol")[group]
        self.value = found.group(group)
        self.at = found.start(group) - (group == 3)
        self.position = found.end()
        if self.kind == "name" and self.value == "in":
            self.kind = "symbol"

    def error(self, problem: str) -> ExpressionError:
        return ExpressionError(problem, self.text, self.at)

    def take(self, *symbols: str) -> str | None:
        if self.kind == "symbol" and self.value in symbols:
            symbol = self.value
            self.advance()
            return symbol
        return None

    def need(self, symbol: str) -> None:
        if self.take(symbol) is None:
            raise self.error(f"expected {symbol}, found {self.value}")

    def name(self) -> str:
        if self.kind != "name" or self.value in _RESERVED:
            raise self.error(f"expected a name, found {self.value}")
        name = self.value
        self.advance()
        return name

    def expression(self) -> Expression:
        condition, at = self.disjunction(), self.at
        if self.take("?") is None:
            return condition
        then = self.expression()
        self.need(":")
        return Choice(condition, then, self.expression(), at)

    def disjunction(self) -> Expression:
        left, at = self.conjunction(), self.at
        while self.take("||"):
            left, at = Binary("||", left, self.conjunction(), at), self.at
        return left

    def conjunction(self) -> Expression:
        left, at = self.relation(), self.at
        while self.take("&&"):
            left, at = Binary("&&", left, self.relation(), at), self.at
        return left

    def relation(self) -> Expression:
        left, at = self.sum(), self.at
        operator = self.take(*COMPARISONS)
        return left if operator is None else Binary(operator, left, self.sum(), at)

    def sum(self) -> Expression:
        left, at = self.unary(), self.at
        while operator := self.take("+", "-"):
            left, at = Binary(operator, left, self.unary(), at), self.at
        return left

    def unary(self) -> Expression:
        at = self.at
        if self.take("!"):
            return Unary("!", self.postfix(), at)
        if self.take("-"):
            return Unary("-", self.postfix(), at)
        return self.postfix()

    def postfix(self) -> Expression:
        value = self.primary()
        while True:
            if self.take("."):
                at, name = self.at, self.name()
                value = self.quantifier(value, name, at) if self.take("(") else Field(value, name, at)
            elif self.take("["):
                at, index = self.at, self.expression()
                self.need("]")
                value = Index(value, index, at)
            else:
                return value

    def quantifier(self, of: Expression, kind: str, at: int) -> Expression:
        if kind not in ("exists", "all"):
            raise ExpressionError(f"no method {kind}; there are exists and all", self.text, at)
        variable = self.name()
        self.need(",")
        condition = self.expression()
        self.need(")")
        return Quantifier("exists" if kind == "exists" else "all", of, variable, condition, at)

    def primary(self) -> Expression:
        at, kind, value = self.at, self.kind, self.value
        if kind == "integer":
            if int(value) >= 2**63:
                raise self.error("an integer has 64 bits")
            self.advance()
            return Literal(int(value), at)
        if kind == "string":
            self.advance()
            return Literal(value, at)
        if kind == "name":
            name = self.name()
            if name in ("true", "false", "null"):
                return Literal({"true": True, "false": False, "null": None}[name], at)
            return self.call(name, at) if self.take("(") else Name(name, at)
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        if self.take("["):
            return ListOf(self.items("]"), at)
        if self.take("{"):
            return MapOf(self.entries(), at)
        raise self.error(f"expected a value, found {value}")

    def call(self, function: str, at: int) -> Expression:
        arguments = self.items(")")
        if function != "has":
            return Call(function, arguments, at)
        if len(arguments) != 1 or not isinstance(arguments[0], Field):
            raise ExpressionError("has() takes one field, as in has(run.lease)", self.text, at)
        return Has(arguments[0].of, arguments[0].name, at)

    def items(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while not self.take(end):
            if items:
                self.need(",")
            items.append(self.expression())
        return tuple(items)

    def entries(self) -> tuple[tuple[str, Expression], ...]:
        entries: list[tuple[str, Expression]] = []
        while not self.take("}"):
            if entries:
                self.need(",")
            if self.kind != "string":
                raise self.error(f"expected a key in quotes, found {self.value}")
            key = self.value
            self.advance()
            self.need(":")
            entries.append((key, self.expression()))
        return tuple(entries)

"""Expressions of the model as Python source.

`source(tree)` is a Python expression over variables of the same names; it runs in a namespace that holds `HELPERS` and
the compiled functions of the model. Rows, arguments and results are plain dicts. Types are not looked at: the static
checker has refused what could go wrong. This module knows nothing of rules and effects.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from storeproof.spec.errors import SpecificationError
from storeproof.spec.expressions import parse
from storeproof.spec.jsonvalues import equal
from storeproof.spec.syntax import (
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

Value = Any
"""Any JSON value; the compiled code is untyped, as JSON is."""


class EvaluationError(SpecificationError):
    """The model failed where the static checker cannot look: at an index or at int()."""


def source(tree: Expression) -> str:
    """A Python expression with the meaning of `tree`."""
    match tree:
        case Literal(value):
            return repr(value)
        case Name(name):
            return variable(name)
        case Field(of, name):
            return f"{source(of)}[{name!r}]"
        case Has(of, name):
            return f"({name!r} in {source(of)})"
        case Index(of, index):
            return f"_at({source(of)}, {source(index)})"
        case Call(function, arguments):
            called = _BUILT_IN.get(function, variable(function))
            return f"{called}({', '.join(source(argument) for argument in arguments)})"
        case Quantifier(kind, of, name, condition):
            called = "any" if kind == "exists" else "all"
            return f"{called}({source(condition)} for {variable(name)} in {source(of)})"
        case Unary(operator, operand):
            return f"(not {source(operand)})" if operator == "!" else f"(-{source(operand)})"
        case Binary():
            return _binary(tree)
        case Choice(condition, then, otherwise):
            return f"({source(then)} if {source(condition)} else {source(otherwise)})"
        case ListOf(items):
            return f"[{', '.join(source(item) for item in items)}]"
        case MapOf(entries):
            return "{" + ", ".join(f"{key!r}: {source(value)}" for key, value in entries) + "}"


def variable(name: str) -> str:
    """The Python name of a name of the model: itself, unless Python or generated code uses it."""
    return f"{name}_" if keyword.iskeyword(name) or name in _TAKEN else name


def compiled_functions(functions: Mapping[str, tuple[tuple[str, ...], str]]) -> dict[str, Value]:
    """A namespace of HELPERS and the model's functions, given as name -> (parameters, expression)."""
    namespace: dict[str, Value] = dict(HELPERS)
    for name, (parameters, value) in functions.items():
        namespace[variable(name)] = compiled(value, parameters, namespace)
    return namespace


def compiled(value: str, parameters: Iterable[str], namespace: dict[str, Value]) -> Callable[..., Value]:
    """The expression `value` as a Python function of `parameters`; `namespace` may be filled later."""
    text = f"lambda {', '.join(variable(parameter) for parameter in parameters)}: {source(parse(value))}"
    function: Callable[..., Value] = eval(compile(text, f"<{value}>", "eval"), namespace)
    return function


def _binary(tree: Binary) -> str:
    left, right = source(tree.left), source(tree.right)
    match tree.operator:
        case "&&":
            return f"({left} and {right})"
        case "||":
            return f"({left} or {right})"
        case "==" | "!=" as operator:
            if _is_null(tree.left) or _is_null(tree.right):
                return f"({left} is{'' if operator == '==' else ' not'} {right})"
            if _is_text(tree.left) or _is_text(tree.right):
                return f"({left} {operator} {right})"  # a string equals strings only, so Python's own == will do
            return f"_equal({left}, {right})" if operator == "==" else f"(not _equal({left}, {right}))"
        case "in":
            if isinstance(tree.right, ListOf) and all(_is_text(item) for item in tree.right.items):
                return f"({left} in {right})"
            return f"_among({left}, {right})"
        case operator:
            return f"({left} {operator} {right})"


def _is_null(tree: Expression) -> bool:
    return isinstance(tree, Literal) and tree.value is None


def _is_text(tree: Expression) -> bool:
    return isinstance(tree, Literal) and isinstance(tree.value, str)


def _at(items: list[Value], index: int) -> Value:
    if not 0 <= index < len(items):  # a negative index is an error in CEL; Python's would answer from the end
        raise EvaluationError(f"index {index} of a list of {len(items)}")
    return items[int(index)]


def _int(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise EvaluationError(f"int({text!r}): not a number in decimal")
    return int(text)


def _among(value: Value, items: Iterable[Value]) -> bool:
    return any(equal(value, item) for item in items)


def _string(value: int) -> str:
    return str(int(value))  # 5.0 is the integer 5


_BUILT_IN = {"size": "len", "string": "_string", "int": "_int", "bytes": "str.encode"}

HELPERS: Mapping[str, Value] = {"_equal": equal, "_at": _at, "_among": _among, "_int": _int, "_string": _string}
"""What compiled expressions call beside Python's own functions."""

_TAKEN = frozenset(
    ["after", "all", "answer", "any", "draft", "int", "len", "passed", "picked", "skip", "state", "str", "taken"]
)
"""Names the generated code uses itself."""

"""A program: the plain JSON value that every check runs, saves, shrinks and replays.

A program is a sequence of steps; a step calls an operation with arguments in wire form, or closes and reopens the
store. Knows nothing of how a program is made or run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

from pydantic import JsonValue
from pydantic.alias_generators import to_snake
from storeproof.conformance.portable import portable, restored

Arguments: TypeAlias = dict[str, Any]
"""An operation's arguments in wire form. Any, because JSON is walked by field all over the kit."""

REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class Call:
    """One step: `operation` is a wire name, or REOPEN with no arguments."""

    operation: str
    args: Arguments
    refused: str | None = None
    """The argument that breaks the operation's schema, where one does; the model judges valid arguments only."""

    def to_json(self) -> dict[str, Any]:
        """`{"op": …, "args": …, "refused"?: …}`, the form of repro files; the arguments as `portable` writes them."""
        return {"op": self.operation, "args": portable(self.args)} | ({"refused": self.refused} if self.refused else {})

    def as_python(self) -> str:
        """The step as one runnable line of Python against a store called `store`."""
        if self.operation == REOPEN:
            return "# the store is closed and opened again here"
        arguments = ", ".join(f"{method_name(name)}={_python(value)}" for name, value in self.args.items())
        return f"await store.{method_name(self.operation)}({arguments})"


Program: TypeAlias = tuple[Call, ...]


@cache
def method_name(wire_name: str) -> str:
    """The Python name of an operation or an argument: `claimRun` is `claim_run`."""
    return to_snake(wire_name)


def to_json(program: Program) -> list[JsonValue]:
    """The program as plain JSON."""
    return [step.to_json() for step in program]


def from_json(steps: list[dict[str, Any]]) -> Program:
    """The program of its JSON form; raises KeyError where a step lacks `op` or `args`, ValueError for a bad value."""
    return tuple(Call(step["op"], restored(step["args"]), step.get("refused")) for step in steps)


def as_python(program: Program) -> str:
    """The program as runnable Python, one call a line."""
    return "\n".join(step.as_python() for step in program)


def _python(value: Any) -> str:
    """As repr, but runnable for NaN and infinities too."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        return "{" + ", ".join(f"{key!r}: {_python(item)}" for key, item in items.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_python(item) for item in value) + "]"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)

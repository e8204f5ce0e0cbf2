"""Makes a failing program small: fewer steps (ddmin, Zeller and Hildebrandt 2002), then simpler arguments.

Our own, after Hypothesis has found the program: a step is some ten choices to Hypothesis, and its shrinker deletes few
choices at a time, so that it gets stuck on whole steps. Here a step is one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

from storeproof.conformance.programs import REOPEN, Arguments, Call, Program
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.schemas import problems
from storeproof.spec.specification import Specification

_PLAIN = ("a", "go", "x")

T = TypeVar("T")
StillFails: TypeAlias = Callable[[Program], bool]


def minimised(program: Program, specification: Specification, still_fails: StillFails, tries: int = 400) -> Program:
    """The smallest program found that still fails, after at most `tries` runs. `program` itself fails."""
    budget = _Budget(still_fails, tries)
    program = fewest(program, budget.fails)
    before = None
    while before != program and budget.left:
        before = program
        program = _simpler_arguments(program, specification, budget)
        program = fewest(program, budget.fails)
    return program


class _Budget:
    def __init__(self, still_fails: StillFails, tries: int) -> None:
        self._still_fails = still_fails
        self.left = tries

    def fails(self, program: Program) -> bool:
        if not self.left:
            return False
        self.left -= 1
        return self._still_fails(program)


def fewest(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """ddmin: the items without every run of them that is not needed for `fails`, which holds for `items`."""
    size = max(1, len(items) // 2)
    while True:
        start = 0
        while start < len(items):
            fewer = items[:start] + items[start + size :]
            if len(fewer) < len(items) and fails(fewer):
                items = fewer
            else:
                start += size
        if size == 1:
            return items
        size = max(1, size // 2)


def _simpler_arguments(program: Program, specification: Specification, budget: _Budget) -> Program:
    for index, call in enumerate(program):
        if call.operation == REOPEN:
            continue
        arguments = specification.operations[call.operation].arguments
        for args in _simpler(call.args):
            if problems(arguments, args):
                continue  # a program stays within the contract
            simpler = (*program[:index], Call(call.operation, args), *program[index + 1 :])
            if budget.fails(simpler):
                return simpler
    return program


def _simpler(args: Arguments) -> Iterator[Arguments]:
    """Every value that is one simplification away, the largest simplification first."""
    for name in args:
        yield {key: value for key, value in args.items() if key != name}
    for name, value in args.items():
        for simpler in _simpler_value(value):
            yield {**args, name: simpler}


def _simpler_value(value: Any) -> Iterator[Any]:
    if is_object(value):
        yield from _simpler(value)
    elif is_array(value):
        items = value
        for index in range(len(items)):
            yield items[:index] + items[index + 1 :]
        for index, item in enumerate(items):
            for simpler in _simpler_value(item):
                yield [*items[:index], simpler, *items[index + 1 :]]
    elif isinstance(value, str):
        # Only what comes before the value, or two plain ones would be exchanged until the budget is gone.
        before = _PLAIN[: _PLAIN.index(value)] if value in _PLAIN else _PLAIN
        yield from (plain for plain in before if len(plain) <= len(value))
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        yield from (plain for plain in (0, 1, 10) if plain < value)

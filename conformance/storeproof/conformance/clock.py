"""Moves a program in time: nothing a store answers may depend on its own clock (ruling 3).

Which arguments are times is read off the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.conformance.rewriting import rewritten
from storeproof.spec.specification import Specification

CLOCK_OFFSETS = (1_000_000_000_000, 1_900_000_000_000, 4_000_000_000_000, 2**52)
"""A time long past, one near any wall clock this code will see, one far ahead, and one no clock shows."""


def moved(specification: Specification, program: Program, by: int) -> Program:
    """The program with every time `by` milliseconds later; the schema says which fields are times."""
    later = rewritten(specification, program, {"Time": lambda time: time + by})
    return tuple(Call(call.operation, _with_bucket(call.args, by)) for call in later)


def _with_bucket(args: Arguments, by: int) -> Arguments:
    bucket = args.get("bucketId", "")
    return {**args, "bucketId": str(int(bucket) + by)} if bucket.isdecimal() else args  # it is named by its time


def movable(program: Program) -> bool:
    """Whether every time of the program stays an integer of the contract when it is moved."""
    return all(number < 2**40 for number in _numbers([call.args for call in program]))


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _numbers(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value

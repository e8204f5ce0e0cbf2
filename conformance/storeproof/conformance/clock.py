"""Moves a program in time: nothing a store answers may depend on its own clock (ruling 3).

Which arguments are times is read off the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storeproof.conformance.programs import Call, Program
from storeproof.spec.jsonvalues import is_object
from storeproof.spec.specification import Data, Specification

CLOCK_OFFSETS = (1_000_000_000_000, 1_900_000_000_000, 4_000_000_000_000, 2**52)
"""A time long past, one near any wall clock this code will see, one far ahead, and one no clock shows."""


def moved(specification: Specification, program: Program, by: int) -> Program:
    """The program with every time `by` milliseconds later; the schema says which fields are times."""
    definitions: Data = specification.contract["$defs"]

    def move(schema: Data, value: Any) -> Any:
        if schema.get("$ref", "").endswith("/Time"):
            return value + by
        if schema.get("$ref", "").endswith("/Event"):
            return {**value, "ts": value["ts"] + by}
        while "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        if alternatives := schema.get("oneOf") or schema.get("anyOf"):
            for alternative in alternatives:
                value = move(alternative, value) if _fits(definitions, alternative, value) else value
            return value
        if schema.get("type") == "array" and "items" in schema and isinstance(value, list):
            return [move(schema["items"], item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if schema.get("type") == "object" and isinstance(value, dict):
            fields = schema.get("properties", {})
            return {name: move(fields.get(name, {}), item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        return value

    calls: list[Call] = []
    for call in program:
        args = move({"$ref": "#/$defs/" + specification.operations[call.operation].arguments}, call.args)
        if "bucketId" in args and args["bucketId"].isdecimal():
            args["bucketId"] = str(int(args["bucketId"]) + by)  # a bucket is named by its time
        calls.append(Call(call.operation, args))
    return tuple(calls)


def _fits(definitions: Data, schema: Data, value: Any) -> bool:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    tags = {name: item["const"] for name, item in schema.get("properties", {}).items() if "const" in item}
    return is_object(value) and all(value.get(name) == tag for name, tag in tags.items())


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

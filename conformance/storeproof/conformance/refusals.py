"""Arguments that break an operation's schema: one wrong thing at a time, for every field, derived from the schema.

Rulings 5, 6, 17 to 20 and 22. Knows nothing of stores; each call names the argument that has to be blamed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.spec.schemas import problems
from storeproof.spec.specification import Data, Specification
from storeproof.spec.values import MAX_INTEGER

NUL = "a\x00b"
SURROGATE = "\ud800"
NO_DOUBLE = 2**53 + 1

SETUP: Program = (
    Call("createRun", {"runId": "a", "workflowId": "w", "input": {"k": 1}, "now": 10}),
    Call("appendEvents", {"runId": "a", "expectedNextIndex": 0, "events": [{"type": "RUN_STARTED", "ts": 10}]}),
    Call("markRunPaused", {"runId": "a", "waitingFor": {"signalName": "go"}, "now": 11}),
    Call("scheduleTimer", {"runId": "a", "workflowId": "w", "wakeAt": 20, "signalId": "a", "now": 12}),
    Call(
        "upsertSchedule",
        {
            "scheduleId": "a",
            "workflowId": "w",
            "schedule": {"kind": "interval", "everyMs": 10},
            "overlapPolicy": "skip",
            "nextFireAt": 20,
            "enabled": True,
            "now": 12,
        },
    ),
)
"""A state in which a bad call that was half taken would show; its ids are those that the bad calls name."""

_PLAIN: dict[str, Any] = {
    "Id": "a", "Text": "x", "Integer": 0, "Positive": 1, "Time": 20, "Json": {"k": 1}, "JsonObject": {"k": 1},
    "Cursor": "0", "Event": {"type": "STEP_STARTED", "ts": 20, "stepId": "s"},
}  # fmt: skip

_WRONG: dict[str, tuple[Any, ...]] = {
    "Id": (None, 5, True, [], {}, "", "x" * 1025, "é" * 513, NUL, SURROGATE),
    "Text": (None, 5, True, [], {}, NUL, SURROGATE),
    "Integer": (None, "0", 0.5, -1, True, [], MAX_INTEGER + 1),
    "Positive": (None, "1", 0.5, -1, 0, False, [], MAX_INTEGER + 1),
    "Time": (None, "0", 0.5, -1, True, [], MAX_INTEGER + 1),
    "Cursor": (None, 0, "", "-1", "+1", "1.5", " 1", "x", "\u0661", "1" * 17, NUL),
    "Json": (NUL, {NUL: 1}, [SURROGATE], {"k": {SURROGATE: 1}}, NO_DOUBLE, [-NO_DOUBLE], math.nan, [math.inf], 10**400),
    "JsonObject": (None, 5, "x", [], {NUL: 1}, {"k": NUL}, {"k": [SURROGATE]}, {"k": NO_DOUBLE}),
    "boolean": (None, 0, 1, "true", []),
    "enum": (None, 5, "", "nonsense", []),
    "array": (None, 5, "x", {}),
    "object": (None, 5, "x", []),
}


def refused_program(specification: Specification, operation: str) -> Program:
    """SETUP, then every bad call of one operation."""
    return (*SETUP, *refused_calls(specification, operation))


def refused_calls(specification: Specification, operation: str) -> Iterator[Call]:
    """Every call of one operation whose arguments have exactly one thing wrong."""
    schema = specification.operations[operation].arguments
    definitions: Data = specification.contract["$defs"]
    good = plain_arguments(specification, operation)
    for args, field in _wrong_objects(definitions, definitions[schema], good):
        assert problems(schema, args) or not _is_json(args), f"the kit made valid arguments: {operation} {args!r}"
        yield Call(operation, args, refused=field)


def plain_arguments(specification: Specification, operation: str) -> Arguments:
    """Valid arguments with every field present."""
    definitions: Data = specification.contract["$defs"]
    plain: Arguments = _plain(definitions, definitions[specification.operations[operation].arguments])
    return plain


def unkeepable(value: Any) -> bool:
    """Whether a value holds what no store can keep: U+0000, a lone surrogate, a number no double holds."""
    if isinstance(value, dict):
        return any(unkeepable(key) or unkeepable(item) for key, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return any(unkeepable(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str):
        return "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) > MAX_INTEGER + 1


def _is_json(value: Any) -> bool:
    """Without NaN and infinities, of which the schema cannot speak."""
    if isinstance(value, dict):
        return all(_is_json(item) for item in value.values())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return all(_is_json(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    return not isinstance(value, float) or math.isfinite(value)


def _resolved(definitions: Data, schema: Data) -> tuple[str | None, Data]:
    """The name under which wrong values are listed, and the schema without references."""
    name = None
    while "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name in _PLAIN:
            return name, definitions[name]
        schema = definitions[name]
    if "enum" in schema or "const" in schema:
        return "enum", schema
    return None, schema


def _plain(definitions: Data, schema: Data) -> Any:
    name, schema = _resolved(definitions, schema)
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "enum":
        return schema["const"] if "const" in schema else schema["enum"][0]
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return _plain(definitions, alternatives[0])
    if schema["type"] == "array":
        return [_plain(definitions, schema["items"])]
    if schema["type"] == "boolean":
        return True
    return {field: _plain(definitions, item) for field, item in schema["properties"].items()}


def _wrong_objects(definitions: Data, schema: Data, good: Arguments) -> Iterator[tuple[Arguments, str]]:
    """(object with one thing wrong, the field at fault)."""
    for name in schema.get("required", ()):
        yield {key: value for key, value in good.items() if key != name}, name
    if schema.get("additionalProperties") is False:
        yield {**good, "unknown": 1}, "unknown"
    for name, field in schema["properties"].items():
        for wrong in _wrong_values(definitions, field, good[name]):
            yield {**good, name: wrong}, name


def _wrong_values(definitions: Data, schema: Data, good: Any) -> Iterator[Any]:
    name, schema = _resolved(definitions, schema)
    if name == "Event":
        yield from _WRONG["object"]
        for field, kind in (("type", "Text"), ("ts", "Time"), ("stepId", "Id")):
            yield from ({**good, field: wrong} for wrong in _WRONG[kind])
        yield {"type": "x"}
        yield {"ts": 0}
        yield from ({**good, "value": wrong} for wrong in _WRONG["Json"])
    elif name is not None:
        yield from _WRONG[name]
    elif alternatives := schema.get("oneOf") or schema.get("anyOf"):
        yield from _WRONG["object"]
        for alternative in alternatives:
            _, resolved = _resolved(definitions, alternative)
            for wrong, _field in _wrong_objects(definitions, resolved, _plain(definitions, alternative)):
                yield wrong
    elif schema["type"] == "array":
        yield from _WRONG["array"]
        for wrong in _wrong_values(definitions, schema["items"], good[0]):
            yield [good[0], wrong]
    elif schema["type"] == "boolean":
        yield from _WRONG["boolean"]
    else:
        yield from _WRONG["object"]
        for wrong, _field in _wrong_objects(definitions, schema, good):
            yield wrong


def crossing_programs(specification: Specification, operation: str) -> Iterator[Program]:
    """Arguments that fit the schema field by field and break a rule together (rulings 17 and 19); the model judges."""
    names = specification.contract["$defs"][specification.operations[operation].arguments]["properties"]
    plain = plain_arguments(specification, operation)
    if "leaseMs" in names:
        for now, lease_ms in ((1, MAX_INTEGER), (MAX_INTEGER, 1), (0, MAX_INTEGER), (MAX_INTEGER - 1, 1)):
            yield (*SETUP, Call(operation, {**plain, "now": now, "leaseMs": lease_ms}))
    if "scheduleId" in names and "workflowId" in names:
        for workflow, schedule in (
            ("w" * 503, "é" * 252),
            ("w" * 1006, "s"),
            ("w" * 503, "s" * 503),
            ("w", "s" * 1005),
        ):
            yield (*SETUP, Call(operation, {**plain, "workflowId": workflow, "scheduleId": schedule}))

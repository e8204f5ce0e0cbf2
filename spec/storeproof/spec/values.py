"""The scalar types of the contract: what an id, a text, an integer, a time and a JSON value are.

Rulings 5, 17, 18, 19 and 23 of the contract. Each is a pydantic annotation whose JSON Schema is the one of
`schema/contract.schema.json`. Knows nothing of operations.
"""

from __future__ import annotations

import math
from typing import Annotated, NotRequired, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    JsonValue,
    PlainValidator,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, core_schema
from typing_extensions import TypedDict

SCHEMA_ID = "https://storeproof.dev/schema/contract.schema.json"
MAX_INTEGER = 2**53 - 1
MAX_ID_BYTES = 1024
MAX_DEPTH = 128
"""Levels of nesting the reference adapters take; the contract asks for 64."""
MAX_BYTES = 1_900_000
"""Bytes of JSON the reference adapters take in one call; the contract asks for 1 MiB. D1 ends a value at 2,000,000."""

_TEXT_PATTERN = "^[^\\u0000\\ud800-\\udfff]*$"


def refused(message: str) -> PydanticCustomError:
    return PydanticCustomError("storeproof", "{message}", {"message": message})


def _check_text(value: object) -> object:
    if isinstance(value, str):
        if "\x00" in value:
            raise refused("holds U+0000, which no store can keep")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise refused("holds a lone surrogate, which no store can keep") from None
    return value


def _check_id(value: object) -> object:
    value = _check_text(value)
    if isinstance(value, str) and not 1 <= len(value.encode()) <= MAX_ID_BYTES:
        raise refused(f"an id has 1 to {MAX_ID_BYTES:,} UTF-8 bytes")
    return value


def _whole(value: object) -> object:
    """5.0 is the integer 5 (ruling 19); true is not 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _json(value: object) -> JsonValue:
    return copy_json(value, 0)


def copy_json(value: object, depth: int = 0) -> JsonValue:
    """A deep copy of a JSON value, after checking that a store can keep it unaltered.

    Raises pydantic's ValueError kind (`PydanticCustomError`) for U+0000 and lone surrogates, for numbers no double
    holds, for anything that is not JSON, and beyond MAX_DEPTH levels.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        _check_text(value)
        return value
    if isinstance(value, int):
        try:
            exact = float(value) == value
        except OverflowError:
            exact = False
        if not exact:
            raise refused(f"no double holds a number of {value.bit_length()} bits like this one")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise refused("a number of JSON is finite")
        return value
    if depth >= MAX_DEPTH:
        raise refused(f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        copy: dict[str, JsonValue] = {}
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(key, str):
                raise refused("the keys of an object are strings")
            _check_text(key)
            copy[key] = copy_json(item, depth + 1)  # pyright: ignore[reportUnknownArgumentType]
        return copy
    if isinstance(value, list | tuple):
        return [copy_json(item, depth + 1) for item in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise refused(f"{type(value).__name__} is not JSON")


def _json_object(value: object) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise refused("should be an object")
    copied = copy_json(value)  # pyright: ignore[reportUnknownArgumentType]
    assert isinstance(copied, dict)
    return copied


Text: TypeAlias = Annotated[
    str,
    BeforeValidator(_check_text),
    Field(strict=True),
    WithJsonSchema({"type": "string", "pattern": _TEXT_PATTERN}),
]
"""A string without U+0000 and lone surrogates; it may be empty."""

Id: TypeAlias = Annotated[
    str,
    BeforeValidator(_check_id),
    Field(strict=True),
    WithJsonSchema({"type": "string", "pattern": _TEXT_PATTERN, "format": "id", "minLength": 1, "maxLength": 1024}),
]
"""1 to 1,024 UTF-8 bytes, opaque."""

Integer: TypeAlias = Annotated[
    int,
    BeforeValidator(_whole),
    Field(strict=True, ge=0, le=MAX_INTEGER),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}),
]
"""0 to 2^53-1."""

Positive: TypeAlias = Annotated[
    int,
    BeforeValidator(_whole),
    Field(strict=True, ge=1, le=MAX_INTEGER),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_INTEGER}),
]

Time: TypeAlias = Integer
"""Milliseconds since the epoch."""

Json: TypeAlias = Annotated[JsonValue, PlainValidator(_json), WithJsonSchema({"$ref": f"{SCHEMA_ID}#/$defs/Json"})]
"""Any I-JSON value, null included."""

JsonObject: TypeAlias = Annotated[
    dict[str, JsonValue], PlainValidator(_json_object), WithJsonSchema({"$ref": f"{SCHEMA_ID}#/$defs/JsonObject"})
]


class _EventFields(TypedDict):
    """The store is not the judge of the engine's vocabulary: only these are checked, all else is kept (ruling 20)."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's documented form
    type: Text
    ts: Time
    stepId: NotRequired[Id]


def _event(value: object, check_fields: ValidatorFunctionWrapHandler) -> dict[str, JsonValue]:
    event = _json_object(value)
    check_fields(event)  # for its errors: what is kept is the event as it was written
    return event


def _as_written(event: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return event


Event: TypeAlias = Annotated[
    dict[str, JsonValue],
    GetPydanticSchema(
        lambda _source, handler: core_schema.no_info_wrap_validator_function(
            _event,
            handler(_EventFields),
            serialization=core_schema.plain_serializer_function_ser_schema(_as_written),
        )
    ),
    WithJsonSchema({"$ref": f"{SCHEMA_ID}#/$defs/Event"}),
]
"""An event of a run's log as the engine wrote it, in wire form: `{"type": "STEP_STARTED", "ts": 5, "stepId": "s"}`."""

Cursor: TypeAlias = Annotated[str, StringConstraints(strict=True, pattern="^[0-9]{1,16}$")]

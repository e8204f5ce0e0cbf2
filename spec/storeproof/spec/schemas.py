"""The contract's JSON Schema, compiled: does a value in wire form have the shape it should?

`schema/contract.schema.json` says everything; this module adds only what JSON Schema leaves to the reader, the formats
`id` and `double`. Knows no operation and no pydantic model. It needs jsonschema, which comes with the conformance
extra; an adapter never imports it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, relevance
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from storeproof.spec.values import MAX_ID_BYTES

_SHOWN = 160
"""Characters of a message; jsonschema puts the whole value into it."""


@cache
def contract_schema() -> dict[str, Any]:
    """The schema as it is in the file; to be read only."""
    text = files("storeproof.spec").joinpath("schema/contract.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def validator(name: str) -> Validator:
    """The validator of `$defs/<name>`, the same one each time. Raises KeyError, which names what there is."""
    schema = contract_schema()
    if name not in schema["$defs"]:
        raise KeyError(f"no shape {name} in contract.schema.json; there are {', '.join(sorted(schema['$defs']))}")
    registry: Registry[Any] = Registry[Any]().with_resource(schema["$id"], DRAFT202012.create_resource(schema))
    reference = {"$ref": f"{schema['$id']}#/$defs/{name}"}
    return Draft202012Validator(reference, registry=registry, format_checker=_formats())


def problems(name: str, value: object) -> list[str]:
    """What keeps `value` from being a `name`, as `path: message`, the most telling first; empty if it is one."""
    found = sorted(validator(name).iter_errors(cast(Any, value)), key=relevance, reverse=True)
    return list(dict.fromkeys(_said(_innermost(error)) for error in found))


@cache
def _formats() -> FormatChecker:
    formats = FormatChecker(formats=())
    formats.checks("id")(_is_id)
    formats.checks("double")(_is_double)
    return formats


def _is_id(value: object) -> bool:
    # A lone surrogate has no UTF-8 form; refusing it is the pattern's business, so it is counted here and not raised.
    return not isinstance(value, str) or 1 <= len(value.encode("utf-8", "surrogatepass")) <= MAX_ID_BYTES


def _is_double(value: object) -> bool:
    """Anything but a number passes, as with every format."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    try:
        return float(value) == value
    except OverflowError:
        return False


def _innermost(error: ValidationError) -> ValidationError:
    """Of a oneOf that failed, the error in the branch that was meant: the one whose constants and types fit."""
    while error.context:
        branches: dict[object, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        meant = [errors for errors in branches.values() if not any(map(_is_of_another_branch, errors))]
        if len(meant) != 1:
            return error
        error = max(meant[0], key=relevance)
    return error


def _is_of_another_branch(error: ValidationError) -> bool:
    depth = len(error.relative_path)
    if error.validator == "type":
        return depth == 0
    return error.validator in ("const", "enum") and depth == 1 and error.relative_path[0] in ("kind", "type")


def _said(error: ValidationError) -> str:
    message = _message(error)
    shown = message if len(message) <= _SHOWN else f"{message[: _SHOWN - 1]}…"
    path = _path(error.absolute_path)
    return f"{path}: {shown}" if path else shown


def _message(error: ValidationError) -> str:
    match error.validator, error.validator_value:
        case "format", "double":
            return "no double holds this number"
        case "format", "id":
            return f"an id has 1 to {MAX_ID_BYTES:,} UTF-8 bytes"
        case "pattern", str(pattern) if pattern.startswith("^[^"):
            return "holds U+0000 or a lone surrogate, which no store can keep"
        case "oneOf", _:
            return f"{error.instance!r} is none of the shapes allowed here"
        case _:
            return error.message


def _path(parts: Iterable[str | int]) -> str:
    """As in InvalidArgument: `events[1].type` (ruling 21)."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path

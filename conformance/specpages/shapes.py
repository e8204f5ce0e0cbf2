"""Shapes of contract.schema.json as tables: name, type, whether it must be there, what it says, its bounds in words.

Knows the keywords that the schema uses and refuses any other, so that no constraint is left out of a page in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_snake

Schema = dict[str, Any]

_KNOWN = {
    "$ref", "additionalProperties", "const", "description", "enum", "format", "items", "maxLength", "maximum",
    "minLength", "minimum", "not", "oneOf", "pattern", "properties", "propertyNames", "required", "type",
}  # fmt: skip
_LARGEST = 2**53 - 1
_TEXT = "^[^\\u0000\\ud800-\\udfff]*$"
_DIGITS = "^[0-9]{1,16}$"


@dataclass(frozen=True, slots=True)
class FieldLine:
    """A line of a table: `type` is Markdown."""

    wire: str
    python: str
    type: str
    required: bool
    says: str


class Shapes:
    """The `$defs` of the contract, with links to the page that has them all; `page` is that page's address."""

    def __init__(self, contract: Schema, page: str) -> None:
        self.defs: dict[str, Schema] = contract["$defs"]
        self._page = page

    def says(self, name: str) -> str:
        return str(self.defs[name]["description"])

    def link(self, name: str) -> str:
        assert name in self.defs, name
        return f"[{name}]({self._page}#{name})"

    def type(self, schema: Schema) -> str:
        """The type in Markdown: a link, a list of links, the words that are allowed."""
        _refuse_unknown(schema)
        if "$ref" in schema:
            return self.link(schema["$ref"].removeprefix("#/$defs/"))
        if "const" in schema:
            return _word(schema["const"])
        if "enum" in schema:
            return " or ".join(map(_word, schema["enum"]))
        if "oneOf" in schema:
            return " or ".join(map(self.type, schema["oneOf"]))
        kind = schema["type"]
        if kind == "array":
            return f"list of {self.type(schema['items'])}"
        return "null" if kind == "null" else str(kind)

    def fields(self, schema: Schema) -> list[FieldLine]:
        """The properties of an object, in the order of the schema."""
        _refuse_unknown(schema)
        required = schema.get("required", ())
        return [
            FieldLine(name, to_snake(name), self.type(field), name in required, field.get("description", ""))
            for name, field in schema.get("properties", {}).items()
        ]

    def kind(self, schema: Schema) -> str:
        """What a shape is: `object`, `one of`, or `value` for all that has no fields."""
        return "object" if "properties" in schema else "one of" if "oneOf" in schema else "value"

    def branches(self, schema: Schema) -> list[tuple[str, Schema]]:
        """(name, shape) of what an answer may be: the shape itself, or each of its alternatives, null left out."""
        named = [branch["$ref"].removeprefix("#/$defs/") for branch in schema.get("oneOf", ()) if "$ref" in branch]
        return [(name, self.defs[name]) for name in named]


def bounds(schema: Schema) -> str:
    """The constraints on a value without fields, in words; empty where there are none."""
    _refuse_unknown(schema)
    return "; ".join(_bounds(schema))


def openness(schema: Schema) -> str:
    """What an object makes of fields that it does not name."""
    others = schema.get("additionalProperties", True)
    return "No other fields." if others is False else "Any other field is kept as it is."


def _bounds(schema: Schema) -> Iterator[str]:
    if schema.get("format") == "id":
        assert (schema["minLength"], schema["maxLength"]) == (1, 1024)
        yield "1 to 1,024 UTF-8 bytes"
    if schema.get("format") == "double":
        yield "numbers are those a double holds"
    if "minimum" in schema:
        yield f"a whole number from {schema['minimum']} to {_number(schema['maximum'])}"
    match schema.get("pattern"):
        case None:
            pass
        case pattern if pattern == _TEXT:
            yield "no U+0000 and no lone surrogate"
        case pattern if pattern == _DIGITS:
            yield "1 to 16 ASCII digits"
        case pattern:
            raise ValueError(f"a pattern without words: {pattern}")
    if "enum" in schema:
        yield "one of " + ", ".join(map(_word, schema["enum"]))
    if schema.get("format") not in (None, "id", "double"):
        raise ValueError(f"a format without words: {schema['format']}")


def _number(value: int) -> str:
    return "2^53-1" if value == _LARGEST else f"{value:,}"


def _word(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _refuse_unknown(schema: Schema) -> None:
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise ValueError(f"keywords without words: {', '.join(sorted(unknown))}")

"""Values of a program as JSON that every language reads, and back without loss.

The kit calls stores with values that no JSON text can hold portably: NaN and infinities, lone surrogates, integers that
no double holds. Each of them is written as {"$json": TEXT}, where TEXT is Python's own JSON of the value; so is an
object with such a key. Refused: `null` for NaN, as most libraries write it, because the program would be another one.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

TAG = "$json"
LARGEST = 2**53
"""Beyond it not every integer is a double, which is what other languages read a number into."""


def portable(value: Any) -> Any:
    """The value with what is not portable as {"$json": TEXT}."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if TAG in items or any(_has_surrogate(key) for key in items):
            return _tagged(items)
        return {key: portable(item) for key, item in items.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str):
        return _tagged(value) if _has_surrogate(value) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else _tagged(value)
    if isinstance(value, int) and abs(value) > LARGEST:
        return _tagged(value)
    return value


def restored(value: Any) -> Any:
    """The value that `portable` was given; raises ValueError for a tag that holds no JSON text."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if items.keys() == {TAG}:
            if not isinstance(items[TAG], str):
                raise ValueError(f"{TAG} holds {items[TAG]!r}, not a JSON text")
            return json.loads(items[TAG])
        return {key: restored(item) for key, item in items.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def printable(text: object) -> str:
    """A text that any terminal, file and JSON reader takes: control characters and lone surrogates are escaped."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else _escaped(character) for character in str(text)
    )


def _tagged(value: Any) -> dict[str, str]:
    return {TAG: json.dumps(value)}


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

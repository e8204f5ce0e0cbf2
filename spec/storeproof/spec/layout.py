"""The shape of the model files: validates each against `schema/model.schema.json`.

The only module of this part that needs jsonschema, which comes with the conformance extra. What the files mean is the
checker's business.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from storeproof.spec.errors import SpecificationError
from storeproof.spec.specification import Data

_FILES = ("relations", "functions", "invariants", "promises", "clauses")


class LayoutError(SpecificationError):
    """A model file has not the shape of model.schema.json."""


def check_layout(data: Data) -> None:
    """Raises LayoutError for the first member of a file that is out of shape."""
    for name in _FILES:
        _check(f"{name}.json", data[name], name.capitalize())
    for name, operation in data["operations"].items():
        _check(f"operations/{name}.json", operation, "Operation")


def _check(file: str, content: object, definition: str) -> None:
    error: Any = max(_validator(definition).iter_errors(content), key=_depth, default=None)
    if error is not None:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        raise LayoutError(f"{file}{place}: {_message(error)}")


def _depth(error: Any) -> int:
    return len(error.absolute_path)


def _message(error: Any) -> str:
    """Of alternatives that all failed, what each of them wants."""
    inner = dict.fromkeys(context.message for context in error.context or ())
    return f"none of the forms fits: {'; '.join(inner)}" if inner else str(error.message)


@cache
def _validator(definition: str) -> Any:
    from jsonschema import Draft202012Validator

    text = files("storeproof.spec").joinpath("schema", "model.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"})

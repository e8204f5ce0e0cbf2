"""Reads the model files of the package into one Specification.

The only module that knows where the files lie. What is loaded has been held to `schema/model.schema.json` (by `layout`)
and to what the notation demands (by `checker`), so nobody downstream meets a broken model.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from storeproof.spec.checker import check
from storeproof.spec.layout import check_layout
from storeproof.spec.specification import Data, Specification

__all__ = ["Specification", "load", "read_data"]


@cache
def load() -> Specification:
    """The specification that this version of the package ships; one object for all. Raises SpecificationError."""
    data = read_data()
    check_layout(data)
    specification = Specification.from_data(data)
    check(specification)
    return specification


def read_data() -> Data:
    """The content of the model files, a fresh copy: {relations, …, operations: {name: …}, contract}."""
    root = files("storeproof.spec")
    model = root.joinpath("model")
    data: Data = {
        name: _json(model.joinpath(f"{name}.json"))
        for name in ("relations", "functions", "invariants", "promises", "clauses")
    }
    names = sorted(entry.name for entry in model.joinpath("operations").iterdir() if entry.name.endswith(".json"))
    operations = [_json(model.joinpath("operations", name)) for name in names]
    data["operations"] = {operation["operation"]: operation for operation in operations}
    data["contract"] = _json(root.joinpath("schema", "contract.schema.json"))
    return data


def _json(file: Traversable) -> Data:
    content: Data = json.loads(file.read_text(encoding="utf-8"))
    return content

"""Rewrites the arguments of a program where the schema says that they are of a certain type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from storeproof.conformance.programs import REOPEN, Call, Program
from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Specification


def rewritten(specification: Specification, program: Program, changes: Mapping[str, Callable[[Any], Any]]) -> Program:
    """The program with each value whose type `changes` names, as in `contract.schema.json`, put through its change."""
    definitions: Data = specification.contract["$defs"]

    def rewrite(schema: Data, value: Any) -> Any:
        while "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if name in changes:
                return changes[name](value)
            schema = definitions[name]
        if alternatives := schema.get("oneOf") or schema.get("anyOf"):
            for alternative in alternatives:
                value = rewrite(alternative, value) if _fits(definitions, alternative, value) else value
            return value
        if schema.get("type") == "array" and "items" in schema and is_array(value):
            return [rewrite(schema["items"], item) for item in value]
        if schema.get("type") == "object" and is_object(value):
            fields = schema.get("properties", {})
            return {name: rewrite(fields.get(name, {}), item) for name, item in value.items()}
        return value

    def arguments(call: Call) -> Data:
        return {"$ref": "#/$defs/" + specification.operations[call.operation].arguments}

    return tuple(
        call if call.operation == REOPEN else Call(call.operation, rewrite(arguments(call), call.args))
        for call in program
    )


def _fits(definitions: Data, schema: Data, value: Any) -> bool:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    tags = {name: item["const"] for name, item in schema.get("properties", {}).items() if "const" in item}
    return is_object(value) and all(value.get(name) == tag for name, tag in tags.items())

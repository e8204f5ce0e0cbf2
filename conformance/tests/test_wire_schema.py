"""The published schema of the wire protocol: what both sides write fits it, and it speaks of every operation."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from storeproof.conformance.refusals import plain_arguments
from storeproof.conformance.schemafiles import schema
from storeproof.conformance.vectors import recorded_programs
from storeproof.conformance.wire import error_of, line
from storeproof.conformance.wireclient import WireClient
from storeproof.reference.model import Raised
from storeproof.spec.loader import load

COMMAND = [sys.executable, str(Path(__file__).parent / "wire_store.py")]


def unfit(name: str, value: object) -> list[str]:
    return [error.message for error in _validator(name).iter_errors(cast(Any, value))]


def _validator(name: str) -> Validator:
    wire, contract = schema("wire"), schema("contract")
    registry: Registry[Any] = Registry[Any]().with_resources(
        [(each["$id"], DRAFT202012.create_resource(each)) for each in (wire, contract)]
    )
    return Draft202012Validator({"$ref": f"{wire['$id']}#/$defs/{name}"}, registry=registry)


def test_it_is_a_schema_and_speaks_of_every_operation() -> None:
    Draft202012Validator.check_schema(schema("wire"))
    specification = load()
    told = {name.partition(".")[2]: body for name, body in schema("wire")["$defs"].items() if "request." in name}
    operations = {name for name, operation in specification.operations.items() if operation.executable}
    controls = {"initialize", "reset", "shutdown", "subscribe", "unsubscribe"}
    assert told.keys() == operations | controls
    for name in operations:
        asked = told[name]["properties"]["params"]["$ref"]
        answer = schema("wire")["$defs"][f"answer.{name}"]["properties"]["result"]["$ref"]
        operation = specification.operations[name]
        assert (asked.rpartition("/")[2], answer.rpartition("/")[2]) == (operation.arguments, operation.result)


def test_a_request_with_every_field_fits_and_one_without_its_id_does_not() -> None:
    specification = load()
    for name, operation in specification.operations.items():
        if operation.executable:
            params = plain_arguments(specification, name)
            asked = json.loads(line({"jsonrpc": "2.0", "id": 1, "method": name, "params": params}))
            assert unfit("Request", asked) == []
            del asked["id"]
            assert unfit("Request", asked) != []


def test_the_errors_of_the_servers_side_fit() -> None:
    outcomes = [
        Raised("InvalidArgument", {"field": "now", "message": "is not valid"}),
        Raised("LogConflict", {"runId": "r", "attemptedIndex": 3, "existing": {"type": "CUSTOM", "ts": 0}}),
        Raised("LogConflict", {"runId": "r", "attemptedIndex": 3}),
        Raised("StoreUnavailable", {"message": "gone", "retryable": True}),
        Raised("NoSuchMethod", {"message": "none"}),
        Raised("UnexpectedException", {"message": "KeyError"}),
    ]
    for outcome in outcomes:
        answer = {"jsonrpc": "2.0", "id": 1, "error": error_of(outcome)}
        assert unfit("Answer", answer) == []
    assert unfit("Answer", {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no field"}}) != []


def test_what_a_program_answers_to_the_recorded_programs_fits() -> None:
    async def run() -> int:
        client = WireClient(COMMAND, 10)
        compared = 0
        try:
            await client.start()
            for _name, program in recorded_programs():
                await client.reset()
                for call in program:
                    answer = await client._request(call.operation, call.args, 10)  # pyright: ignore[reportPrivateUsage]
                    kind = "ErrorAnswer" if "error" in answer else f"answer.{call.operation}"
                    assert unfit(kind, answer) == [], (call, answer)
                    compared += 1
        finally:
            await client.close()
        return compared

    assert asyncio.run(run()) == sum(len(program) for _name, program in recorded_programs())


def test_an_event_and_an_introduction_fit() -> None:
    event = {"subscription": "s1", "eventIndex": 0, "event": {"type": "CUSTOM", "ts": 1}}
    assert unfit("Event", {"jsonrpc": "2.0", "method": "event", "params": event}) == []
    assert unfit("Event", {"jsonrpc": "2.0", "method": "event", "params": {**event, "eventIndex": -1}}) != []
    said = {"protocol": 1, "name": "n", "version": "1", "capabilities": ["durable"]}
    assert unfit("Introduction", said) == []
    assert unfit("Introduction", {**said, "protocol": 2}) != []

"""Vectors: recorded programs with what the model answered, for implementers in any language.

NDJSON. The first line is the header, every other one a call in wire form:

    {"format":"storeproof-vector/1","specification":"1","name":"lease-expiry"}
    {"op":"loadRun","args":{"runId":"r"},"result":null,"rules":["loadRun.unknown"]}
    {"op":"appendEvents","args":{…},"error":{"name":"LogConflict","data":{…}},"rules":["appendEvents.gap"]}

Knows the format and the model, and nothing of stores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from storeproof.reference.model import Model, Outcome, Raised, Returned
from storeproof.spec.errors import SpecificationError
from storeproof.spec.jsonvalues import equal, is_object

FORMAT = "storeproof-vector/1"


class VectorError(SpecificationError):
    """A vector cannot be read, or the model answers otherwise than it says."""


class Entry(NamedTuple):
    operation: str
    args: dict[str, Any]
    outcome: Outcome
    rules: tuple[str, ...]


class Vector(NamedTuple):
    name: str
    specification: str
    """The revision it was recorded from."""
    entries: tuple[Entry, ...]


def record(model: Model, name: str, program: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The lines of a vector, without line ends, of a program [{"op", "args"}, …] run on a new store."""
    header = {"format": FORMAT, "specification": model.specification.revision, "name": name}
    yield _line(header)
    state = model.initial()
    for call in program:
        step = model.step(state, call["op"], call["args"])
        state = step.state
        yield _line({"op": call["op"], "args": call["args"], **_outcome_data(step.outcome), "rules": list(step.rules)})


def read(lines: Iterable[str]) -> Vector:
    """Raises VectorError for anything that is no vector of this format."""
    header: dict[str, Any] | None = None
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except json.JSONDecodeError as error:
            raise VectorError(f"line {number}: not JSON: {error}") from None
        if header is None:
            if not is_object(data) or data.get("format") != FORMAT:
                raise VectorError(f"line {number}: a vector begins with a header whose format is {FORMAT}")
            header = data
        else:
            entries.append(_entry(data, number))
    if header is None:
        raise VectorError("the vector is empty; it has not even a header")
    return Vector(str(header.get("name")), str(header.get("specification")), tuple(entries))


def replay(model: Model, vector: Vector) -> None:
    """Runs the vector on the model. Raises VectorError at the first answer or rule that differs."""
    state = model.initial()
    for number, entry in enumerate(vector.entries, 2):
        step = model.step(state, entry.operation, entry.args)
        state = step.state
        said, answered = _outcome_data(entry.outcome), _outcome_data(step.outcome)
        if not equal(said, answered) or step.rules != entry.rules:
            raise VectorError(
                f"{vector.name}, line {number}: {entry.operation} answers {_line(answered)} by {', '.join(step.rules)};"
                f" recorded is {_line(said)} by {', '.join(entry.rules)}. Record it anew if the model is right"
            )


def _entry(data: object, number: int) -> Entry:
    if not is_object(data) or not {"op", "args", "rules"} <= data.keys() or ("result" in data) == ("error" in data):
        raise VectorError(f"line {number}: a call has op, args, rules, and either result or error")
    error = data.get("error")
    outcome = Returned(data["result"]) if error is None else Raised(error["name"], error["data"])
    return Entry(data["op"], data["args"], outcome, tuple(data["rules"]))


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Raised):
        return {"error": {"name": outcome.name, "data": outcome.data}}
    return {"result": outcome.value}


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

"""Vectors: recorded programs with what the model answered, for implementers in any language.

NDJSON; docs/vectors.md describes it, `schema/vector.schema.json` its lines. The first line is the header, every other
one a call in wire form:

    {"format":"storeproof-vector/1","specification":"1","name":"lease-expiry"}
    {"op":"loadRun","args":{"runId":"r"},"result":null,"rules":["loadRun.unknown"]}
    {"op":"appendEvents","args":{…},"error":{"name":"LogConflict","data":{…}},"rules":["appendEvents.gap"]}
    {"op":"loadRun","args":{},"error":{"name":"InvalidArgument","data":{"fields":["runId"]}},"rules":["loadRun.arguments"]}

The last one breaks the operation's schema. Of such a call the model knows nothing; what is expected of it is a promise,
and the state stays as it is. Knows the format and the model, and nothing of stores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from storeproof.reference.model import Model, Outcome, Raised, Returned
from storeproof.spec.errors import SpecificationError
from storeproof.spec.jsonvalues import equal, is_object
from storeproof.spec.specification import Specification

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
    """The lines of a vector, without line ends, of a program [{"op", "args"}, …] run on a new store.

    A call that breaks its operation's schema has "refused" too: {"field", "rule"}, the argument to be blamed and the
    promise that says so.
    """
    header = {"format": FORMAT, "specification": model.specification.revision, "name": name}
    yield _line(header)
    state = model.initial()
    for call in program:
        if "refused" in call:
            outcome, rules = _refusal(call["refused"])
        else:
            state, outcome, rules, _ = model.step(state, call["op"], call["args"])
        yield _line({"op": call["op"], "args": call["args"], **_outcome_data(outcome), "rules": list(rules)})


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
    """Runs the vector on the model. Raises VectorError at the first answer or rule that differs.

    Calls that break their operation's schema are left out.
    """
    state = model.initial()
    for number, entry in enumerate(vector.entries, 2):
        if is_refusal(model.specification, entry):
            continue
        step = model.step(state, entry.operation, entry.args)
        state = step.state
        said, answered = _outcome_data(entry.outcome), _outcome_data(step.outcome)
        if not equal(said, answered) or step.rules != entry.rules:
            raise VectorError(
                f"{vector.name}, line {number}: {entry.operation} answers {_line(answered)} by {', '.join(step.rules)};"
                f" recorded is {_line(said)} by {', '.join(entry.rules)}. Record it anew if the model is right"
            )


def is_refusal(specification: Specification, entry: Entry) -> bool:
    """Whether the call breaks its operation's schema: a promise says what is expected, no rule of the operation."""
    return any(rule in specification.rules and specification.rules[rule].kind == "promise" for rule in entry.rules)


def _refusal(refused: dict[str, str]) -> tuple[Outcome, tuple[str, ...]]:
    return Raised("InvalidArgument", {"fields": [refused["field"]]}), (refused["rule"],)


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

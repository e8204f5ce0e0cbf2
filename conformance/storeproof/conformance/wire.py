"""The wire protocol's messages, for both of its sides: JSON-RPC 2.0, one message a line (docs/wire.md).

Knows the form of messages and how outcomes travel in them; no process, no stream, no store.
"""

from __future__ import annotations

import json
from typing import Any

from storeproof.reference.model import Outcome, Raised, Returned
from storeproof.spec.jsonvalues import is_object

PROTOCOL = 1

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
NO_SUCH_OPERATION = -32601
INVALID_ARGUMENT = -32602
BROKEN = -32603
LOG_CONFLICT = -32001
STORE_UNAVAILABLE = -32002


class MessageError(ValueError):
    """A line is no message of the protocol."""


class NoJsonError(MessageError):
    """A line is not even JSON."""


def line(message: dict[str, Any]) -> bytes:
    """The message as one line. ASCII only, so that a lone surrogate travels too, for the store to refuse.

    Raises ValueError for NaN and infinities, which JSON has no words for.
    """
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def message(text: bytes) -> dict[str, Any]:
    """The message of a line. Raises MessageError where it is no JSON object in UTF-8, NoJsonError where no JSON."""
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise NoJsonError(f"no JSON: {error}") from None
    if not is_object(found):
        raise MessageError(f"a JSON {type(found).__name__}, where an object was expected")
    return found


def error_of(outcome: Raised) -> dict[str, Any]:
    """The error object of an outcome that is no result. What is none of the contract's answers is a broken store."""
    data = outcome.data
    said = str(data.get("message", outcome.name))
    if outcome.name == "InvalidArgument":
        return _error(INVALID_ARGUMENT, said, "InvalidArgument", {"field": data["field"]})
    if outcome.name == "LogConflict":
        return _error(LOG_CONFLICT, "the log does not end there", "LogConflict", data)
    if outcome.name == "StoreUnavailable":
        return _error(STORE_UNAVAILABLE, said, "StoreUnavailable", {"retryable": data.get("retryable", False)})
    if outcome.name == "NoSuchMethod":
        return _error(NO_SUCH_OPERATION, said, outcome.name, {})
    return _error(BROKEN, said, outcome.name, {})


def outcome_of(error: dict[str, Any]) -> Outcome:
    """What an error object means: one of the contract's answers, or what the store did wrong instead."""
    code, said, data = error.get("code"), str(error.get("message", "")), error.get("data")
    data = data if is_object(data) else {}
    data = {name: value for name, value in data.items() if name != "name"}
    if code == INVALID_ARGUMENT:
        field = data.get("field")
        return Raised("InvalidArgument", {"field": field if isinstance(field, str) else "", "message": said})
    if code == LOG_CONFLICT:
        return Raised("LogConflict", data)
    if code == STORE_UNAVAILABLE:
        return Raised("StoreUnavailable", {"message": said, "retryable": data.get("retryable") is True})
    if code == NO_SUCH_OPERATION:
        return Raised("NoSuchMethod", {"message": said or "the store does not offer it"})
    return Raised("UnexpectedException", {"message": f"error {code}: {said}"})


def answered(answer: dict[str, Any]) -> Outcome:
    """The outcome in an answer that has either `result` or `error`; absent results are the caller's business."""
    error = answer.get("error")
    return outcome_of(error) if is_object(error) else Returned(answer["result"])


def _error(code: int, said: str, name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "message": said, "data": {"name": name, **data}}


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")

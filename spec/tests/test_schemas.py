"""What the compiled schema says of a value: where the problem is, what it is, and of which shape it was meant to be."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import FormatChecker
from storeproof.spec.arguments import AppendEventsArguments, checked
from storeproof.spec.errors import InvalidArgument
from storeproof.spec.schemas import problems, validator

ERROR = {"name": "Error", "message": "no", "stack": "at …"}
ATTEMPT = {"startedAt": 1, "finishedAt": 2, "result": None}
FAILED_ATTEMPT = {"startedAt": 1, "finishedAt": 2, "error": ERROR}

# One whole event of each of the engine's types: required fields first, the optional ones second.
EVENTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "RUN_STARTED", "runId": "r"}, {"threadId": "t"}),
    ({"type": "RUN_FINISHED", "runId": "r", "output": None}, {}),
    ({"type": "RUN_ERRORED", "runId": "r", "error": ERROR, "code": "boom"}, {}),
    ({"type": "STEP_STARTED", "stepId": "s"}, {"meta": {}}),
    ({"type": "STEP_FINISHED", "stepId": "s", "result": [1]}, {"attempts": [FAILED_ATTEMPT, ATTEMPT], "meta": {}}),
    ({"type": "STEP_FAILED", "stepId": "s", "error": ERROR}, {"attempts": [FAILED_ATTEMPT], "meta": {}}),
    ({"type": "SIGNAL_AWAITED", "stepId": "s", "name": "go"}, {"deadline": 9, "meta": {"a": 1}}),
    ({"type": "SIGNAL_RESOLVED", "stepId": "s", "name": "go", "payload": "p"}, {"signalId": "x", "meta": {}}),
    ({"type": "APPROVAL_REQUESTED", "stepId": "s", "approvalId": "a", "title": "Go?"}, {"description": "", "meta": {}}),
    (
        {"type": "APPROVAL_RESOLVED", "stepId": "s", "approvalId": "a", "approved": False},
        {"feedback": "no", "meta": {}},
    ),
    ({"type": "NOW_RECORDED", "stepId": "s", "value": 1.5}, {"meta": {}}),
    ({"type": "UUID_RECORDED", "stepId": "s", "value": "b6c2"}, {"meta": {}}),
    (
        {"type": "STATE_DELTA", "delta": [{"op": "move", "path": "/a", "from": "/b"}, {"op": "remove", "path": "/c"}]},
        {},
    ),
    ({"type": "CUSTOM", "name": "n", "value": {"a": None}}, {}),
]


@pytest.mark.parametrize(("required", "optional"), EVENTS, ids=lambda fields: fields.get("type", ""))
def test_every_known_event_is_an_event(required: dict[str, Any], optional: dict[str, Any]) -> None:
    least = {**required, "ts": 5}
    for event in (least, {**least, **optional, "audience": "client", "something": ["else"]}):
        assert problems("KnownEvent", event) == []
        assert problems("Event", event) == []
        assert checked(AppendEventsArguments, run_id="r", expected_next_index=0, events=[event]).events == [event]
    for field in least:
        assert problems("KnownEvent", {name: value for name, value in least.items() if name != field}) != []


def test_an_unknown_event_is_an_event_but_no_known_one() -> None:
    assert problems("Event", {"type": "", "ts": 0, "stepId": "s", "more": {"a": [None]}}) == []
    assert problems("KnownEvent", {"type": "NEWS", "ts": 0}) != []


RUN: dict[str, Any] = {
    **{"runId": "r", "workflowId": "w", "status": "queued", "input": None, "createdAt": 1, "updatedAt": 1}
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LoadRunResult", None, []),
        ("LoadRunResult", RUN, []),
        ("LoadRunResult", {**RUN, "wakeAt": None}, ["wakeAt: None is not of type 'integer'"]),
        ("LoadRunResult", 3, ["3 is none of the shapes allowed here"]),
        ("ClaimRunResult", {"kind": "not-found"}, []),
        ("ClaimRunResult", {"kind": "claimed"}, ["'run' is a required property"]),
        ("ClaimRunResult", {"kind": "no"}, ["{'kind': 'no'} is none of the shapes allowed here"]),
        ("Awaitable", {"type": "signal"}, ["'signalName' is a required property"]),
        ("Id", "", ["an id has 1 to 1,024 UTF-8 bytes", "'' should be non-empty"]),
        ("Id", "é" * 513, ["an id has 1 to 1,024 UTF-8 bytes"]),
        ("Id", "\ud800", ["holds U+0000 or a lone surrogate, which no store can keep"]),
        ("Json", [{"a": "\x00"}], ["[0].a: holds U+0000 or a lone surrogate, which no store can keep"]),
        ("Json", {"a\x00": 1}, ["holds U+0000 or a lone surrogate, which no store can keep"]),
        ("Json", 2**53 + 1, ["no double holds this number"]),
        ("Json", [float("nan")], ["[0]: no double holds this number"]),
        ("Integer", 5.0, []),
        ("Integer", True, ["True is not of type 'integer'"]),
        ("Integer", 2**53, ["9007199254740992 is greater than the maximum of 9007199254740991"]),
        ("Cursor", "12\n", ["'12\\n' should not be valid under {'pattern': '\\\\n'}"]),
        ("NothingResult", None, []),
        ("LogConflictData", {"runId": "r", "attemptedIndex": 2**40}, []),
        (
            "LogConflictData",
            {"runId": "r", "attemptedIndex": 0, "existing": 1},
            ["existing: 1 is not of type 'object'"],
        ),
    ],
)
def test_problems_say_where_and_what(name: str, value: Any, said: list[str]) -> None:
    assert problems(name, value) == said
    assert validator(name).is_valid(value) == (not said)


def test_a_long_value_does_not_fill_the_message() -> None:
    (said,) = problems("Text", ["x" * 10_000])
    assert len(said) == 160


def test_checked_and_problems_name_the_same_field() -> None:
    events: list[dict[str, Any]] = [{"type": "x", "ts": 1}, {"type": 3, "ts": 1}]
    with pytest.raises(InvalidArgument) as refused:
        checked(AppendEventsArguments, runId="r", expectedNextIndex=0, events=events)
    assert refused.value.field == "events[1].type"
    wire = {"runId": "r", "expectedNextIndex": 0, "events": events}
    assert problems("AppendEventsArguments", wire) == ["events[1].type: 3 is not of type 'string'"]


def test_validators_are_made_once_and_know_only_our_formats() -> None:
    assert validator("Run") is validator("Run")
    assert isinstance(FormatChecker.checkers, dict)
    assert not {"id", "double"} & {*FormatChecker.checkers}


def test_an_unknown_shape_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no shape Rum in contract\.schema\.json; there are .*RunClaim"):
        validator("Rum")

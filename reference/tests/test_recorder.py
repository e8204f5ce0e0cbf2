"""Vectors: what is recorded reads back, replays, and fails where the model answers otherwise."""

import json
from typing import Any

import pytest
from storeproof.reference.model import Model, Raised
from storeproof.reference.recorder import VectorError, read, record, replay
from storeproof.reference.workload import workload
from storeproof.spec.loader import Specification, load, read_data

MODEL = Model(load())
PROGRAM: list[dict[str, Any]] = [
    {"op": "appendEvents", "args": {"runId": "r", "expectedNextIndex": 1, "events": []}},
    {"op": "loadRun", "args": {"runId": "r"}},
]


def test_the_lines_are_those_of_the_format() -> None:
    assert list(record(MODEL, "a gap", PROGRAM)) == [
        '{"format":"storeproof-vector/1","specification":"1","name":"a gap"}',
        '{"op":"appendEvents","args":{"runId":"r","expectedNextIndex":1,"events":[]},'
        '"error":{"name":"LogConflict","data":{"runId":"r","attemptedIndex":1}},"rules":["appendEvents.gap"]}',
        '{"op":"loadRun","args":{"runId":"r"},"result":null,"rules":["loadRun.unknown"]}',
    ]


def test_what_was_recorded_replays() -> None:
    program = [{"op": name, "args": args} for name, args in workload(1, 300)]
    vector = read(record(MODEL, "mixed", program))
    assert vector.name == "mixed"
    assert vector.specification == "1"
    assert len(vector.entries) == 300
    assert any(isinstance(entry.outcome, Raised) for entry in vector.entries)
    replay(MODEL, vector)


def test_a_model_that_answers_otherwise_is_found_with_its_line() -> None:
    data = read_data()
    data["operations"]["loadRun"]["rules"][0]["id"] = "loadRun.missing"
    vector = read(record(MODEL, "v", PROGRAM))
    with pytest.raises(VectorError, match=r"v, line 3: loadRun answers .* by loadRun\.missing; recorded is"):
        replay(Model(Specification.from_data(data)), vector)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "not even a header"),
        (['{"format":"other/1"}'], "line 1: a vector begins with a header"),
        (["nonsense"], "line 1: not JSON"),
        (
            [json.dumps({"format": "storeproof-vector/1"}), '{"op":"loadRun","args":{},"rules":[]}'],
            "line 2: a call has",
        ),
    ],
)
def test_what_is_no_vector_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(VectorError, match=message):
        read(lines)

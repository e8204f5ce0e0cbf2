"""`storeproof serve`: the protocol, spoken by a client that sends bytes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from storeproof.conformance.versions import kit_version
from tests.wire_session import HERE, WireSession, serving

RUN = {"runId": "r", "workflowId": "w", "input": None, "now": 5}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Generator[WireSession]:
    with serving("served_stores:odd", folder=tmp_path_factory.mktemp("odd")) as session:
        yield session


@pytest.fixture
def session(odd: WireSession) -> WireSession:
    assert odd.ask("reset") is None
    return odd


def test_initialize_comes_first_and_once(tmp_path: Path) -> None:
    with serving("memory:", folder=tmp_path, initialize=False) as session:
        assert session.ask("loadRun", runId="r")["code"] == -32600
        refused = session.ask("initialize", protocol=2)
        assert (refused["code"], refused["data"]) == (-32602, {"name": "InvalidArgument", "field": "protocol"})
        assert session.ask("initialize", protocol=1) == {
            "protocol": 1,
            "name": "memory:",
            "version": kit_version(),
            "specRevision": "1",
            "capabilities": ["subscribe"],
            "subscribeDelayMs": 0,
        }
        assert session.ask("initialize", protocol=1)["code"] == -32600
        assert session.ask("loadRun", runId="r") is None
        assert session.ask("shutdown") is None
        assert (session.left(), session.rest(), session.errors()) == (0, [], "")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"loadRun"', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"loadRun","params":{"runId":NaN}}', -32700),
        (b"\xff\xfe", -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"loadRun","params":{"runId":"r"}}]', -32600),
        (b"7", -32600),
        (b'{"id":1,"method":"loadRun","params":{"runId":"r"}}', -32600),
        (b'{"jsonrpc":"2.0","method":"loadRun","params":{"runId":"r"}}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"loadRun","params":{"runId":"r"}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"loadRun","params":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', -32600),
    ],
)
def test_a_line_that_is_no_request(session: WireSession, line: bytes, code: int) -> None:
    session.send(line + b"\n\n   \r\n", session.request("loadRun", runId="r"))
    refused, answer = session.received(), session.received()
    assert (refused["id"], refused["error"]["code"]) == (None, code)
    assert answer["result"] is None


def test_ids_come_back_as_they_were(session: WireSession) -> None:
    for name in ("a", "", 0, -1, 2**53, 1.5):
        session.send({"jsonrpc": "2.0", "id": name, "method": "loadRun", "params": {"runId": "r"}})
        assert session.received() == {"id": name, "result": None}


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("loadRun", {"runId": ""}, "runId"),
        ("loadRun", {}, "runId"),
        ("loadRun", {"run_id": "r"}, "run_id"),
        ("loadRun", {"runId": "r", "now": 1}, "now"),
        ("loadRun", {"runId": "\ud800"}, "runId"),
        ("createRun", {**RUN, "now": 1.5}, "now"),
        ("claimRun", {"runId": "r", "leaseOwner": "a", "leaseMs": 0, "now": 0}, "leaseMs"),
        ("claimRun", {"runId": "r", "leaseOwner": "a", "leaseMs": 2**53 - 1, "now": 1}, "leaseMs"),
        ("appendEvents", {"runId": "r", "expectedNextIndex": 0, "events": [{"type": 1, "ts": 0}]}, "events[0].type"),
        ("subscribe", {"subscription": "s", "runId": "r", "fromIndex": -1}, "fromIndex"),
        ("subscribe", {"subscription": "s", "runId": "r"}, "fromIndex"),
        ("subscribe", {"subscription": 1, "runId": "r", "fromIndex": 0}, "subscription"),
        ("unsubscribe", {}, "subscription"),
    ],
)
def test_invalid_arguments(session: WireSession, method: str, params: dict[str, Any], field: str) -> None:
    error = session.ask(method, **params)
    assert (error["code"], error["data"]) == (-32602, {"name": "InvalidArgument", "field": field})


def test_arguments_by_position(session: WireSession) -> None:
    session.send({"jsonrpc": "2.0", "id": 1, "method": "loadRun", "params": ["r"]})
    assert session.received()["error"]["data"] == {"name": "InvalidArgument", "field": "arguments"}


def test_what_is_no_operation(session: WireSession) -> None:
    for method in ("loadruns", "subscribeEvents", "__init__", "Reset", ""):
        assert session.ask(method, runId="r")["code"] == -32601


def test_a_conflict_tells_what_stands_there(session: WireSession) -> None:
    event = {"type": "CUSTOM", "ts": 1, "name": "n", "value": {"a": None}}
    log = {"runId": "r", "expectedNextIndex": 0, "events": [event]}
    assert session.ask("appendEvents", **log) == {"nextIndex": 1}
    error = session.ask("appendEvents", **log)
    data = {"name": "LogConflict", "runId": "r", "attemptedIndex": 0, "existing": event}
    assert (error["code"], error["data"]) == (-32001, data)
    error = session.ask("appendEvents", **{**log, "expectedNextIndex": 2**53 - 1})
    assert error["data"] == {"name": "LogConflict", "runId": "r", "attemptedIndex": 2**53 - 1}


def test_storage_that_fails_and_stores_that_break(session: WireSession) -> None:
    away = session.ask("loadRun", runId="away")
    assert (away["code"], away["data"]) == (-32002, {"name": "StoreUnavailable", "retryable": True})
    broken = session.ask("loadRun", runId="broken")
    assert (broken["code"], "a defect of the store" in broken["message"]) == (-32603, True)
    assert session.ask("loadRun", runId="wrong")["code"] == -32603
    assert session.ask("loadRun", runId="r") is None


def test_requests_run_side_by_side(session: WireSession) -> None:
    slow, other, go = (session.request("loadRun", runId=name) for name in ("slow", "r", "go"))
    session.send(slow, other)
    assert session.received()["id"] == other["id"]
    session.send(go)
    assert {session.received()["id"] for _ in range(2)} == {slow["id"], go["id"]}


def test_many_requests_at_once(session: WireSession) -> None:
    requests = [session.request("createRun", **{**RUN, "runId": f"r{number}"}) for number in range(500)]
    session.send(*requests)
    answers = {answer["id"]: answer["result"]["run"]["runId"] for answer in (session.received() for _ in requests)}
    assert answers == {request["id"]: request["params"]["runId"] for request in requests}


def test_a_megabyte_and_what_json_can_hold(session: WireSession) -> None:
    value: Any = {"text": "🦊\u0001" * 150_000, "deep": None, "large": 1e308, "": [2**53 - 1, -0.5]}
    for _ in range(60):
        value["deep"] = [value["deep"]]
    created = session.ask("createRun", **{**RUN, "input": value})
    assert created["run"]["input"] == value


def test_what_is_printed_goes_elsewhere(session: WireSession) -> None:
    assert session.ask("loadRun", runId="noise") is None
    assert session.ask("loadRun", runId="r") is None
    assert "printed by a child" in session.errors()


def test_a_subscription(session: WireSession) -> None:
    def append(index: int) -> None:
        event = {"type": "CUSTOM", "ts": index}
        session.send(session.request("appendEvents", runId="r", expectedNextIndex=index, events=[event]))

    def given(name: str, index: int) -> dict[str, Any]:
        event = {"type": "CUSTOM", "ts": index}
        return {"method": "event", "params": {"subscription": name, "eventIndex": index, "event": event}}

    for index in range(2):
        append(index)
        session.received()
    assert session.ask("subscribe", subscription="all", runId="r", fromIndex=0) is None
    assert [session.received(), session.received()] == [given("all", 0), given("all", 1)]
    in_use = session.ask("subscribe", subscription="all", runId="r", fromIndex=0)
    assert in_use["data"] == {"name": "InvalidArgument", "field": "subscription"}
    assert session.ask("subscribe", subscription="new", runId="r", fromIndex=2) is None
    append(2)
    assert [session.received(), session.received()] == [given("all", 2), given("new", 2)]
    assert session.received()["result"] == {"nextIndex": 3}
    assert session.ask("unsubscribe", subscription="all") is None
    assert session.ask("unsubscribe", subscription="nobody") is None
    append(3)
    assert session.received() == given("new", 3)
    assert session.received()["result"] == {"nextIndex": 4}
    assert session.ask("subscribe", subscription="all", runId="other", fromIndex=0) is None
    assert session.ask("reset") is None
    append(0)
    assert session.received()["result"] == {"nextIndex": 1}
    assert session.ask("subscribe", subscription="new", runId="r", fromIndex=1) is None


def test_shutdown_comes_after_the_requests_in_flight(tmp_path: Path) -> None:
    with serving("served_stores:odd", folder=tmp_path) as session:
        nap, shutdown = session.request("loadRun", runId="nap"), session.request("shutdown")
        session.send(nap, shutdown, session.request("loadRun", runId="r"))
        assert [answer["id"] for answer in session.rest()] == [nap["id"], shutdown["id"]]
        assert (session.left(), (tmp_path / "left").exists()) == (0, True)


def test_the_end_of_input_comes_after_the_requests_in_flight(tmp_path: Path) -> None:
    with serving("served_stores:odd", folder=tmp_path) as session:
        nap, last = session.request("loadRun", runId="nap"), session.request("loadRun", runId="noise")
        session.send(nap, b'{"jsonrpc":"2.0","id":"last","method":"loadRun","params":{"runId":"r"}}')
        session.end_input()
        assert [answer["id"] for answer in session.rest()] == ["last", nap["id"]]
        assert (session.left(), session.errors(), last["id"]) == (0, "", nap["id"] + 1)


def test_requests_from_a_file_answers_to_a_file(tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    requests.write_text('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1}}\n')
    command = [sys.executable, "-m", "storeproof.conformance.cli", "serve", "model:"]
    with requests.open() as source, (tmp_path / "answers").open("w") as sink:
        subprocess.run(command, stdin=source, stdout=sink, check=True, timeout=60)
    assert '"capabilities":[]' in (tmp_path / "answers").read_text()


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving("served_stores:odd", folder=tmp_path) as session:
        session.send(session.request("loadRun", runId="for ever"))
        assert session.ask("loadRun", runId="r") is None
        session.process.send_signal(signal.SIGTERM)
        assert (session.left(), session.rest(), session.errors()) == (143, [], "")
        assert (tmp_path / "left").exists()


def test_a_client_that_reads_no_more(tmp_path: Path) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-m", "storeproof.conformance.cli", "serve", "served_stores:odd"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(HERE)},
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.close()
    reader.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1}}\n')
    reader.stdin.flush()
    assert (reader.wait(60), reader.stderr.read(), (tmp_path / "left").exists()) == (0, b"", True)
    reader.stdin.close()
    reader.stderr.close()


def test_a_reset_that_fails_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    with serving("served_stores:once", folder=tmp_path) as session:
        error = session.ask("reset")
        assert (error["code"], "the disk is full" in error["message"]) == (-32603, True)
        assert session.ask("shutdown") is None
        assert session.left() == 0


def test_the_conversation_in_the_docs(tmp_path: Path) -> None:
    page = (HERE.parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- conversation: (\S+) -->\n```\n(.*?)```", page, re.DOTALL)
    assert found
    with serving(found[1], folder=tmp_path, initialize=False) as session:
        for line in found[2].splitlines():
            direction, message = line.split(" ", 1)
            if direction == ">":
                session.send(message.encode() + b"\n")
            else:
                assert {"jsonrpc": "2.0", **session.received()} == json.loads(message)
        assert session.left() == 0

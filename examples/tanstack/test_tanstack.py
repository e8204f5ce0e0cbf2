"""The bridge keeps the protocol, and every finding of docs/track-record.md that needs no luck still replays."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from rich.console import Console
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.replaying import replay_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FINDINGS = sorted((HERE / "findings").glob("*.json"))
CHANCE = ("histories", "cuts")
"""Checks whose findings need luck."""


class Bridge:
    """One process of the bridge."""

    def __init__(self, *arguments: str) -> None:
        command = ["node", str(HERE / "bridge.mjs"), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.asked = 0

    def write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def said(self) -> dict[str, Any]:
        """The next message."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def ask(self, method: str, **params: Any) -> Any:
        """The result, or the error's code."""
        self.asked += 1
        self.write(
            json.dumps({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}).encode() + b"\n"
        )
        answer = self.said()
        assert answer["id"] == self.asked
        return answer["result"] if "result" in answer else answer["error"]["code"]


Start: TypeAlias = Callable[..., Bridge]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("STOREPROOF_PG_URL", embedded_url())
    bridges: list[Bridge] = []

    def started(*arguments: str) -> Bridge:
        bridges.append(Bridge(*arguments))
        return bridges[-1]

    yield started
    for bridge in bridges:
        bridge.process.kill()
        bridge.process.communicate()


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """The arguments of each store, with data of this test's own where it is durable."""
    return {
        "memory": ("memory",),
        "postgres": ("postgres", "--schema", "storeproof_bridge_test"),
        "d1": ("d1", "--folder", str(tmp_path / "d1")),
    }


def test_what_is_no_request_is_answered_and_harms_nobody(start: Start) -> None:
    bridge = start("memory")
    assert bridge.ask("loadRun", runId="r") == -32601  # before initialize nothing is offered
    assert bridge.ask("initialize", protocol=2) == -32602
    assert bridge.ask("initialize", protocol=1)["capabilities"] == ["subscribe"]
    for line, code in ((b"{\n", -32700), (b"[]\n", -32600), (b"7\n", -32600), (b'{"id":1}\n', -32600)):
        bridge.write(line)
        said = bridge.said()
        assert (said["id"], said["error"]["code"]) == (None, code)
    bridge.write(b"\n  \n")
    assert bridge.ask("ensureSchema") == -32601
    assert bridge.ask("constructor") == -32601
    assert bridge.ask("loadRun", runId="r") is None


def test_line_separators_and_lone_surrogates_travel(start: Start) -> None:
    bridge = start("memory")
    bridge.ask("initialize", protocol=1)
    request = {
        "id": 9,
        "method": "createRun",
        "params": {"runId": "r", "workflowId": "w", "input": "\u2028é", "now": 0},
    }
    line = json.dumps(request, ensure_ascii=False).encode()
    bridge.write(line[:-20])
    bridge.write(line[-20:] + b"\n")
    assert bridge.said()["result"]["run"]["input"] == "\u2028é"
    assert bridge.ask("createRun", runId="s", workflowId="w", input="\ud800", now=0)["run"]["input"] == "\ud800"


def test_events_come_behind_the_answer_and_end_with_the_subscription(start: Start) -> None:
    bridge = start("memory")
    bridge.ask("initialize", protocol=1)
    events = [{"type": "CUSTOM", "ts": number} for number in range(3)]
    bridge.ask("appendEvents", runId="r", expectedNextIndex=0, events=events[:2])
    assert bridge.ask("subscribe", subscription="s", runId="r", fromIndex=1) is None
    assert bridge.said()["params"] == {"subscription": "s", "eventIndex": 1, "event": events[1]}
    assert bridge.ask("subscribe", subscription="s", runId="r", fromIndex=0) == -32602
    bridge.write(b'{"id":70,"method":"appendEvents","params":{"runId":"r","expectedNextIndex":2,"events":[')
    bridge.write(json.dumps(events[2]).encode() + b"]}}\n")
    assert bridge.said()["params"]["eventIndex"] == 2  # this store gives them before it answers
    assert bridge.said()["result"] == {"nextIndex": 3}
    assert bridge.ask("unsubscribe", subscription="s") is None
    assert bridge.ask("unsubscribe", subscription="s") is None
    assert bridge.ask("appendEvents", runId="r", expectedNextIndex=3, events=events[:1]) == {"nextIndex": 4}
    assert bridge.ask("reset") is None
    assert bridge.ask("readEvents", runId="r") == []


@pytest.mark.parametrize("store", ["memory", "postgres", "d1"])
def test_a_store_is_introduced_emptied_and_ended(
    store: str, commands: dict[str, tuple[str, ...]], start: Start
) -> None:
    bridge = start(*commands[store])
    said = bridge.ask("initialize", protocol=1)
    installed = json.loads((HERE / "node_modules" / said["name"] / "package.json").read_text(encoding="utf-8"))
    assert said["version"] == installed["version"]
    assert "specRevision" not in said
    assert bridge.ask("createRun", runId="r", workflowId="w", input=None, now=1)["kind"] == "created"
    run = {"runId": "r", "workflowId": "w", "status": "queued", "input": None, "createdAt": 1, "updatedAt": 1}
    assert bridge.ask("loadRun", runId="r") == run  # absent fields are left out
    assert bridge.ask("appendEvents", runId="r", expectedNextIndex=1, events=[]) == -32001
    assert bridge.ask("reset") is None
    assert bridge.ask("loadRun", runId="r") is None
    assert bridge.ask("shutdown") is None
    assert bridge.process.wait(30) == 0


@pytest.mark.parametrize("store", ["postgres", "d1"])
def test_what_was_answered_is_there_after_the_process_was_killed(
    store: str, commands: dict[str, tuple[str, ...]], start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing lies about that the process had for itself."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    bridge = start(*commands[store])
    assert bridge.ask("initialize", protocol=1)["capabilities"] == ["durable"]
    bridge.ask("reset")
    for number in range(3):
        bridge.ask("createRun", runId=f"r{number}", workflowId="w", input=number, now=1)
        bridge.process.kill()
        bridge.process.wait()
        bridge = start(*commands[store])
        bridge.ask("initialize", protocol=1)
    assert [run["runId"] for run in bridge.ask("listRuns", limit=9)] == ["r0", "r1", "r2"]
    assert list(temporary.iterdir()) == []


def test_what_was_before_a_reset_does_not_choose_the_order_of_rows(
    commands: dict[str, tuple[str, ...]], start: Start
) -> None:
    """How many rows the server believes there are decides how it joins, and so which comes first."""
    bridge = start(*commands["postgres"])
    bridge.ask("initialize", protocol=1)

    def stale_runs() -> list[str]:
        """Two of which the first that was written is the last whose turn it is."""
        bridge.ask("reset")
        for run_id, written in (("e", 1), ("a", 0)):
            bridge.ask("createRun", runId=run_id, workflowId="w", input=None, now=0)
            bridge.ask("claimRun", runId=run_id, leaseOwner="o", leaseMs=1, now=written)
        claimed = bridge.ask("claimStaleRuns", now=10, limit=9, leaseOwner="o", leaseMs=1)
        return [each["run"]["runId"] for each in claimed]

    before = stale_runs()
    table = f"{commands['postgres'][-1]}.workflow_runs"
    with psycopg.connect(embedded_url(), autocommit=True) as connection:
        for rows in (0, 300):
            for number in range(rows):
                bridge.ask("createRun", runId=f"r{number}", workflowId="w", input=None, now=0)
            connection.execute(f"vacuum {table}".encode())
            assert stale_runs() == before
        found = connection.execute(f"select reloptions from pg_class where oid = '{table}'::regclass".encode())
        assert found.fetchone() == (["autovacuum_enabled=off"],)  # nor does the server count them in between


def test_two_processes_do_not_share_a_schema(commands: dict[str, tuple[str, ...]], start: Start) -> None:
    first = start(*commands["postgres"])
    first.ask("initialize", protocol=1)
    assert start(*commands["postgres"]).ask("initialize", protocol=1) == -32603
    assert first.ask("loadRun", runId="r") is None


def test_what_the_bridge_did_not_make_it_does_not_touch(tmp_path: Path, start: Start) -> None:
    with psycopg.connect(embedded_url(), autocommit=True) as connection:
        connection.execute("create schema somebodys")
        try:
            assert start("postgres", "--schema", "somebodys").ask("initialize", protocol=1) == -32603
            found = connection.execute("select count(*) from pg_tables where schemaname = 'somebodys'").fetchone()
            assert found == (0,)
        finally:
            connection.execute("drop schema somebodys")
    assert start("d1", "--folder", str(tmp_path)).ask("initialize", protocol=1) == -32603
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: file.stem)
def test_a_finding_replays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if json.loads(file.read_text(encoding="utf-8"))["check"] in CHANCE:
        return  # `make tanstack` looks for those, in many repetitions
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STOREPROOF_PG_URL", embedded_url())
    output = StringIO()
    assert replay_file(Console(file=output, width=120), file, None, 60.0) == 1, output.getvalue()
    assert "it still fails" in output.getvalue()
    assert "otherwise" not in output.getvalue()


def test_two_stores_share_their_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what upstream gets wrong left to ours, refusals among it, nothing fails."""
    monkeypatch.setattr(sys, "path", [str(HERE), *sys.path])
    monkeypatch.setenv("STOREPROOF_PG_URL", embedded_url())
    fleet = importlib.import_module("mixed_fleet")
    assert fleet.passed(fleet.FLEETS["postgres"], PROFILES["quick"], 1, ["vectors"], guarded=True) == 0
    said = capsys.readouterr().out
    assert said.startswith("mixed fleet, postgres, guarded: partial; handed over ")
    assert len(said.splitlines()) == 1  # no failure, whoever's


def test_every_finding_is_told() -> None:
    told = (ROOT / "docs" / "track-record.md").read_text(encoding="utf-8")
    assert FINDINGS
    assert [file.name for file in FINDINGS if file.name not in told] == []

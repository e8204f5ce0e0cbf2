"""The client of the wire protocol against programs that keep it and programs that break it."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from storeproof.conformance.failures import UsageError
from storeproof.conformance.wire import line, message
from storeproof.conformance.wireclient import Killed, ProtocolError, WireClient
from storeproof.conformance.wiretarget import WireTarget, shown_command, wire_target
from storeproof.reference.model import Raised, Returned

HERE = Path(__file__).parent
T = TypeVar("T")


def command(*options: str, program: str = "wire_store.py") -> list[str]:
    return [sys.executable, str(HERE / program), *options]


def with_client(
    work: Callable[[WireClient], Awaitable[T]], *options: str, limit_s: float = 10, program: str = "wire_store.py"
) -> T:
    async def run() -> T:
        client = WireClient(command(*options, program=program), limit_s, patience_s=15)
        try:
            await client.start()
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


async def many(client: WireClient, number: int = 200) -> list[Any]:
    calls = [client.call("loadRun", {"runId": f"r{each}"}) for each in range(number)]
    found: list[Any] = await asyncio.gather(*calls)
    return found


def test_many_requests_in_flight_are_all_answered() -> None:
    assert with_client(lambda client: many(client, 5_000), program="wire_echo.py") == [Returned(None)] * 5_000


def test_answers_in_any_order_reach_who_asked() -> None:
    async def work(client: WireClient) -> list[Any]:
        args = [{"runId": f"r{n}", "workflowId": "w", "input": n, "now": n} for n in range(100)]
        found: list[Any] = await asyncio.gather(*(client.call("createRun", each) for each in args))
        return found

    created = with_client(work, "--fault", "slow")
    assert [outcome.value["run"]["input"] for outcome in created] == list(range(100))


@pytest.mark.parametrize(
    ("fault", "reason", "ending"),
    [
        ("hangs", "no answer within 0.5 s to request 4", "it was still running; its standard error ends:\nwaiting"),
        ("late", "no answer within 0.5 s to request 4", "it was still running; it wrote nothing to standard error"),
        ("garbage", "is no message: no JSON", "its standard error ends:\nabout to write nonsense"),
        ("twice", "a second answer to request 40", "it was still running"),
        ("unknown-id", "an answer to 1040, which nobody asked", "it was still running"),
        ("neither", "an answer needs either a result or an error", "it was still running"),
        (
            "dies",
            "its standard output has ended",
            "it ended with exit status 7; its standard error ends:\nout of memory",
        ),
        ("closes", "its standard output has ended", "it was still running; its standard error ends:\nclosing"),
        ("exits", "its standard output has ended", "it ended with exit status 4; its standard error ends:\nno licence"),
        ("protocol-2", "this kit speaks protocol 1", "it was still running"),
    ],
)
def test_what_breaks_the_protocol_is_told_with_the_last_words(fault: str, reason: str, ending: str) -> None:
    with pytest.raises(ProtocolError) as told:
        with_client(many, "--fault", fault, limit_s=0.5)
    assert reason in str(told.value)
    assert ending in str(told.value)


def test_after_a_protocol_error_every_further_request_says_the_same() -> None:
    async def work(client: WireClient) -> tuple[str, str]:
        said: list[str] = []
        for _ in range(2):
            with pytest.raises(ProtocolError) as told:
                await many(client, 50)
            said.append(str(told.value))
        return said[0], said[1]

    first, second = with_client(work, "--fault", "dies")
    assert first == second


def test_a_flood_on_standard_error_blocks_nobody() -> None:
    assert with_client(many, "--fault", "flood") == [Returned(None)] * 200


def test_the_answer_to_an_abandoned_request_is_ignored() -> None:
    async def work(client: WireClient) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.0001):
                await many(client, 50)
        await asyncio.sleep(0.1)
        return await client.call("loadRun", {"runId": "r"})

    assert with_client(work, "--fault", "slow") == Returned(None)


def test_killing_leaves_no_process_and_answers_nobody() -> None:
    async def work(client: WireClient) -> list[Any]:
        asked = [asyncio.create_task(client.call("loadRun", {"runId": "r"})) for _ in range(60)]
        await asyncio.sleep(0.2)
        await client.kill()
        found: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
        return found

    outcomes = with_client(work, "--fault", "hangs")
    assert sum(isinstance(each, Killed) for each in outcomes) + outcomes.count(Returned(None)) == 60
    assert any(isinstance(each, Killed) for each in outcomes)


def test_a_program_is_gone_with_all_that_it_started(tmp_path: Path) -> None:
    parent = tmp_path / "parent.sh"
    echo = shlex.join(command(program="wire_echo.py"))
    parent.write_text(f"sleep 600 & echo $! > {tmp_path}/child\n{echo}\n")

    async def run() -> int:
        client = WireClient(["sh", str(parent)], 5, patience_s=10)
        try:
            await client.start()
        finally:
            await client.close()
        return int((tmp_path / "child").read_text())

    child = asyncio.run(run())
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True, check=False)
    assert state.stdout.strip() in ("", "Z"), "it runs still"  # Z: dead, and nobody has asked yet how it ended


def test_messages_are_one_line_of_ascii() -> None:
    text = line({"jsonrpc": "2.0", "id": 1, "result": "\ud800\u2028\n"})
    assert text == b'{"jsonrpc":"2.0","id":1,"result":"\\ud800\\u2028\\n"}\n'
    assert message(text)["result"] == "\ud800\u2028\n"


def test_what_json_has_no_words_for_is_not_sent() -> None:
    async def run() -> Any:
        target = WireTarget("stdio:x", command(), 5)
        try:
            await target.open()
            args = {"runId": "r", "workflowId": "w", "now": 0}
            infinite = await target.call("createRun", {**args, "input": float("inf")})
            huge = await target.call("createRun", {**args, "input": 10**400})
            return infinite, huge
        finally:
            await target.close()

    infinite, huge = asyncio.run(run())
    assert (infinite.name, huge.name, huge.data["field"]) == ("NotCarried", "InvalidArgument", "input")


@pytest.mark.parametrize(
    ("name", "says"), [("stdio:", "needs a command"), ("stdio:'x", "split"), ("stdio:nosuch", "no command 'nosuch'")]
)
def test_a_command_that_is_none_is_bad_usage(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        wire_target(name, 1)


def test_a_password_in_a_command_is_not_shown() -> None:
    assert shown_command("node s.mjs postgresql://u:secret@h/d") == "node s.mjs postgresql://u:***@h/d"


def test_an_operation_that_is_not_offered_is_an_outcome() -> None:
    async def work(client: WireClient) -> Any:
        return await client.call("teleport", {})

    assert with_client(work) == Raised("NoSuchMethod", {"message": "no method teleport"})

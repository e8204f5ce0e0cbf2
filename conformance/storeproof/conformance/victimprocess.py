"""The process whose children are killed: it imports everything once and forks a victim for each job.

A victim opens the store on data that stay, makes its calls, writes each answer to the pipe before it goes on, and kills
itself with SIGKILL at a point of its drivers, sqlite3 or psycopg. Nothing of a store is touched. Judges nothing.

Protocol, one JSON object a line. To it: first {"path", "modules"}, then jobs {"store": Opening as JSON, "calls",
"kill": [call, at, when] or null}. From it: {"pid"}, {"answer"} for each call, {"finished"} where it was not killed or
{"failed"}, and in the end {"ended": the status of waitpid}.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from typing import Any

LIMIT_S = 30
"""Seconds after which a victim ends in any case."""
_STATEMENTS = ("_execute_gen", "_executemany_gen_no_pipeline", "_executemany_gen_pipeline", "_stream_send_gen")
_WAITS_TO_READ = 1


class Killer:
    """Counts the statements of one call and kills the process before, during or after one of them."""

    def __init__(self, kill: tuple[int, int, str] | None) -> None:
        self._kill = kill
        self._call = -1
        self._at = 0

    def begin(self, call: int) -> None:
        """The next call begins: its statements are counted anew."""
        self._call, self._at = call, 0

    def here(self, when: str) -> None:
        """A point of the statement that is counted."""
        if self._kill == (self._call, self._at, when):
            os.kill(os.getpid(), signal.SIGKILL)

    def over(self) -> None:
        """The statement was executed and answered."""
        self.here("after")
        self._at += 1

    def answered(self) -> None:
        """The call was answered, and the answer is in the pipe."""
        if self._kill == (self._call, 0, "answered"):
            os.kill(os.getpid(), signal.SIGKILL)


def watch_sqlite(killer: Killer) -> None:
    """Every execution of sqlite3 in this process is a statement, BEGIN and COMMIT included, in whatever thread."""
    connect: Any = sqlite3.connect

    class Cursor(sqlite3.Cursor):
        def execute(self, *given: Any) -> Any:
            return _around(killer, super().execute, given)

        def executemany(self, *given: Any) -> Any:
            return _around(killer, super().executemany, given)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *given: Any) -> Any:
            return self.cursor().execute(*given)

        def executemany(self, *given: Any) -> Any:
            return self.cursor().executemany(*given)

        def commit(self) -> None:
            _around(killer, super().commit, ())

    def watched(*given: Any, **options: Any) -> Any:
        return connect(*given, **{"factory": Connection, **options})

    sqlite3.connect = watched


def watch_psycopg(killer: Killer) -> None:
    """Every statement and COMMIT of psycopg's async connections; `during` is when it was sent and not answered."""
    connection: Any = importlib.import_module("psycopg").AsyncConnection
    original = connection.wait

    def dying(gen: Any) -> Generator[Any, Any, Any]:
        wanted = next(gen)
        while True:
            if wanted == _WAITS_TO_READ:
                killer.here("during")
            ready = yield wanted
            try:
                wanted = gen.send(ready)
            except StopIteration as stop:
                return stop.value

    async def wait(self: Any, gen: Any, *given: Any, **options: Any) -> Any:
        name = gen.gi_code.co_name
        commits = name == "_commit_gen" or (name == "_exit_gen" and gen.gi_frame.f_locals["exc_val"] is None)
        if name not in _STATEMENTS and not commits:
            return await original(self, gen, *given, **options)
        killer.here("before")
        result = await original(self, dying(gen), *given, **options)
        killer.over()
        return result

    connection.wait = wait


def _around(killer: Killer, run: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    killer.here("before")
    result = run(*given)
    killer.over()
    return result


def main() -> None:
    """Forks until its input ends."""
    with os.fdopen(os.dup(0), "rb") as jobs:
        first = json.loads(jobs.readline())
        sys.path[:] = first["path"]
        for module in first["modules"]:
            importlib.import_module(module)
        specification = importlib.import_module("storeproof.spec.loader").load()
        for line in iter(jobs.readline, b""):
            pid = os.fork()
            if pid == 0:
                _victim(json.loads(line), specification)
            _, status = os.waitpid(pid, 0)
            _say({"ended": status})


def _victim(job: dict[str, Any], specification: Any) -> None:
    """Never comes back."""
    try:
        signal.alarm(LIMIT_S)
        _say({"pid": os.getpid()})
        asyncio.run(_live(job, specification))
    except BaseException:
        _say({"failed": traceback.format_exc()})
    os._exit(1)


async def _live(job: dict[str, Any], specification: Any) -> None:
    programs = importlib.import_module("storeproof.conformance.programs")
    python_store = importlib.import_module("storeproof.conformance.pythonstore").PythonStore
    kill = job["kill"]
    killer = Killer(None if kill is None else (kill[0], kill[1], kill[2]))
    kind = job["store"]["kind"]
    (watch_sqlite if kind == "sqlite" else watch_psycopg)(killer)
    # Entered and never left: a process that is killed closes nothing.
    store = python_store(await opened(AsyncExitStack(), job["store"]), specification)
    for number, call in enumerate(programs.from_json(job["calls"])):
        killer.begin(number)
        outcome = await store.answer(call.operation, call.args)
        _say({"answer": [type(outcome).__name__, *outcome]})
        killer.answered()
    _say({"finished": True})
    os.kill(os.getpid(), signal.SIGKILL)


async def opened(stack: AsyncExitStack, store: dict[str, Any]) -> Any:
    """The store of its JSON form: {"kind", "class": "module:name", "path"} or {…, "url", "schema"}."""
    module, _, name = store["class"].partition(":")
    make = getattr(importlib.import_module(module), name)
    if store["kind"] == "sqlite":
        local = importlib.import_module("storeproof.adapters.d1.local")
        # As in production: "normal" would be another promise, though only a power cut tells them apart.
        database = await stack.enter_async_context(local.LocalD1(store["path"], synchronous="full"))
        return await stack.enter_async_context(make(database, poll_ms=1000))
    return await stack.enter_async_context(make(store["url"], schema=store["schema"], pool_size=1, poll_ms=1000))


def _say(message: dict[str, Any]) -> None:
    # With a line's end in front: a victim may have been killed in the middle of a line.
    rest = b"\n" + json.dumps(message).encode() + b"\n"
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    main()

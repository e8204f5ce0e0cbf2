"""Makes every statement and COMMIT of aiosqlite a scheduling point, SQLAlchemy's sqlite+aiosqlite over it included.

All that aiosqlite does goes through `Connection._execute`, so nothing of a store is touched. A statement outside of a
transaction is one step. Where SQLite would wait in its busy handler, the statement is refused at once and tried again
after every step of another client, as long as others move: what waits is then known without measuring time, and who
gets the lock does not depend on it. Where SQLite itself would not wait, its SQLITE_BUSY is the store's own.

Knows no store. aiosqlite itself is imported when the points are switched on.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast
from weakref import WeakSet

from storeproof.conformance.points import Died, controlled, executing, orphaned, passing, point
from storeproof.conformance.statementkinds import commits, frames

IDLE_TRIES = 40
"""Tries in vain, while no client executes anything, after which SQLite's busy timeout counts as over."""

_EXECUTES = ("execute", "executemany", "executescript", "_execute_fetchall", "_execute_insert")

_LOOKS_S = 0.05
"""Seconds after which it is looked whether the thread that closes a dead client's file is still there."""

Send: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a function in the connection's thread."""


@dataclass(slots=True)
class _Course:
    """What is known of all connections while the points are on."""

    executed: int = 0
    reading: WeakSet[Any] = field(default_factory=WeakSet[Any])
    """Connections in a transaction that has read or written: with one, SQLite refuses to wait for another writer."""


@contextmanager
def aiosqlite_points() -> Generator[None]:
    """While it is open, statements of controlled clients are scheduling points."""
    connection: Any = importlib.import_module("aiosqlite").Connection
    original = connection._execute
    course = _Course()

    async def execute(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        def send(function: Callable[[], Any]) -> Awaitable[Any]:
            sent: Awaitable[Any] = original(self, function)
            return sent

        if orphaned() and getattr(fn, "__name__", "") != "close":
            _finish(self)
            raise Died
        if not controlled():
            async with passing():
                return await original(self, fn, *args, **kwargs)
        # A generator of parameters would be used up by the first try.
        given: list[Any] = [list(cast(Any, value)) if isinstance(value, Iterator) else value for value in args]
        return await _steered(course, self, send, fn, given, kwargs)

    connection._execute = execute
    try:
        yield
    finally:
        connection._execute = original


async def _steered(course: _Course, connection: Any, send: Send, fn: Any, args: list[Any], kwargs: Any) -> Any:
    def run() -> Any:
        return fn(*args, **kwargs)

    name = getattr(fn, "__name__", "")
    text = str(args[0]) if name in _EXECUTES else ""
    inside = connection.in_transaction
    ends = inside and (name == "commit" or commits(text))
    if not ends and (name not in _EXECUTES or frames(text) or commits(text)):
        # A ROLLBACK goes with what made it necessary; rows are fetched with the statement that found them.
        async with passing():
            result = await send(run)
        if not connection.in_transaction:
            course.reading.discard(connection)
        return result
    await point("COMMIT" if ends else text)
    patient = ends or not (inside and connection in course.reading)
    statement = _Statement(course, connection, send, run, patient)
    try:
        async with executing(statement):
            result = await statement.result()
            course.executed += 1
            if connection.in_transaction:
                course.reading.add(connection)
            else:
                course.reading.discard(connection)
            return result
    except Died:
        _finish(connection)
        raise


@dataclass(slots=True)
class _Statement:
    """A `lockwatch.Refused` once SQLite has refused it."""

    course: _Course
    connection: Any
    send: Send
    run: Callable[[], Any]
    patient: bool
    """Whether SQLite would wait for a lock."""
    answer: asyncio.Future[Any] | None = None
    executed: int = -1
    idle: int = 0

    async def result(self) -> Any:
        """Its answer, after a wait where there has to be one."""
        try:
            return await self.send(self._at_once)
        except _Busy:
            self.answer = asyncio.get_running_loop().create_future()
            return await self.answer

    async def still_refused(self) -> bool:
        """Tries it again."""
        if self.answer is None or self.answer.done():
            return False
        self.idle = self.idle + 1 if self.executed == self.course.executed else 0
        self.executed = self.course.executed
        try:
            result = await self.send(self._at_once)
        except _Busy as busy:
            if self.idle < IDLE_TRIES:
                return True
            self._end(error=busy.error)
        except Exception as error:
            self._end(error=error)
        else:
            self._end(result)
        return False

    def _end(self, result: Any = None, error: Exception | None = None) -> None:
        assert self.answer is not None
        if self.answer.done():
            return  # cancelled meanwhile
        if error is None:
            self.answer.set_result(result)
        else:
            self.answer.set_exception(error)

    def _at_once(self) -> Any:
        """In the connection's thread: the statement without SQLite's own waiting."""
        raw: sqlite3.Connection = self.connection._conn
        patience = _pragma(raw, "busy_timeout")
        _pragma(raw, "busy_timeout = 0")
        try:
            return self.run()
        except sqlite3.OperationalError as error:
            # BUSY_SNAPSHOT and LOCKED no waiting ever ends.
            if self.patient and patience and error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, _BUSY_RECOVERY):
                raise _Busy(error) from error
            raise
        finally:
            _pragma(raw, f"busy_timeout = {patience}")


_BUSY_RECOVERY = sqlite3.SQLITE_BUSY | 1 << 8


class _Busy(Exception):
    def __init__(self, error: sqlite3.OperationalError) -> None:
        super().__init__(str(error))
        self.error = error


def _pragma(raw: sqlite3.Connection, text: str) -> int:
    cursor = raw.cursor()
    cursor.row_factory = None  # the store's own may answer anything
    try:
        return int(cursor.execute(f"pragma {text}").fetchone()[0])
    finally:
        cursor.close()


def _finish(connection: Any) -> None:
    """Closes the file as when the process is gone: nothing is committed. It is over when this returns."""
    raw: sqlite3.Connection | None = connection._connection
    if raw is None:
        return
    over = threading.Event()

    def close() -> None:
        try:
            # SQLite keeps a closed connection, with its locks, as long as a cursor of it is open, and a dead client's
            # frames hold theirs until they are collected.
            for cursor in [each for each in gc.get_objects() if isinstance(each, sqlite3.Cursor)]:
                if cursor.connection is raw:
                    cursor.close()
            raw.close()
        finally:
            over.set()

    connection._tx.put_nowait((asyncio.get_running_loop().create_future(), close))
    thread: threading.Thread = getattr(connection, "_thread", connection)  # itself one before aiosqlite 0.22
    # However long that takes: going on before, the living would meet a lock that no process of theirs holds.
    while thread.is_alive() and not over.wait(_LOOKS_S):
        pass

"""The local binding: a D1-shaped database in an SQLite file or in memory, through aiosqlite. Knows no operation.

One connection writes, with group commit (see `group`); a few read. Several processes may use one file. Everything a
batch does happens in one hop to the connection's thread, and no await lies inside a transaction, so a caller that is
cancelled leaves its batch whole: done, or dropped before it began.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, TypeVar, cast

import aiosqlite
from storeproof.adapters.d1.binding import Row, Statement, reads_only
from storeproof.adapters.d1.failures import unavailable
from storeproof.adapters.d1.group import Outcome, Settings, open_reader, open_writer, run_group, run_reads
from storeproof.adapters.d1.strict import as_d1_binds
from storeproof.spec.errors import StoreUnavailable

T = TypeVar("T")

_READERS = 3
_GROUP = 128
"""Batches in one transaction at most: so many fit into one fsync well enough, and nobody waits for many more."""


class _Connection:
    """A connection in a thread of aiosqlite's."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._raw: sqlite3.Connection | None = None
        self._failure: sqlite3.Error | None = None

        def connector() -> sqlite3.Connection:
            try:
                self._raw = connect()
            except sqlite3.Error as error:
                # Not raised here: aiosqlite then leaves its thread to end by itself, perhaps after the event loop has.
                self._failure = error
                self._raw = sqlite3.connect(":memory:")
            return self._raw

        self._threaded = aiosqlite.Connection(connector, 64)

    async def open(self) -> None:
        """Raises sqlite3.Error."""
        await self._threaded
        if self._failure is not None:
            await self.close()
            raise self._failure

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` in the thread, in one hop; it runs to its end even if the caller is cancelled."""
        raw = self._raw
        assert raw is not None
        # aiosqlite's public methods are one hop per statement, which costs more than the statement.
        hop = cast(
            "Callable[[Callable[[], T]], Awaitable[T]]",
            self._threaded._execute,  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
        )
        return await hop(partial(work, raw))

    async def close(self) -> None:
        await self._threaded.close()


@dataclass(frozen=True, slots=True)
class _Waiting:
    statements: Sequence[Statement]
    answer: asyncio.Future[list[list[Row]]]


class LocalD1:
    """A `D1Binding`, an async context manager, for one event loop.

    async with LocalD1("workflows.db") as database:
        store = D1Store(database)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        strict: bool = False,
        synchronous: Literal["full", "normal"] = "full",
        busy_timeout_ms: int = 5000,
    ) -> None:
        """`path`: a file, made if it is not there, or ":memory:".

        `strict` binds and refuses as D1 does, for tests. `synchronous="normal"` is faster; a power cut may then lose
        the last answered batches. `busy_timeout_ms`: how long to wait for another process's write, in milliseconds.
        """
        self._settings = Settings(os.fspath(path), strict, busy_timeout_ms, synchronous)
        self._state: Literal["new", "open", "closed"] = "new"
        self._writer = _Connection(partial(open_writer, self._settings))
        self._readers: list[_Connection] = []
        self._idle: asyncio.Queue[_Connection] = asyncio.Queue()
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LocalD1:
        """Opens the database. Raises StoreUnavailable."""
        if self._state != "new":
            raise StoreUnavailable("this LocalD1 was opened before; make another one")
        opened: list[_Connection] = []
        try:
            await self._writer.open()
            opened.append(self._writer)
            for _ in range(0 if self._settings.in_memory else _READERS):
                reader = _Connection(partial(open_reader, self._settings))
                await reader.open()
                opened.append(reader)
        except BaseException as error:
            for connection in opened:
                await connection.close()
            if isinstance(error, sqlite3.Error):
                raise unavailable(error) from error
            raise
        self._readers = opened[1:]
        for reader in self._readers:
            self._idle.put_nowait(reader)
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for every batch that was accepted, refuses all later ones, and closes. Twice is harmless."""
        if self._state == "new":
            return
        if self._closing is None:
            self._state = "closed"
            self._closing = asyncio.create_task(self._close(), name="D1 close")
        # A caller that is cancelled leaves no connection behind: its thread would keep the process alive.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        for _ in self._readers:
            # Reads that wait for a connection are served first: the queue is fair.
            reader = await self._idle.get()
            await reader.close()
        await self._writer.close()

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """See `D1Binding`. Raises StoreUnavailable."""
        if self._state != "open":
            state = "closed" if self._state == "closed" else "not open yet; use `async with`"
            raise StoreUnavailable(f"the database {self._settings.path} is {state}")
        try:
            if not statements:
                raise ValueError("No SQL statements detected.")
            bound = as_d1_binds(statements) if self._settings.strict else list(statements)
            return await (self._read(bound) if reads_only(bound) else self._write(bound))
        except Exception as error:
            raise unavailable(error) from error

    async def _read(self, statements: list[Statement]) -> list[list[Row]]:
        """A reader's transaction begins after this call and so sees every answered write.

        In memory there is one connection, whose thread runs this between two groups.
        """
        work = partial(run_reads, statements=statements)
        if self._settings.in_memory:
            return await self._writer.run(work)
        reader = await self._idle.get()
        try:
            return await reader.run(work)
        finally:
            self._idle.put_nowait(reader)

    async def _write(self, statements: list[Statement]) -> list[list[Row]]:
        waiting = _Waiting(statements, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            # A task that ends when nobody waits: an idle database has nothing to stop.
            self._writing = asyncio.create_task(self._write_groups(), name="D1 group commit")
        return await waiting.answer

    async def _write_groups(self) -> None:
        group: list[_Waiting] = []
        try:
            while self._waiting:
                size = min(len(self._waiting), _GROUP)
                taken = [self._waiting.popleft() for _ in range(size)]
                group = [waiting for waiting in taken if not waiting.answer.done()]  # the others were cancelled
                if group:
                    for waiting, outcome in zip(group, await self._commit(group), strict=True):
                        _answer(waiting, outcome)
        except asyncio.CancelledError:
            # The event loop is being shut down. The group in the thread comes to its end; nobody hears of it.
            for waiting in (*group, *self._waiting):
                waiting.answer.cancel()
            self._waiting.clear()
            raise
        finally:
            self._writing = None

    async def _commit(self, group: list[_Waiting]) -> list[Outcome]:
        work = partial(run_group, group=[waiting.statements for waiting in group])
        try:
            return await self._writer.run(work)
        except Exception as error:
            return [error] * len(group)


def _answer(waiting: _Waiting, outcome: Outcome) -> None:
    if waiting.answer.done():
        return  # the caller was cancelled meanwhile; its batch is done, whole
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)

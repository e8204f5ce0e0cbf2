"""The stages of the reference adapters: Postgres, and SQLite behind the D1 binding. Restores a setup by copying rows.

Drivers and adapters are imported when a stage is opened. Everything happens in the target's own schema or in memory.
"""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from typing import Any

from storeproof.conformance.lockwatch import BLOCKED
from storeproof.conformance.points import executing, point
from storeproof.conformance.programs import Program
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.scheduling import Probe
from storeproof.conformance.stages import CLIENTS
from storeproof.reference.model import Outcome
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.specification import Specification

OpenStore = Callable[[AsyncExitStack], Any]
NOTICED_S = 10.0
"""Seconds within which a server has to notice that a connection of ours is gone."""


class PostgresStage:
    """Clients of a Postgres store, each with a pool of its own; blocked sessions are asked for on one more connection.

    `make` makes an adapter, an async context manager, for the URL it is given.
    """

    sees = "statements"
    quick = True
    shared = False

    def __init__(
        self, make: Callable[[str], Any], url: str, schema: str, tables: Sequence[str], specification: Specification
    ) -> None:
        self._make = make
        self._url = self._quick_url = url
        self._schema = schema
        self._tables = tables
        self._specification = specification
        self._stacks: list[AsyncExitStack] = []
        self._stores: list[PythonStore] = []
        self._kept: list[Program] = []
        self._connection: Any = None

    async def open(self) -> None:
        """Opens a store for each client, one for the setup, and the connection that watches."""
        psycopg = importlib.import_module("psycopg")
        self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        self._quick_url = await quick_url(self._connection, self._url)
        for number in range(CLIENTS + 1):
            stack = AsyncExitStack()
            self._stores.append(await self._opened(stack, number))
            self._stacks.append(stack)

    async def close(self) -> None:
        """Closes the stores and drops what was kept."""
        for stack in self._stacks:
            await stack.aclose()
        if self._connection is not None:
            copies = [self._copy(number, name) for number in range(len(self._kept)) for name in self._tables]
            if copies:
                await self._run(f"drop table {', '.join(copies)}")
            await self._connection.close()

    def points(self) -> AbstractContextManager[None]:
        """Every statement of psycopg."""
        found: AbstractContextManager[None] = importlib.import_module(
            "storeproof.conformance.psycopgpoints"
        ).psycopg_points()
        return found

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """The rows of the longest kept beginning are copied back in one round trip."""
        number = longest(self._kept, setup)
        restored = () if number is None else self._kept[number]
        await self._run(self._emptied() + ("" if number is None else self._restored(number)))
        outcomes = [await self.reader.call(call.operation, call.args) for call in setup[len(restored) :]]
        if keep and len(restored) < len(setup):
            number = len(self._kept)
            self._kept.append(setup)
            await self._run(
                "".join(
                    f"create table {self._copy(number, name)} as table {self._name(name)};" for name in self._tables
                )
            )
        return outcomes

    def client(self, number: int) -> PythonStore:
        """The store of a client."""
        return self._stores[number]

    @property
    def reader(self) -> PythonStore:
        """The store that sets up and reads."""
        return self._stores[CLIENTS]

    async def revive(self, number: int) -> None:
        """Closes what is left of a dead client's store and opens another; waits until the server has noticed."""
        await self._stacks[number].aclose()
        self._stacks[number] = AsyncExitStack()
        await self._noticed(number)
        self._stores[number] = await self._opened(self._stacks[number], number)

    async def fingerprint(self) -> Hashable | None:
        """Every row of every table as text."""
        parts = ", ".join(
            f"(select string_agg(r::text, e'\\n' order by r::text collate \"C\") from {self._name(name)} r)"
            for name in self._tables
        )
        try:
            cursor = await self._connection.execute(f"select {parts}")
        except importlib.import_module("psycopg").OperationalError:
            return None  # the server was restarted
        return tuple(await cursor.fetchone())

    @property
    def probe(self) -> Probe:
        """Whether the backend with a process id waits for another's lock."""
        return self._blocked

    async def _blocked(self, session: object) -> bool:
        cursor = await self._connection.execute(BLOCKED.format("%(pid)s"), {"pid": session})
        [blocked] = await cursor.fetchone()
        return bool(blocked)

    async def _noticed(self, number: int) -> None:
        """Until the server has ended a client's sessions, and with them their locks: a claim would skip such rows."""
        sessions = "select from pg_stat_activity where application_name = %s and pid <> pg_backend_pid()"
        async with asyncio.timeout(NOTICED_S):
            while (await self._connection.execute(sessions, (self._session_name(number),))).rowcount:
                await asyncio.sleep(0.0005)

    def _session_name(self, number: int) -> str:
        return f"{self._schema} {number}"[-63:]  # the server cuts it there

    async def _opened(self, stack: AsyncExitStack, number: int) -> PythonStore:
        conninfo = importlib.import_module("psycopg").conninfo
        url = conninfo.make_conninfo(self._quick_url, application_name=self._session_name(number))
        store = await stack.enter_async_context(self._make(url))
        python = PythonStore(store, self._specification)
        # The pool connects now, not in the middle of a schedule.
        await python.call("loadRun", {"runId": "warm"})
        return python

    async def _run(self, statements: str) -> None:
        await self._connection.execute(statements)

    def _emptied(self) -> str:
        return "".join(f"delete from {self._name(name)};" for name in self._tables)

    def _restored(self, number: int) -> str:
        return "".join(f"insert into {self._name(name)} table {self._copy(number, name)};" for name in self._tables)

    def _name(self, table: str) -> str:
        return f'"{self._schema}"."{table}"'

    def _copy(self, number: int, table: str) -> str:
        return f'"{self._schema}"."kept_{number}_{table}"'


class SqliteStage:
    """Clients of the D1 core over one SQLite database in memory, run inline: a batch is one step, and none waits."""

    sees = "statements"
    quick = True
    shared = False
    probe: Probe | None = None

    def __init__(self, make: Callable[[Any], Any], tables: Sequence[str], specification: Specification) -> None:
        self._make = make
        self._tables = tables
        self._specification = specification
        self._stack = AsyncExitStack()
        self._binding = InlineBinding()
        self._stores: list[PythonStore] = []
        self._kept: list[Program] = []

    async def open(self) -> None:
        """Makes the database and the stores."""
        self._binding.open()
        for _ in range(CLIENTS + 1):
            self._stores.append(await self._opened())
        reader: Any = self.reader.store
        await reader.ensure_schema()

    async def close(self) -> None:
        """Closes both."""
        await self._stack.aclose()
        self._binding.connection.close()

    def points(self) -> AbstractContextManager[None]:
        """The binding itself says where they are."""
        return nullcontext()

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """The rows of the longest kept beginning are copied back."""
        number = longest(self._kept, setup)
        restored = () if number is None else self._kept[number]
        execute = self._binding.connection.execute
        for name in self._tables:
            execute(f'delete from "{name}"')
            if number is not None:
                execute(f'insert into "{name}" select * from "kept_{number}_{name}"')
        outcomes = [await self.reader.call(call.operation, call.args) for call in setup[len(restored) :]]
        if keep and len(restored) < len(setup):
            for name in self._tables:
                execute(f'create table "kept_{len(self._kept)}_{name}" as select * from "{name}"')
            self._kept.append(setup)
        return outcomes

    def client(self, number: int) -> PythonStore:
        """The store of a client."""
        return self._stores[number]

    @property
    def reader(self) -> PythonStore:
        """The store that sets up and reads."""
        return self._stores[CLIENTS]

    async def revive(self, number: int) -> None:
        """Another store for the client."""
        self._stores[number] = await self._opened()

    async def fingerprint(self) -> Hashable | None:
        """Every row of every table."""
        select = self._binding.connection.execute
        return tuple(frozenset(select(f'select * from "{name}"').fetchall()) for name in self._tables)

    async def _opened(self) -> PythonStore:
        store = await self._stack.enter_async_context(self._make(self._binding))
        return PythonStore(store, self._specification)


async def quick_url(connection: Any, url: str) -> str:
    """The URL with commits that do not wait for the disk, and deadlocks found at once, where the server allows it.

    With the shortest deadlock_timeout the last session to wait is always the victim, so runs repeat themselves.
    """
    psycopg = importlib.import_module("psycopg")
    settings = {"synchronous_commit": "off", "deadlock_timeout": "1ms"}
    for name, value in dict(settings).items():
        try:
            await connection.execute(f"set {name} = '{value}'")
        except psycopg.errors.InsufficientPrivilege:
            del settings[name]
    given = psycopg.conninfo.conninfo_to_dict(url).get("options") or ""
    options = " ".join([given, *(f"-c {name}={value}" for name, value in settings.items())]).strip()
    made: str = psycopg.conninfo.make_conninfo(url, options=options)
    return made


def longest(kept: Sequence[Program], setup: Program) -> int | None:
    """Which of the kept programs is the longest beginning of the setup."""
    fitting = [number for number, program in enumerate(kept) if setup[: len(program)] == program]
    return max(fitting, key=lambda number: len(kept[number]), default=None)


class SteppedBinding:
    """A D1 binding whose batches are scheduling points."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def batch(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[list[dict[str, Any]]]:
        """As the binding's own."""
        await point("; ".join(sql for sql, _ in statements))
        async with executing(lost=lambda: StoreUnavailable("Network connection lost", retryable=True)):
            rows: list[list[dict[str, Any]]] = await self._binding.batch(statements)
            return rows


class InlineBinding:
    """SQLite in this thread, with a batch as one transaction: what LocalD1 does in its thread, without the thread."""

    connection: sqlite3.Connection

    def open(self) -> None:
        """Opens the database in memory."""
        group = importlib.import_module("storeproof.adapters.d1.group")
        self.connection = group.open_writer(group.Settings(":memory:", False, 0, "normal"))
        self._group = group
        self._reads_only = importlib.import_module("storeproof.adapters.d1.binding").reads_only
        self._unavailable = importlib.import_module("storeproof.adapters.d1.failures").unavailable

    async def batch(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[list[dict[str, Any]]]:
        """See D1Binding. Raises StoreUnavailable."""
        await point("; ".join(sql for sql, _ in statements))
        async with executing(lost=lambda: self._unavailable(sqlite3.OperationalError("Network connection lost"))):
            try:
                if self._reads_only(statements):
                    read: list[list[dict[str, Any]]] = self._group.run_reads(self.connection, statements)
                    return read
                [outcome] = self._group.run_group(self.connection, [statements])
            except sqlite3.Error as error:
                raise self._unavailable(error) from error
            if isinstance(outcome, Exception):
                raise self._unavailable(outcome) from outcome
            written: list[list[dict[str, Any]]] = outcome
            return written

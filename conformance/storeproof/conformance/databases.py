"""The reference adapters on real databases: a SQLite file or memory, a Postgres server, the embedded one included.

The kit touches only what it created: in Postgres a schema of its own, dropped in the end; a SQLite file is new, or one
that an earlier run marked as the kit's. Adapters and drivers are imported when a target of theirs is opened.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing
from pathlib import Path
from typing import Any

from storeproof.conformance.addresses import without_password
from storeproof.conformance.databasefaults import Faults, postgres_faults, sqlite_faults
from storeproof.conformance.databasestages import PostgresStage, SqliteStage, quick_url
from storeproof.conformance.embedded import URL_VARIABLE, embedded_url
from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.conformance.programs import Arguments
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.stages import Stage
from storeproof.conformance.targets import Target
from storeproof.reference.model import Outcome
from storeproof.spec.specification import Specification

MARK = "storeproof_conformance_kit"
"""The table that marks a SQLite file as the kit's own."""


def target(name: str, specification: Specification, limit_s: float) -> Target:
    """The target of `sqlite:…` or `postgresql:…`; raises UsageError for an address that means nothing."""
    scheme, _, rest = name.partition(":")
    if scheme == "sqlite":
        if rest.startswith("//"):
            raise UsageError(f"{name}: write sqlite:FILE, sqlite::memory: or sqlite: (a temporary file)")
        if rest not in ("", ":memory:"):
            _must_be_ours(name, Path(rest))  # here too: nothing runs where one of several targets cannot
        return SqliteTarget(name, rest or None, specification, limit_s)
    if rest and not rest.startswith("//"):
        raise UsageError(f"{name}: write postgresql://USER@HOST/DATABASE, or postgresql: for the embedded server")
    try:
        without_password(name)
    except ValueError as error:
        raise UsageError(f"{scheme}:… is no address of a server: {error}") from error
    return PostgresTarget(name, name if rest else None, specification, limit_s)


class _DatabaseTarget:
    """What both share: a store that is opened on data that stay, and emptied before every program."""

    capabilities: frozenset[str] = frozenset({"durable", "subscribe"})

    def __init__(self, name: str, specification: Specification, limit_s: float) -> None:
        self.name = name
        self.hidden: Mapping[str, str] = {}
        self.elsewhere = False
        self._specification = specification
        self._limit_s = limit_s
        self._opened: AsyncExitStack | None = None
        self._python: PythonStore | None = None

    async def call(self, operation: str, args: Arguments) -> Outcome:
        """One call in wire form."""
        assert self._python is not None, "open() comes first"
        return await self._python.call(operation, args)

    @property
    def store(self) -> Any:
        """The adapter."""
        assert self._python is not None, "open() comes first"
        return self._python.store

    async def reopen(self) -> None:
        """Closes the adapter with its connections and opens a new one."""
        await self._leave()
        await self._enter()

    async def _enter(self) -> None:
        stack = AsyncExitStack()
        try:
            store = await self._open_store(stack)
        except Exception as error:
            await stack.aclose()
            raise HarnessError(f"{self.name}: {_problem(error)}") from error
        self._opened = stack
        self._python = PythonStore(store, self._specification, self._limit_s)

    async def _leave(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.aclose()

    async def _open_store(self, stack: AsyncExitStack) -> Any:
        raise NotImplementedError


class SqliteTarget(_DatabaseTarget):
    """The D1 adapter with its local binding."""

    def __init__(
        self, name: str, path: str | None, specification: Specification, limit_s: float, store: type[Any] | None = None
    ) -> None:
        """`store`: another class that is made as D1Store is."""
        super().__init__(name, specification, limit_s)
        self._store = store
        self._folder: Path | None = None
        self._path = path
        self._database: Any = None
        if path == ":memory:":
            self.capabilities = frozenset({"subscribe"})

    async def open(self) -> None:
        """Makes the file, or checks that it is the kit's."""
        if self._path is None:
            self._folder = Path(tempfile.mkdtemp(prefix="storeproof-"))
            self._path = str(self._folder / "store.sqlite")
        elif self._path != ":memory:":
            _must_be_ours(self.name, Path(self._path))
        await self._enter()
        await self.store.ensure_schema()
        if self._path != ":memory:":
            await self._database.batch([(f'create table if not exists "{MARK}" (created text)', ())])

    async def close(self) -> None:
        """Closes the database; a temporary file goes, a named one stays."""
        await self._leave()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def reset(self) -> None:
        """Empties every table of the store."""
        tables = _table_names()
        await self._database.batch([(f'delete from "{name}"', ()) for name in tables])

    def environment(self) -> dict[str, str]:
        """Versions of SQLite and of the driver."""
        return {"sqlite": sqlite3.sqlite_version, "aiosqlite": _version("aiosqlite")}

    def faults(self) -> AbstractAsyncContextManager[Faults] | None:
        """A process that is killed, on a file of its own."""
        return sqlite_faults(self._adapter(), self._specification) if "durable" in self.capabilities else None

    def stage(self) -> Stage:
        """Clients over one database in memory, whose batches run inline."""
        return SqliteStage(
            lambda binding: self._adapter()(binding, poll_ms=POLL_MS), _table_names(), self._specification
        )

    def _adapter(self) -> Any:
        return self._store or _adapter("storeproof.adapters.d1", "storeproof[d1]").D1Store

    async def _open_store(self, stack: AsyncExitStack) -> Any:
        local = _adapter("storeproof.adapters.d1.local", "storeproof[d1]")
        self._database = await stack.enter_async_context(local.LocalD1(self._path, synchronous="normal"))
        return await stack.enter_async_context(self._adapter()(self._database, poll_ms=POLL_MS))


POLL_MS = 5
"""How often a subscription of a reference adapter looks for events here: short, so that the check need not wait."""


class PostgresTarget(_DatabaseTarget):
    """The Postgres adapter in a schema of the kit's own."""

    def __init__(
        self, name: str, url: str | None, specification: Specification, limit_s: float, store: type[Any] | None = None
    ) -> None:
        """`store`: another class that is made as PostgresStore is."""
        self._store = store
        super().__init__(without_password(name), specification, limit_s)
        self._named = url is not None
        self._url = url
        self._schema = f"storeproof_{secrets.token_hex(6)}"
        self._connection: Any = None
        self._server_version = ""

    async def open(self) -> None:
        """Connects, creates the schema and the tables in it."""
        psycopg = _adapter("psycopg", "storeproof[postgres]")
        self._url = self._url or embedded_url()
        try:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10)
        except psycopg.Error as error:
            raise HarnessError(f"{self.name}: cannot connect to the server: {str(error).strip()}") from error
        self._server_version = str(self._connection.info.server_version)
        self._url = await quick_url(self._connection, self._url)
        await self._enter()
        await self.store.ensure_schema()

    async def close(self) -> None:
        """Drops the schema and disconnects."""
        await self._leave()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.execute(f'drop schema if exists "{self._schema}" cascade')
            await connection.close()

    async def reset(self) -> None:
        """Empties every table of the store in one round trip."""
        psycopg = importlib.import_module("psycopg")
        deletes = "; ".join(f'delete from "{self._schema}"."{name}"' for name in _table_names())
        try:
            await self._connection.execute(deletes)
        except psycopg.Error as error:
            raise HarnessError(f"{self.name}: the server cannot be reached any more: {str(error).strip()}") from error

    def environment(self) -> dict[str, str]:
        """Versions of the server and of the driver."""
        return {"postgres": self._server_version, "psycopg": _version("psycopg")}

    def faults(self) -> AbstractAsyncContextManager[Faults]:
        """Killed processes and broken connections; restarts only of a server that nobody named."""
        assert self._url is not None, "open() comes first"
        restarts = not self._named and not os.environ.get(URL_VARIABLE)
        return postgres_faults(self._class(), self._url, _table_names(), self._specification, restarts=restarts)

    def stage(self) -> Stage:
        """Clients in the target's own schema, each with one connection."""
        assert self._url is not None, "open() comes first"
        return PostgresStage(self._made, self._url, self._schema, _table_names(), self._specification)

    async def _open_store(self, stack: AsyncExitStack) -> Any:
        return await stack.enter_async_context(self._made(self._url, pool_size=4))

    def _class(self) -> Any:
        return self._store or _adapter("storeproof.adapters.postgres", "storeproof[postgres]").PostgresStore

    def _made(self, url: str | None, pool_size: int = 2) -> Any:
        return self._class()(url, schema=self._schema, pool_size=pool_size, poll_ms=POLL_MS)


def _adapter(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise HarnessError(f"{error.name} is not installed; pip install '{extra}'") from error


def _table_names() -> Sequence[str]:
    """All tables of a store but the one that records migrations."""
    names = importlib.import_module("storeproof.adapters.names").TableNames()
    return [getattr(names, key) for key in names.__slots__ if key != "schema_migrations"]


def _must_be_ours(name: str, path: Path) -> None:
    if not path.exists():
        if not path.parent.is_dir():
            raise UsageError(f"{name}: there is no folder {path.parent}")
        return
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            marked = connection.execute("select 1 from sqlite_master where name = ?", (MARK,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{name}: {path} is no SQLite file: {error}") from error
    if marked is None:
        raise UsageError(f"{name}: {path} exists and is not the kit's; name a file that does not exist yet")


def _problem(error: BaseException) -> str:
    return str(error) if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)

"""Where processes are killed: data that stay, a stage of this process over them, and how a victim opens its store.

A SQLite file is put there whole before each victim, as its setup left it; in Postgres the stage restores its tables.
"""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from storeproof.conformance.databasestages import NOTICED_S
from storeproof.conformance.programs import Program
from storeproof.conformance.pythonstore import PythonStore
from storeproof.conformance.scheduling import Probe
from storeproof.conformance.stages import Stage
from storeproof.conformance.victimprocess import opened
from storeproof.reference.model import Outcome
from storeproof.spec.specification import Specification

Point: TypeAlias = Literal["before", "during", "after"]
"""Of a statement; `during`: it was sent and is not answered."""

NAME = "storeproof victim"
"""What the sessions of victims are called in Postgres."""


class Place(Protocol):
    """Where a process can be killed. Its stage is open, and is prepared before each victim."""

    @property
    def stage(self) -> Stage:
        """Over the same data, in this process."""
        ...

    @property
    def modules(self) -> Sequence[str]:
        """What a victim needs, to be imported once."""
        ...

    @property
    def whens(self) -> Sequence[Point]:
        """When a statement can be cut here."""
        ...

    async def left(self) -> dict[str, Any]:
        """Leaves the data alone; how a victim opens its store, as `victimprocess.opened` takes it."""
        ...

    async def gone(self) -> None:
        """Returns when nothing that a dead victim began can take effect any more; the stage's reader is fresh then."""
        ...


class SqlitePlace:
    """A file in a folder of its own, through the local binding as in production."""

    whens: Sequence[Point] = ("before", "after")

    def __init__(self, folder: Path, store: str, specification: Specification) -> None:
        """`store`: `module:class`, made as D1Store is."""
        self.stage = _FileStage(folder, store, specification)
        self.modules = ("storeproof.adapters.d1.local", *_MODULES, store.partition(":")[0])

    async def left(self) -> dict[str, Any]:
        """The path of a file that nobody has open."""
        await self.stage.leave()
        return self.stage.opening

    async def gone(self) -> None:
        """A process that is dead has no locks; who opens the file next recovers it."""
        await self.stage.enter()


class PostgresPlace:
    """The schema of an open stage. `url` is its server's."""

    whens: Sequence[Point] = ("before", "during", "after")

    def __init__(self, stage: Stage, url: str, schema: str, store: str) -> None:
        """`store`: `module:class`, made as PostgresStore is."""
        self.stage = stage
        self.modules = ("psycopg", "psycopg_pool", *_MODULES, store.partition(":")[0])
        self._url = url
        conninfo = importlib.import_module("psycopg").conninfo
        named = conninfo.make_conninfo(url, application_name=f"{NAME} {schema}"[:63])
        self._opening = {"kind": "postgresql", "class": store, "url": named, "schema": schema}

    async def left(self) -> dict[str, Any]:
        """The URL and the schema; clients of the stage may be connected."""
        return self._opening

    async def gone(self) -> None:
        """Waits until the server has ended the victim's sessions: one may still be at work."""
        psycopg = importlib.import_module("psycopg")
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            sessions = "select from pg_stat_activity where application_name = %s"
            name = f"{NAME} {self._opening['schema']}"[:63]
            async with asyncio.timeout(NOTICED_S):
                while (await connection.execute(sessions, (name,))).rowcount:
                    await asyncio.sleep(0.001)


_MODULES = (
    "storeproof.conformance.programs",
    "storeproof.conformance.pythonstore",
    "storeproof.spec.arguments",
    "storeproof.spec.loader",
)


class _FileStage:
    """Its reader is the only client that it has; the victims are the others."""

    sees = "calls"
    quick = True
    shared = False
    probe: Probe | None = None

    def __init__(self, folder: Path, store: str, specification: Specification) -> None:
        self._path = folder / "store.sqlite"
        self.opening = {"kind": "sqlite", "class": store, "path": str(self._path)}
        self._specification = specification
        self._stack = AsyncExitStack()
        self._reader: PythonStore | None = None
        self._images: list[tuple[Program, bytes]] = []

    async def open(self) -> None:
        """The file comes with the first setup."""

    async def close(self) -> None:
        """Closes the reader."""
        await self.leave()

    def points(self) -> AbstractContextManager[None]:
        """None: nobody is steered here."""
        return nullcontext()

    async def prepare(self, setup: Program, *, keep: bool = False) -> list[Outcome]:
        """Puts the file there as it was when a store had done the setup and was closed."""
        await self.leave()
        outcomes: list[Outcome] = []
        image = next((image for kept, image in self._images if kept == setup), None)
        if image is None:
            self._remove()
            await self.enter()
            store: Any = self.reader.store
            await store.ensure_schema()
            outcomes = [await self.reader.call(call.operation, call.args) for call in setup]
            await self.leave()
            image = self._path.read_bytes()
            self._images.append((setup, image))
        self._remove()
        self._path.write_bytes(image)
        return outcomes

    def client(self, number: int) -> PythonStore:
        """The reader."""
        return self.reader

    @property
    def reader(self) -> PythonStore:
        """A store in this process; between `leave` and `enter` there is none."""
        assert self._reader is not None
        return self._reader

    async def revive(self, number: int) -> None:
        """Another reader."""
        await self.leave()
        await self.enter()

    async def fingerprint(self) -> Hashable | None:
        """Every row of every table."""
        with closing(sqlite3.connect(self._path)) as connection:
            names = connection.execute("select name from sqlite_master where type = 'table' order by name").fetchall()
            return tuple(frozenset(connection.execute(f'select * from "{name}"').fetchall()) for (name,) in names)

    async def enter(self) -> None:
        """Opens the reader."""
        self._reader = PythonStore(await opened(self._stack, self.opening), self._specification)

    async def leave(self) -> None:
        """Closes it, if it is open."""
        self._reader = None
        await self._stack.aclose()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

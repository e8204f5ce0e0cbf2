"""What can fail about the databases of the reference adapters, and where a process that uses them can be killed.

Nothing fails but what the kit made: its own sessions, and a Postgres server of its own for restarts. A server that
somebody named is never restarted.
"""

from __future__ import annotations

import importlib
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storeproof.conformance.catalogue import WORLDS
from storeproof.conformance.databasestages import PostgresStage
from storeproof.conformance.outages import Fault, OpenStage, dropping, losing, restarting
from storeproof.conformance.restartable import restartable_server
from storeproof.conformance.victimplaces import Place, PostgresPlace, SqlitePlace
from storeproof.spec.specification import Specification


@dataclass(frozen=True, slots=True)
class Outage:
    """A fault that strikes while clients are at work. `calls` and `runs`: how long and how wide the loads are."""

    name: str
    open_stage: OpenStage
    fault: Callable[[int], Fault]
    """By a seed."""
    calls: int = 8
    runs: int = 3
    most_loads: int = 1_000


@dataclass(frozen=True, slots=True)
class Faults:
    """Everything that can be made to fail for one target."""

    place: Place
    outages: tuple[Outage, ...] = ()


@asynccontextmanager
async def sqlite_faults(store: type[Any], specification: Specification) -> AsyncGenerator[Faults]:
    """A file in a temporary folder; what can fail is the process."""
    with tempfile.TemporaryDirectory(prefix="storeproof-") as folder:
        place = SqlitePlace(Path(folder), _path(store), specification)
        try:
            yield Faults(place)
        finally:
            await place.stage.close()


@asynccontextmanager
async def postgres_faults(
    store: type[Any], url: str, tables: Sequence[str], specification: Specification, *, restarts: bool
) -> AsyncGenerator[Faults]:
    """Sessions that end, answers that are lost; with `restarts` also a server of the kit's own that is restarted."""
    async with AsyncExitStack() as stack:
        schema = await stack.enter_async_context(_schema(store, url))
        stage = _stage(store, url, schema, tables, specification)
        await stage.open()
        stack.push_async_callback(stage.close)
        await stage.prepare(WORLDS["waiting"], keep=True)

        def again() -> PostgresStage:
            return _stage(store, url, schema, tables, specification)

        outages = [
            Outage("connections dropped", again, lambda seed: dropping(url, schema, seed)),
            Outage("answers lost", again, lambda seed: losing(schema, seed)),
        ]
        if restarts:
            server = stack.enter_context(restartable_server())
            other = await stack.enter_async_context(_schema(store, server.url))

            def elsewhere() -> PostgresStage:
                return _stage(store, server.url, other, tables, specification)

            outages += [
                Outage("server restarts", elsewhere, lambda seed: restarting(server, "fast", seed), 30, 15, 1),
                Outage("server crashes", elsewhere, lambda seed: restarting(server, "immediate", seed), 30, 15, 1),
            ]
        yield Faults(PostgresPlace(stage, url, schema, _path(store)), tuple(outages))


@asynccontextmanager
async def _schema(store: type[Any], url: str) -> AsyncGenerator[str]:
    """A schema of its own with the tables of the store."""
    psycopg = importlib.import_module("psycopg")
    schema = f"storeproof_{secrets.token_hex(6)}"
    async with store(url, schema=schema) as first:
        await first.ensure_schema()
    try:
        yield schema
    finally:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f'drop schema if exists "{schema}" cascade')


def _stage(
    store: type[Any], url: str, schema: str, tables: Sequence[str], specification: Specification
) -> PostgresStage:
    conninfo = importlib.import_module("psycopg").conninfo

    def made(given: str) -> Any:
        # What was answered must survive a crash of the server, so here commits wait for the disk.
        options = f"{conninfo.conninfo_to_dict(given).get('options') or ''} -c synchronous_commit=on"
        return store(conninfo.make_conninfo(given, options=options), schema=schema, pool_size=2)

    return PostgresStage(made, url, schema, tables, specification)


def _path(store: type[Any]) -> str:
    return f"{store.__module__}:{store.__qualname__}"

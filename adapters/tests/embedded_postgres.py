"""A Postgres for the tests of this folder: one server per process, one fresh schema per test.

STOREPROOF_PG_URL names another server; of its database only schemas of random names are used.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from storeproof.adapters.postgres import PostgresStore, TableNames
from storeproof.conformance.embedded import embedded_url

T = TypeVar("T")


@asynccontextmanager
async def fresh_schema(name: str | None = None) -> AsyncGenerator[str]:
    """The name of a schema that does not exist yet and is dropped at the end."""
    schema = name or f"test_{uuid.uuid4().hex}"
    try:
        yield schema
    finally:
        async with await psycopg.AsyncConnection.connect(embedded_url(), autocommit=True) as connection:
            await connection.execute("set client_min_messages to warning")
            await connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


@asynccontextmanager
async def fresh_store(*, tables: TableNames | None = None) -> AsyncGenerator[tuple[PostgresStore, str]]:
    """A store on an empty migrated schema, and the schema's name."""
    async with (
        fresh_schema() as schema,
        PostgresStore(embedded_url(), schema=schema, tables=tables, poll_ms=10) as store,
    ):
        await store.ensure_schema()
        yield store, schema


class Session:
    """A connection of the test's own, with the schema in its search path: the other program in a race."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], observer: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._observer = observer

    async def run(self, statement: str, parameters: Mapping[str, object] | None = None) -> list[Any]:
        """The rows of a statement in the open transaction."""
        cursor = await self._connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []

    async def commit(self) -> None:
        await self._connection.commit()

    async def until_blocking(self, sessions: int = 1) -> None:
        """Waits until so many sessions wait for a lock of this one."""
        async with asyncio.timeout(10):
            while True:
                query = b"select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
                cursor = await self._observer.execute(query, [self._connection.info.backend_pid])
                row = await cursor.fetchone()
                if row and row[0] >= sessions:
                    return
                await asyncio.sleep(0.005)

    async def released(self, work: Coroutine[Any, Any, T]) -> T:
        """Starts `work`, commits once it waits for this session, and gives its result."""
        task = asyncio.create_task(work)
        await self.until_blocking()
        await self.commit()
        return await task


@asynccontextmanager
async def session(schema: str) -> AsyncGenerator[Session]:
    async with (
        await psycopg.AsyncConnection.connect(embedded_url()) as connection,
        await psycopg.AsyncConnection.connect(embedded_url(), autocommit=True) as observer,
    ):
        await connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(schema)))
        await connection.commit()
        yield Session(connection, observer)


def on_store(scenario: Callable[[PostgresStore, str], Awaitable[None]]) -> None:
    """Runs a scenario on a fresh store; it also gets the schema's name."""

    async def main() -> None:
        async with fresh_store() as (store, schema):
            await scenario(store, schema)

    asyncio.run(main())

"""Where statements run: an own psycopg pool, or an application's SQLAlchemy engine, behind one small interface.

No state outlives a statement or a transaction, so a transaction pooler between here and Postgres does no harm. Raises
psycopg's errors, or `Unreachable` if there was no connection to send anything on. Knows no operation and no retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

POOL_WAIT_SECONDS = 10.0
"""How long a statement may wait for a connection of the own pool."""

Row: TypeAlias = Mapping[str, Any]
Run: TypeAlias = Callable[[str, Mapping[str, object]], Awaitable[list[Row]]]
"""Runs one statement with its parameters, `%(name)s`; a literal `%` is doubled."""

_Connection: TypeAlias = psycopg.AsyncConnection[dict[str, Any]]


class Unreachable(Exception):
    """There was no connection, so nothing was sent. The reason is the `__cause__`."""


class Connections(Protocol):
    """One statement, or several in one transaction."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        """The statement, a transaction by itself; its rows."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Run]:
        """A READ COMMITTED transaction: committed at the end of the block, rolled back if the block raises."""
        ...


def connections(database: str | AsyncEngine, *, pool_size: int) -> Connections:
    """Raises ValueError for an engine whose driver is not psycopg."""
    return PoolConnections(database, pool_size) if isinstance(database, str) else EngineConnections(database)


class PoolConnections:
    """An own pool of psycopg connections, from `open` to `close`."""

    def __init__(self, url: str, size: int) -> None:
        """Raises ValueError for a size below 1."""
        if size < 1:
            raise ValueError(f"pool_size is {size}; a store needs at least 1 connection")
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._size = size
        self._pool: AsyncConnectionPool[_Connection] | None = None

    async def open(self) -> None:
        # Made here and not in __init__: the pool belongs to the running event loop.
        self._pool = AsyncConnectionPool(
            self._url,
            connection_class=psycopg.AsyncConnection[dict[str, Any]],
            # Without prepared statements: behind a transaction pooler the next statement may run in another session.
            kwargs={"autocommit": True, "prepare_threshold": None, "row_factory": dict_row},
            min_size=1,
            max_size=self._size,
            timeout=POOL_WAIT_SECONDS,
            open=False,
        )
        await self._pool.open()

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        async with self._connected() as connection:
            return await _run(connection, statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Run]:
        async with self._connected() as connection:
            # Takes effect with the next BEGIN; the whole pool may have it, single statements do not use it.
            await connection.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
            async with connection.transaction():

                async def run(statement: str, parameters: Mapping[str, object]) -> list[Row]:
                    return await _run(connection, statement, parameters)

                yield run

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[_Connection]:
        if self._pool is None:
            raise Unreachable from RuntimeError("the store is not open: use it inside `async with PostgresStore(...)`")
        try:
            connection = await self._pool.getconn()
            # Not the pool's own `check`: it doubles its pause with each dead connection, which after a restart of the
            # server keeps the first callers waiting for seconds. The pool replaces what comes back closed.
            while not _still_open(connection):
                await connection.close()
                await self._give_back(connection)
                connection = await self._pool.getconn()
        except (PoolTimeout, PoolClosed, TooManyRequests, psycopg.Error, OSError) as error:
            raise Unreachable from error
        try:
            yield connection
        finally:
            # Shielded, or a cancelled caller would lose the pool one connection.
            await asyncio.shield(asyncio.ensure_future(self._give_back(connection)))

    async def _give_back(self, connection: _Connection) -> None:
        if self._pool is None:
            await connection.close()
        else:
            await self._pool.putconn(connection)


def _still_open(connection: _Connection) -> bool:
    """Whether the server has not hung up since; reads what already came and sends nothing, so it costs no round trip.

    Twice, because a last message of the server hides the end behind it from the first read.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return not connection.closed


async def _run(connection: _Connection, statement: str, parameters: Mapping[str, object]) -> list[Row]:
    async with connection.cursor() as cursor:
        await cursor.execute(statement.encode(), parameters)
        return list(await cursor.fetchall()) if cursor.description is not None else []


class EngineConnections:
    """An application's engine with the psycopg driver. It is neither configured nor disposed here."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Raises ValueError for another driver."""
        if engine.dialect.name != "postgresql" or engine.dialect.driver not in ("psycopg", "psycopg_async"):
            raise ValueError(
                f"the engine's driver is {engine.dialect.name}+{engine.dialect.driver}; PostgresStore needs "
                "create_async_engine('postgresql+psycopg://…'), or a URL, for which it opens psycopg connections itself"
            )
        self._engine = engine

    async def open(self) -> None:
        """The engine connects when it has to."""

    async def close(self) -> None:
        """The engine is the application's, which disposes of it."""

    async def run(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        async with self._connected("AUTOCOMMIT") as connection:
            return await _run_in_engine(connection, statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Run]:
        async with self._connected("READ COMMITTED") as connection, connection.begin():

            async def run(statement: str, parameters: Mapping[str, object]) -> list[Row]:
                return await _run_in_engine(connection, statement, parameters)

            yield run

    @asynccontextmanager
    async def _connected(self, isolation: str) -> AsyncGenerator[AsyncConnection]:
        connection = self._engine.connect()
        try:
            await connection.start()
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            raise Unreachable from _driver_error(error)
        try:
            await connection.execution_options(isolation_level=isolation)
            yield connection
        except DBAPIError as error:
            raise _driver_error(error) from error
        finally:
            await asyncio.shield(asyncio.ensure_future(connection.close()))


async def _run_in_engine(connection: AsyncConnection, statement: str, parameters: Mapping[str, object]) -> list[Row]:
    # The driver's own SQL, not text(): a colon in a table's name is then no parameter.
    result = await connection.exec_driver_sql(statement, dict(parameters))
    return [dict(row) for row in result.mappings()] if result.returns_rows else []


def _driver_error(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error

"""Makes every statement and COMMIT of psycopg's async connections a scheduling point, SQLAlchemy's over it included.

Everything psycopg sends goes through `AsyncConnection.wait`, so nothing of a store is touched. A statement that is a
transaction by itself is stretched: BEGIN before it, and its COMMIT is a point of its own. To the store and to others it
looks like a statement whose commit takes its time, which is when real clients meet inside one statement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import ExecStatus, TransactionStatus
from storeproof.conformance.points import Died, controlled, executing, orphaned, passing, point
from storeproof.conformance.statementkinds import commits, frames, looks

_EXECUTES = ("_execute_gen", "_executemany_gen_no_pipeline", "_executemany_gen_pipeline", "_stream_send_gen")


@contextmanager
def psycopg_points(seen: Callable[[Any], None] | None = None) -> Generator[None]:
    """While it is open, statements of controlled clients are scheduling points; `seen` is told their connections."""
    connection: Any = psycopg.AsyncConnection
    original: Any = connection.wait

    async def wait(self: Any, gen: Any, *args: Any, **kwargs: Any) -> Any:
        if orphaned():
            self.pgconn.finish()
            raise Died
        if not controlled():
            if gen.gi_code.co_name == "notifies":
                return await original(self, gen, *args, **kwargs)  # listens, perhaps for ever
            async with passing():
                return await original(self, gen, *args, **kwargs)
        if seen is not None:
            seen(self)
        return await _steered(self, gen, lambda: original(self, gen, *args, **kwargs))

    connection.wait = wait
    pools = logging.getLogger("psycopg.pool")  # it warns of every connection that is broken here on purpose
    level = pools.level
    pools.setLevel(logging.ERROR)
    try:
        yield
    finally:
        pools.setLevel(level)
        connection.wait = original


async def _steered(connection: Any, gen: Any, run: Any) -> Any:
    name, values = gen.gi_code.co_name, gen.gi_frame.f_locals
    if name in _EXECUTES:
        text = _text(values["query"], connection)
        if commits(text):
            await point("COMMIT")
            return await _executed(connection, run)
        if not frames(text):
            return await _statement(connection, text, run)
    elif name == "_commit_gen" or (name == "_exit_gen" and values["exc_val"] is None):
        await point("COMMIT")
        return await _executed(connection, run)
    # BEGIN and SET see nothing and hold nothing; a ROLLBACK goes with what made it necessary.
    return await _unless_dead(connection, run)


async def _statement(connection: Any, text: str, run: Any) -> Any:
    alone = connection.autocommit and connection.pgconn.transaction_status == TransactionStatus.IDLE
    stretched = alone and not looks(text)
    await point(text)
    if stretched:
        _exec(connection, b"begin")
    try:
        result = await _executed(connection, run)
    except Exception:
        if stretched and connection.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            _exec(connection, b"rollback")
        raise
    if stretched:
        await point("COMMIT")
        await _executed(connection, lambda: _committed(connection))
    return result


async def _executed(connection: Any, run: Any) -> Any:
    try:
        async with executing(connection.info.backend_pid, lambda: _broken(connection)):
            return await run()
    except Died:
        connection.pgconn.finish()  # as when the process is gone: no ROLLBACK, no farewell
        raise


def _broken(connection: Any) -> Exception:
    connection.pgconn.finish()
    return psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")


async def _unless_dead(connection: Any, run: Any) -> Any:
    if connection.pgconn.status != psycopg.pq.ConnStatus.OK:
        raise psycopg.OperationalError("the connection is closed")
    async with passing(connection.info.backend_pid):
        return await run()


async def _committed(connection: Any) -> None:
    _exec(connection, b"commit")


def _exec(connection: Any, command: bytes) -> None:
    result = connection.pgconn.exec_(command)
    if result.status != ExecStatus.COMMAND_OK:
        raise errors.error_from_result(result)


def _text(query: Any, connection: Any) -> str:
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return query if isinstance(query, str) else str(query.as_string(connection))

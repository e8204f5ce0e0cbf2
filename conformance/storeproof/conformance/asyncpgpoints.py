"""Makes every statement and COMMIT of asyncpg a scheduling point, pools and SQLAlchemy's postgresql+asyncpg included.

All that asyncpg sends goes through its Protocol, so nothing of a store is touched. Statements that are a transaction by
themselves are stretched as in `psycopgpoints`. asyncpg itself is imported when the points are switched on.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from storeproof.conformance.points import Died, controlled, executing, orphaned, passing, point
from storeproof.conformance.statementkinds import QUICK, commits, frames, looks

_STATEMENTS = ("query", "bind_execute", "bind_execute_many", "bind", "copy_in", "copy_out")
_OTHERS = ("prepare", "execute", "close_portal", "close_statement")
"""What belongs to a statement that was seen: `execute` reads on in a cursor, whose rows its `bind` has fixed."""


@contextmanager
def asyncpg_points(seen: Callable[[Any], None] | None = None) -> Generator[None]:
    """While it is open, statements of controlled clients are scheduling points; `seen` is told their connections."""
    quick = WeakSet[Any]()
    protocol: Any = importlib.import_module("asyncpg.protocol").Protocol
    connection: Any = importlib.import_module("asyncpg.connection").Connection
    begun = {name: getattr(protocol, name) for name in (*_STATEMENTS, *_OTHERS)}
    reset, check_open = connection.reset, connection._check_open

    def steered(name: str) -> Any:
        original, is_statement = begun[name], name in _STATEMENTS

        async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
            def run() -> Awaitable[Any]:
                sent: Awaitable[Any] = original(self, *args, **kwargs)
                return sent

            if orphaned():
                _finish(self)
                raise Died
            if controlled() and is_statement:
                await _quicken(self, quick, begun["query"])
                what: Any = args[0] if args else kwargs["state"]
                text: str = what if isinstance(what, str) else what.query
                return await _steered(self, text, run, begun["query"])
            async with passing(self.get_server_pid()):
                return await run()

        return send

    async def quiet_reset(self: Any, **kwargs: Any) -> None:
        # A pool's, with several statements that are none of the store's.
        async with passing():
            await reset(self, **kwargs)
            quick.discard(self._protocol)

    def seen_open(self: Any) -> None:
        check_open(self)
        if seen is not None and controlled():
            seen(self)

    for name in begun:
        setattr(protocol, name, steered(name))
    connection.reset, connection._check_open = quiet_reset, seen_open
    try:
        yield
    finally:
        for name in begun:
            delattr(protocol, name)  # they are its base class's
        connection.reset, connection._check_open = reset, check_open


async def _quicken(protocol: Any, quick: WeakSet[Any], query: Any) -> None:
    if protocol in quick or protocol.is_in_transaction():
        return
    quick.add(protocol)
    if getattr(protocol.get_settings(), "is_superuser", "off") == "on":
        async with passing():
            await query(protocol, QUICK, None)


async def _steered(protocol: Any, text: str, run: Callable[[], Awaitable[Any]], query: Any) -> Any:
    if commits(text):
        await point("COMMIT")
        return await _executed(protocol, run)
    if frames(text):
        async with passing(protocol.get_server_pid()):
            return await run()
    stretched = not protocol.is_in_transaction() and not looks(text)
    await point(text)
    if not stretched:
        return await _executed(protocol, run)

    async def begun() -> Any:
        await query(protocol, "begin", None)
        try:
            return await run()
        except Exception:
            if protocol.is_connected():
                await query(protocol, "rollback", None)
            raise

    result = await _executed(protocol, begun)
    await point("COMMIT")
    await _executed(protocol, lambda: query(protocol, "commit", None))
    return result


async def _executed(protocol: Any, run: Callable[[], Awaitable[Any]]) -> Any:
    try:
        async with executing(protocol.get_server_pid(), lambda: _broken(protocol)):
            return await run()
    except Died:
        _finish(protocol)
        raise


def _broken(protocol: Any) -> Exception:
    _finish(protocol)
    error: Exception = importlib.import_module("asyncpg.exceptions").ConnectionDoesNotExistError(
        "connection was closed in the middle of operation"
    )
    return error


def _finish(protocol: Any) -> None:
    if protocol.is_connected():
        protocol.abort()  # as when the process is gone: no ROLLBACK

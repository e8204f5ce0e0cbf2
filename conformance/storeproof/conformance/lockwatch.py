"""Whether a session waits for another's lock, asked on connections of the kit's own to the servers the store uses.

A connection is opened when somebody first asks about a session of its server, and closed with the watch. Knows no
schedule; what a driver's connection looks like is known here and in that driver's points only.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable
from weakref import WeakSet

from storeproof.conformance.statementkinds import QUICK

BLOCKED = """
    with recursive blocking (pid) as (
      select unnest(pg_blocking_pids({0})) union select unnest(pg_blocking_pids(pid)) from blocking
    )
    select coalesce(bool_and(pid <> {0}), false) from blocking
"""
"""Not while the session is part of a deadlock: the server ends that by itself, and soon. Taken for waiting now and
then, if the server is slow, its run would not repeat itself.
"""


@runtime_checkable
class Refused(Protocol):
    """A statement that an embedded database refused and that is tried again on being asked."""

    async def still_refused(self) -> bool:
        """Whether it has to wait on."""
        ...


@dataclass(frozen=True, slots=True)
class _Monitor:
    ask: Callable[[object], Awaitable[bool]]
    close: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class LockWatch:
    """A `scheduling.Probe` for every driver whose statements are seen: `probe`.

    The sessions of Postgres drivers are the process ids of their backends.
    """

    _doors: dict[object, tuple[Hashable, Callable[[], Awaitable[_Monitor]]]] = field(
        default_factory=dict[object, tuple[Hashable, Callable[[], Awaitable[_Monitor]]]]
    )
    _quick: WeakSet[Any] = field(default_factory=WeakSet[Any])
    _monitors: dict[Hashable, _Monitor] = field(default_factory=dict[Hashable, _Monitor])

    def psycopg(self, connection: Any) -> None:
        """A connection whose statements are seen."""
        info = connection.info
        if info.backend_pid not in self._doors:
            given = tuple(sorted({**info.get_parameters(), "password": info.password}.items()))
            self._doors[info.backend_pid] = given, lambda: _psycopg_monitor(dict(given))
        if connection not in self._quick and info.transaction_status == 0:
            self._quick.add(connection)
            if info.parameter_status("is_superuser") == "on":
                connection.pgconn.exec_(QUICK.encode())

    def asyncpg(self, connection: Any) -> None:
        """A connection whose statements are seen."""
        pid = connection.get_server_pid()
        if pid not in self._doors:
            address, given = connection._addr, connection._params
            key = (address, given.user, given.database)
            self._doors[pid] = key, lambda: _asyncpg_monitor(address, given)

    async def probe(self, session: object) -> bool:
        """Whether the session of a statement waits for another session's lock."""
        if isinstance(session, Refused):
            return await session.still_refused()
        door = self._doors.get(session)
        if door is None:
            return False
        key, opens = door
        if key not in self._monitors:
            self._monitors[key] = await opens()
        return await self._monitors[key].ask(session)

    async def close(self) -> None:
        """Closes the own connections."""
        monitors, self._monitors = list(self._monitors.values()), {}
        self._doors.clear()
        for monitor in monitors:
            await monitor.close()


async def _psycopg_monitor(given: dict[str, Any]) -> _Monitor:
    psycopg = importlib.import_module("psycopg")
    own: Any = await psycopg.AsyncConnection.connect(**given, autocommit=True)

    async def ask(pid: object) -> bool:
        cursor = await own.execute(BLOCKED.format("%(pid)s"), {"pid": pid})
        return bool((await cursor.fetchone())[0])

    return _Monitor(ask, own.close)


async def _asyncpg_monitor(address: Any, given: Any) -> _Monitor:
    asyncpg = importlib.import_module("asyncpg")
    if isinstance(address, str):  # the path of a socket: folder/.s.PGSQL.port
        host, port = os.path.dirname(address), int(address.rsplit(".", 1)[-1])
    else:
        host, port = address[:2]
    own: Any = await asyncpg.connect(
        host=host, port=port, user=given.user, password=given.password, database=given.database, ssl=given.ssl
    )

    async def ask(pid: object) -> bool:
        return bool(await own.fetchval(BLOCKED.format("$1::int"), pid))

    return _Monitor(ask, own.close)

"""What becomes of a failure: the operation again, or StoreUnavailable. Knows no operation and no table.

An operation is run again only where that can't be seen from outside: it undid itself, the server says that it was
rolled back, nothing was sent, or it only reads. A write whose answer was lost is not run again, though most are
idempotent: another client may have acted in between, and the write would then take effect twice (ruling 1). Its caller
is told, and may decide to.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout
from storeproof.adapters.postgres.connections import Unreachable
from storeproof.adapters.postgres.fragments import CHANGED
from storeproof.spec.errors import StoreUnavailable

ATTEMPTS = 12
PAUSE_MS = 5.0
"""The longest pause before the second repetition, in milliseconds; the first comes at once, later ones double."""
LONGEST_PAUSE_MS = 250.0

_NO_SCHEMA = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)
_ROLLED_BACK = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    # Sent in answer to a statement it means that the statement was cut short, or found the session already ended.
    errors.AdminShutdown,
)
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes of trouble that may be over at the next call."""

T = TypeVar("T")


class Changed(Exception):
    """Rows changed while the operation looked at them, and it wrote nothing: it starts again."""


async def attempted(name: str, work: Callable[[], Awaitable[T]], *, reads: bool) -> T:
    """The result of `work`, after as many attempts as it takes and is safe.

    `name` is the operation, for messages; `reads` says that it writes nothing. Raises StoreUnavailable with the
    driver's error as `__cause__` (ruling 12).
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await work()
        except (Changed, Unreachable, psycopg.Error) as error:
            if attempt == ATTEMPTS or not _may_repeat(error, reads):
                raise _unavailable(name, error, reads) from _cause(error)
        await _pause(attempt)
    raise AssertionError("unreachable")


def _may_repeat(error: Exception, reads: bool) -> bool:
    if isinstance(error, Changed) or _undid_itself(error):
        return True
    if isinstance(error, Unreachable):
        # The pool has already waited its time; a refused connection comes back at once and is worth another try.
        return isinstance(error.__cause__, psycopg.OperationalError) and not isinstance(error.__cause__, PoolTimeout)
    return isinstance(error, _ROLLED_BACK) or (reads and _lost(error))


def _undid_itself(error: Exception) -> bool:
    return isinstance(error, errors.InvalidTextRepresentation) and CHANGED in (error.diag.message_primary or "")


def _lost(error: Exception) -> bool:
    """Whether the connection broke without a word of the server on what became of the statement."""
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate is None or error.sqlstate == "57P02")


def _cause(error: Exception) -> BaseException:
    return error.__cause__ if isinstance(error, Unreachable) and error.__cause__ is not None else error


def _unavailable(name: str, error: Exception, reads: bool) -> StoreUnavailable:
    if isinstance(error, Changed) or _undid_itself(error):
        message = f"other writers changed the rows in each of {ATTEMPTS} attempts; nothing was done. Call it again."
        return StoreUnavailable(f"{name}: {message}", retryable=True)
    if isinstance(error, Unreachable):
        why = f"no connection to Postgres, so nothing was done: {error.__cause__}"
        closed = isinstance(error.__cause__, RuntimeError | PoolClosed)
        return StoreUnavailable(f"{name}: {why}", retryable=not closed)
    if isinstance(error, _NO_SCHEMA):
        how = "run `await store.ensure_schema()` or `storeproof migrate` for this schema and these table names"
        return StoreUnavailable(f"{name}: the store's tables are not there or too old ({_first_line(error)}): {how}.")
    if _lost(error):
        known = "nothing was changed" if reads else "it took effect as a whole or not at all: look, or call again"
        return StoreUnavailable(f"{name}: the connection to Postgres was lost; {known}.", retryable=True)
    state = getattr(error, "sqlstate", None)
    passing = state is None or state[:2] in _PASSING_CLASSES or isinstance(error, errors.ReadOnlySqlTransaction)
    return StoreUnavailable(f"{name}: Postgres refused: {_first_line(error)}; nothing was done.", retryable=passing)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def _pause(attempt: int) -> None:
    if attempt > 1:
        longest = min(PAUSE_MS * 2 ** (attempt - 2), LONGEST_PAUSE_MS)
        # The jitter keeps writers that met once from meeting again; nothing of the contract depends on it.
        await asyncio.sleep(random.uniform(0, longest) / 1000)

"""Switches on the scheduling points of every database driver that is imported: what the kit can see of a store.

psycopg, asyncpg and aiosqlite, with SQLAlchemy's asyncio engines over them. A driver that is imported later is not
seen; importing the store's module imports its driver, as a rule.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from storeproof.conformance.lockwatch import LockWatch

POOLS = ("sqlalchemy.pool", "psycopg.pool")
"""Loggers of pools: what they say of a dead client's broken connections is nobody's news."""
DRIVERS = ("psycopg", "asyncpg", "aiosqlite")


@contextmanager
def driver_points(watch: LockWatch) -> Generator[tuple[str, ...]]:
    """While it is open, statements of controlled clients are scheduling points; yields the drivers that were found."""
    found = tuple(name for name in DRIVERS if name in sys.modules)
    with ExitStack() as stack:
        for name in POOLS:
            logging.getLogger(name).addFilter(_silent)
            stack.callback(logging.getLogger(name).removeFilter, _silent)
        # Imported here: each needs its driver.
        if "psycopg" in found:
            from storeproof.conformance.psycopgpoints import psycopg_points

            stack.enter_context(psycopg_points(watch.psycopg))
        if "asyncpg" in found:
            from storeproof.conformance.asyncpgpoints import asyncpg_points

            stack.enter_context(asyncpg_points(watch.asyncpg))
        if "aiosqlite" in found:
            from storeproof.conformance.aiosqlitepoints import aiosqlite_points

            stack.enter_context(aiosqlite_points())
        yield found


def _silent(_record: logging.LogRecord) -> bool:
    return False

"""What the database said, turned into the contract's StoreUnavailable (ruling 12). Knows no driver and no operation.

D1 and SQLite tell their errors apart by text, and older servers leave the code off the end; hence texts, not codes.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from storeproof.spec.errors import InvalidArgument, StoreUnavailable

_RETRYABLE = (
    "Network connection lost",
    "D1 DB reset because its code was updated",
    "Internal error while starting up D1 DB storage caused object to be reset",
    "Internal error in D1 DB storage caused object to be reset",
    "Cannot resolve D1 DB due to transient issue on remote node",
    "Can't read from request stream because client disconnected",
    "D1 DB is overloaded",
    "Too many requests queued",
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "locking protocol",
    "interrupted",
)
_ADVICE = (
    ("no such table", "create the tables with ensure_schema() or `storeproof migrate`"),
    ("no such column", "bring the tables up to date with ensure_schema() or `storeproof migrate`"),
    ("database is locked", "another connection held the write lock beyond the busy timeout; call again"),
    ("D1 DB is overloaded", "the database has more queued than it can run; call again later"),
    ("database or disk is full", "make room, then call again"),
    ("database disk image is malformed", "the file is damaged; restore it from a backup"),
    ("file is not a database", "the path names something else than an SQLite file"),
    ("unable to open database file", "check that the folder exists and may be written"),
    ("attempt to write a readonly database", "the file or its folder may not be written"),
)


class RowTooLarge(StoreUnavailable):
    """The row would be larger than the database keeps (2,000,000 bytes on D1)."""


def unavailable(error: BaseException) -> StoreUnavailable:
    """The StoreUnavailable that stands for a driver's error; raise it `from` that error.

    `retryable` is true where calling again may succeed. Whether a write went through is then unknown with D1's own
    messages of that kind; every operation of the contract may be called again (ruling 16).
    """
    text = (str(error) or type(error).__name__).removeprefix("D1_ERROR: ")
    if "string or blob too big" in text:
        return RowTooLarge(f"the database refused a value or row: {text}")
    advice = next((advice for sign, advice in _ADVICE if sign in text), None)
    return StoreUnavailable(
        f"the database failed: {text}" + (f" ({advice})" if advice else ""),
        retryable=any(sign in text for sign in _RETRYABLE),
    )


@contextmanager
def blaming(field: str) -> Generator[None]:
    """Raises InvalidArgument for `field` where a row would grow too large (ruling 23).

    `checked` cannot see it: a run's row holds its input, output and error together, an event's row its type twice.
    """
    try:
        yield
    except RowTooLarge as error:
        problem = "with what goes into the same row, it is more than a row of this database holds (2,000,000 bytes)"
        raise InvalidArgument(field, problem) from error

"""What the core asks of a database: one atomic batch of statements. Knows no operation of the contract and no driver.

A binding (local file, REST, Workers) implements `D1Binding`. SQL given to it keeps D1's rules: parameters `?NNN`, at
most 100 of them, no transaction statements, nothing newer than SQLite 3.40.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

SqlValue: TypeAlias = str | int | float | None
"""A bound parameter or a column. Integers are within 2^53 and may be bound as REAL, which is what D1 does."""

Row: TypeAlias = dict[str, SqlValue]

Statement: TypeAlias = tuple[str, Sequence[SqlValue]]


class D1Binding(Protocol):
    """A database that runs batches."""

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """The rows of each statement, all run in order as one transaction: all of it happened, or none.

        Raises StoreUnavailable (see `failures`) with the driver's error as cause. A batch for which `reads_only` holds
        is one snapshot, not older than the last batch this database answered.
        """
        ...


def reads_only(statements: Sequence[Statement]) -> bool:
    """Whether a batch changes nothing.

    Read off the text, as D1 itself does when it decides what it may retry or serve elsewhere; a flag beside the
    statements could be wrong.
    """
    return all(sql.lstrip()[:7].lower() in ("select ", "select\n") for sql, _ in statements)

"""Strict mode refuses what D1 refuses, before a user's deployment does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from storeproof.adapters.d1.local import LocalD1
from storeproof.spec.errors import StoreUnavailable


def outcome(sql: str, *parameters: Any) -> object:
    """The first value of the first row, or the error's text."""

    async def main() -> object:
        async with LocalD1(":memory:", strict=True) as database:
            try:
                [rows] = await database.batch([(sql, parameters)])
            except StoreUnavailable as error:
                return str(error)
            return next(iter(rows[0].values())) if rows else None

    return asyncio.run(main())


def test_integers_are_bound_as_real() -> None:
    assert outcome("select typeof(?1)", 1) == "real"
    assert outcome("select ?1 || ''", True) == "1.0"
    assert outcome("select cast(?1 as integer)", 2**53 - 1) == 2**53 - 1
    assert outcome("select typeof(?1)", None) == "null"


@pytest.mark.parametrize(
    ("sql", "parameters", "words"),
    [
        ("begin", (), "does not run `begin`"),
        ("/* a */ -- b\n COMMIT", (), "one batch is the only transaction"),
        ("savepoint a", (), "does not run"),
        ("attach 'a' as b", (), "does not run"),
        ("create temp table t (a)", (), "does not run `create temp`"),
        ("pragma journal_mode", (), "not authorized"),
        ("", (), "did not contain a statement"),
        ("-- nothing", (), "did not contain a statement"),
        ("select ?1", (2**53 + 1,), "silently round"),
        ("select ?1", (float("nan"),), "silently store NULL"),
        ("select ?1", ("\ud800",), "lone surrogate"),
        ("select ?1", (b"",), "binds no bytes"),
        ("select ?1", (), "Incorrect number of bindings"),
        ("select ?101", (1,) * 101, "variable number must be between ?1 and ?100"),
        ("select 1 union select 2 union select 3 union select 4 union select 5 union select 6", (), "too many terms"),
        ("select " + " and ".join("1" for _ in range(120)), (), "Expression tree is too large"),
        ("select '" + "x" * 100_000 + "'", (), "too"),
        ("select ?1", ("x" * 2_000_001,), "too big"),
        ("select 'a' like ?1", ("%" * 51,), "too complex"),
    ],
)
def test_refused(sql: str, parameters: tuple[Any, ...], words: str) -> None:
    assert words in str(outcome(sql, *parameters))


def test_an_empty_batch_is_refused() -> None:
    async def main() -> None:
        async with LocalD1(":memory:") as database:
            with pytest.raises(StoreUnavailable, match="No SQL statements detected"):
                await database.batch([])

    asyncio.run(main())

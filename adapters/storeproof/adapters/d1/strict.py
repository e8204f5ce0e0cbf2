"""D1's rules, enforced on a local SQLite: what passes here has passed most of what D1 refuses. For tests.

Integers are bound as REAL, D1's limits are set on the connection, and statements D1 refuses are refused. Not covered:
D1's list of allowed functions, and functions newer than the local SQLite.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from storeproof.adapters.d1.binding import SqlValue, Statement

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 5,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 32,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
}
_WORDS = {"select", "with", "insert", "replace", "update", "delete", "create", "drop", "alter", "explain", "pragma"}
_PRAGMAS = {
    "foreign_keys",
    "defer_foreign_keys",
    "recursive_triggers",
    "case_sensitive_like",
    "ignore_check_constraints",
    "legacy_alter_table",
    "reverse_unordered_selects",
    "table_list",
    "table_info",
    "table_xinfo",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "quick_check",
    "optimize",
    "data_version",
}
_FIRST = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)(?:\s+(\w+))?", re.DOTALL)


def set_limits(connection: sqlite3.Connection) -> None:
    for category, limit in _LIMITS.items():
        connection.setlimit(category, limit)


def as_d1_binds(statements: Sequence[Statement]) -> list[Statement]:
    """The statements with their parameters as D1 would bind them. Raises ValueError for what D1 refuses or damages."""
    return [(_allowed(sql), [_bound(value) for value in parameters]) for sql, parameters in statements]


def _allowed(sql: str) -> str:
    first = _FIRST.match(sql)
    if first is None:
        raise ValueError("SQL code did not contain a statement.")
    word, second = first[1].lower(), (first[2] or "").lower()
    if word not in _WORDS or (word == "create" and second in ("temp", "temporary")):
        raise ValueError(f"D1 does not run `{first[0].strip()}`; one batch is the only transaction")
    if word == "pragma" and second not in _PRAGMAS:
        raise ValueError(f"not authorized: D1 refuses `pragma {second}`")
    return sql


def _bound(value: SqlValue) -> SqlValue:
    # The types say what may come; the checks are for callers who do not read them.
    given: object = value
    if isinstance(given, str):
        if any("\ud800" <= character <= "\udfff" for character in given):
            raise ValueError("D1 would silently replace a lone surrogate")
        return value
    if isinstance(given, float):
        if given != given or given in (float("inf"), float("-inf")):
            raise ValueError(f"D1 would silently store NULL for {given}")
        return value
    if isinstance(given, int):
        if abs(given) > 2**53:
            raise ValueError(f"D1 would silently round {given}, which is beyond 2^53")
        return float(given)
    if given is not None:
        raise ValueError(f"D1 binds no {type(given).__name__}")
    return None

"""The package-owned migrations: numbered SQL files, their application and their check. Knows no operation.

The files are in the folder `migrations` beside this module. The first is the TypeScript packages' first under the same
id, so a database either package set up is accepted; later ones bear this package's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from storeproof.adapters.d1.binding import D1Binding, SqlValue, Statement
from storeproof.adapters.d1.identifiers import quoted, quoted_tables
from storeproof.adapters.names import TableNames

_FOLDER = "migrations"
_PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_TABLE = re.compile(r"create table if not exists \{(\w+)\} \((.*)\)", re.DOTALL)
_INDEX = re.compile(r"create index if not exists \{(\w+):(\w+)\}")
_COLUMN = re.compile(r"^  (?!primary key)(\w+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step. `sql` has placeholders for the names of the tables."""

    id: str
    sql: str

    def statements(self, tables: TableNames) -> list[str]:
        """Its statements, ready to run; the last records the step and returns its id if it was not yet recorded."""
        fill = _filler(tables)
        # Split before the names are in: a table's name may hold a semicolon.
        return [fill(part) for part in _parts(self.sql)]


def migrations() -> list[Migration]:
    """Every migration, in the order of application."""
    folder = resources.files("storeproof.adapters.d1").joinpath(_FOLDER)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in files]


def migration_sql(*, tables: TableNames | None = None) -> str:
    """All migrations as one script, for `sqlite3` or `wrangler d1 execute --file`. Raises ValueError for a bad name."""
    # From the statements, not the files: a line break in a table's name would end a comment.
    parts = [sql for migration in migrations() for sql in migration.statements(tables or TableNames())]
    return ";\n\n".join(parts) + ";\n"


async def apply(binding: D1Binding, *, tables: TableNames | None = None) -> list[str]:
    """Applies what is missing, one batch per migration; the ids that this call applied.

    Two programs that start together are safe: every step is idempotent, and the row that records it has one winner.
    Raises ValueError for a bad name, StoreUnavailable if the database fails.
    """
    names = tables or TableNames()
    recorded = await _recorded(binding, names)
    applied: list[str] = []
    for migration in migrations():
        if migration.id not in recorded:
            results = await binding.batch([(sql, ()) for sql in migration.statements(names)])
            applied += [migration.id] if results[-1] else []
    return applied


async def check(binding: D1Binding, *, tables: TableNames | None = None) -> list[str]:
    """What the database lacks, one sentence each; changes nothing. Extra tables, columns and indexes are no problem.

    Raises ValueError for a bad name, StoreUnavailable if the database fails.
    """
    names = tables or TableNames()
    steps = migrations()
    expected, indexes = _expected(steps, names)
    reads: list[Statement] = [("select name from sqlite_master where type = 'index'", ())]
    reads += [("select name from pragma_table_info(?1)", (table,)) for table in expected]
    index_rows, *column_rows = await binding.batch(reads)
    problems: list[str] = []
    for (table, columns), rows in zip(expected.items(), column_rows, strict=True):
        found = {row["name"] for row in rows}
        if not found:
            problems.append(f"the table {table} is missing")
        else:
            problems += [f"the table {table} lacks the column {column}" for column in columns if column not in found]
    present = {str(row["name"]).lower() for row in index_rows}
    problems += [f"the index {index} is missing" for index in indexes if index.lower() not in present]
    recorded = await _recorded(binding, names)
    problems += [f"the migration {step.id} is not recorded" for step in steps if step.id not in recorded]
    return problems


def _expected(steps: list[Migration], names: TableNames) -> tuple[dict[str, list[str]], list[str]]:
    """Every table with its columns, and every index: read off the migrations, so that nothing is listed twice."""
    columns: dict[str, list[str]] = {}
    indexes: list[str] = []
    for part in (part for step in steps for part in _parts(step.sql)):
        if table := _TABLE.match(part):
            columns[getattr(names, table[1])] = _COLUMN.findall(table[2])
        elif index := _INDEX.match(part):
            indexes.append(f"{getattr(names, index[1])}_{index[2]}")
    return columns, indexes


async def _recorded(binding: D1Binding, names: TableNames) -> set[SqlValue]:
    """The ids on record; none if there is no table to record them in."""
    exists = "select name from sqlite_master where type = 'table' and name = ?1 collate nocase"
    [rows] = await binding.batch([(exists, (names.schema_migrations,))])
    if not rows:
        return set()
    [rows] = await binding.batch([(f"select migration_id from {quoted(names.schema_migrations)}", ())])
    return {row["migration_id"] for row in rows}


def _parts(sql: str) -> list[str]:
    return [part.strip() for part in _COMMENT.sub("", sql).split(";") if part.strip()]


def _filler(names: TableNames) -> Callable[[str], str]:
    tables = quoted_tables(names)

    def identifier(placeholder: re.Match[str]) -> str:
        table, index = placeholder.groups()
        return str(getattr(tables, table)) if index is None else quoted(f"{getattr(names, table)}_{index}")

    # One pass: a name that looks like a placeholder is not filled in again.
    return lambda text: _PLACEHOLDER.sub(identifier, text)

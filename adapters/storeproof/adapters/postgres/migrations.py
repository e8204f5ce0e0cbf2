"""The package-owned migrations: numbered SQL files, their application and their check. Knows no operation.

The files are in the folder `migrations` beside this module. The first is the TypeScript package's first under the same
id, so a database either package set up is accepted; later ones bear this package's name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

from psycopg import errors
from sqlalchemy.ext.asyncio import AsyncEngine
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres.connections import Connections, Run, connections
from storeproof.adapters.postgres.failures import Changed, attempted
from storeproof.adapters.postgres.identifiers import qualified, qualified_tables, quoted
from storeproof.adapters.postgres.inspection import problems
from storeproof.adapters.tables import index_name

_FOLDER = "migrations"
_PLACEHOLDER = re.compile(r"\{(\w+)(?:(::?)(\w+))?\}")
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_LOCK = "select pg_advisory_xact_lock(7310579460227842901)"
"""One lock for every migration in the database: a transaction's, because a pooler would lose a session's."""
_HAS_SCHEMA = "select 1 from pg_catalog.pg_namespace where nspname = %(schema)s::text"
_MET_ANOTHER = (errors.UniqueViolation, errors.DuplicateTable, errors.DuplicateSchema, errors.InternalError)
"""What `if not exists` answers when the other language's set-up, which takes no lock, runs at the same moment."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step. `sql` has placeholders for names: `{runs}`, and for an index `{runs:status_idx}`."""

    id: str
    sql: str

    def statements(self, *, schema: str | None, tables: TableNames) -> list[str]:
        """Its statements, ready to run; the last one records the step. Raises ValueError for a bad name."""
        fill = _filler(schema, tables)
        # Split before the names are in: a table's name may hold a semicolon.
        return [fill(part.strip()) for part in _COMMENT.sub("", self.sql).split(";") if part.strip()]


def migrations() -> list[Migration]:
    """Every migration, in the order of application."""
    folder = resources.files("storeproof.adapters.postgres").joinpath(_FOLDER)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in files]


def migration_sql(*, schema: str | None = None, tables: TableNames | None = None) -> str:
    """All migrations as one script for `psql -f`, each in a transaction; running it twice is harmless.

    Raises ValueError for a bad name.
    """
    names = tables or TableNames()
    parts = ["begin", _LOCK, f"create schema if not exists {quoted(schema)}", "commit"] if schema is not None else []
    for migration in migrations():
        parts += ["begin", _LOCK, *migration.statements(schema=schema, tables=names), "commit"]
    return ";\n\n".join(parts) + ";\n"


async def apply(
    database: str | AsyncEngine, *, schema: str | None = None, tables: TableNames | None = None
) -> list[str]:
    """Applies what is missing, each migration in one transaction; the ids applied now.

    Safe when many processes start at once. Raises ValueError for a bad name, StoreUnavailable if the database fails.
    """
    async with _opened(database) as connected:
        return await apply_with(connected, schema=schema, tables=tables or TableNames())


async def apply_with(connected: Connections, *, schema: str | None, tables: TableNames) -> list[str]:
    """`apply` over connections that are already open."""
    qualified_tables(schema, tables)  # a bad name is refused before anything is sent
    # The usual start finds all of them recorded and needs neither the lock nor the right to create anything.
    done = await attempted("ensureSchema", lambda: _recorded(connected.run, schema, tables), reads=True)
    applied: list[str] = []
    for migration in migrations():
        if migration.id not in done:
            applied += await _apply_one(connected, migration, schema, tables)
    return applied


async def check(
    database: str | AsyncEngine, *, schema: str | None = None, tables: TableNames | None = None
) -> list[str]:
    """What the database lacks, one sentence each; changes nothing. Extra columns and indexes are no problem.

    Raises ValueError for a bad name, StoreUnavailable if the database fails.
    """
    names = tables or TableNames()
    qualified_tables(schema, names)
    async with _opened(database) as connected:

        async def work() -> list[str]:
            done = await _recorded(connected.run, schema, names)
            missing = [f"the migration {step.id} is not recorded" for step in migrations() if step.id not in done]
            return missing + await problems(connected.run, schema, names)

        return await attempted("the check of the schema", work, reads=True)


async def _apply_one(connected: Connections, migration: Migration, schema: str | None, tables: TableNames) -> list[str]:
    async def work() -> list[str]:
        try:
            async with connected.transaction() as run:
                await run(_LOCK, {})
                # Only if it is not there: `if not exists` would want the right to create schemas all the same.
                if schema is not None and not await run(_HAS_SCHEMA, {"schema": schema}):
                    await run(f"create schema if not exists {_for_driver(quoted(schema))}", {})
                if migration.id in await _recorded(run, schema, tables):
                    return []
                for statement in migration.statements(schema=schema, tables=tables):
                    await run(_for_driver(statement), {})
                return [migration.id]
        except _MET_ANOTHER as error:
            raise Changed from error

    return await attempted("ensureSchema", work, reads=False)


async def _recorded(run: Run, schema: str | None, tables: TableNames) -> set[str]:
    """The ids on record; none if there is no table to record them in."""
    table = qualified(schema, tables.schema_migrations)
    [row] = await run("select to_regclass(%(table)s::text) is not null as there", {"table": table})
    if not row["there"]:
        return set()
    return {row["migration_id"] for row in await run(f"select migration_id from {_for_driver(table)}", {})}


@asynccontextmanager
async def _opened(database: str | AsyncEngine) -> AsyncGenerator[Connections]:
    connected = connections(database, pool_size=1)
    await connected.open()
    try:
        yield connected
    finally:
        await connected.close()


def _for_driver(statement: str) -> str:
    return statement.replace("%", "%%")


def _filler(schema: str | None, names: TableNames) -> Callable[[str], str]:
    tables = qualified_tables(schema, names)

    def identifier(placeholder: re.Match[str]) -> str:
        table, separator, suffix = placeholder.groups()
        if separator is None:
            return str(getattr(tables, table))
        index = index_name(getattr(names, table), suffix)
        # An index is created beside its table by its bare name, but dropped by its qualified one.
        return quoted(index) if separator == ":" else qualified(schema, index)

    # One pass: a name that looks like a placeholder is not filled in again.
    return lambda text: _PLACEHOLDER.sub(identifier, text)

"""The SQLAlchemy definitions say what the migrations make, on Postgres and on SQLite."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from storeproof.adapters.d1.migrations import migration_sql as d1_migration_sql
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import migrations
from storeproof.adapters.tables import MAX_POSTGRES_NAME_BYTES, index_name, tables
from storeproof.conformance.embedded import embedded_url
from tests.embedded_postgres import fresh_schema
from tests.reflection import differences

NAMES = TableNames(runs="other runs", events="x" * MAX_POSTGRES_NAME_BYTES)


@pytest.mark.parametrize("names", [TableNames(), NAMES])
def test_postgres_has_the_defined_tables(names: TableNames) -> None:
    async def main() -> list[str]:
        def compare(connection: Connection) -> list[str]:
            return differences(connection, dialect="postgresql", schema=schema, names=names)

        async with fresh_schema() as schema:
            await migrations.apply(embedded_url(), schema=schema, tables=names)
            assert await migrations.check(embedded_url(), schema=schema, tables=names) == []
            url = embedded_url().replace("postgresql://", "postgresql+psycopg://")
            engine = create_async_engine(url, poolclass=NullPool)
            try:
                async with engine.connect() as connection:
                    return await connection.run_sync(compare)
            finally:
                await engine.dispose()

    assert asyncio.run(main()) == []


def test_sqlite_has_the_defined_tables(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/d1.db", poolclass=NullPool)
    with engine.begin() as connection:
        for statement in d1_migration_sql().split(";\n"):
            if statement.strip():
                connection.execute(text(statement.replace(":", r"\:")))
        assert differences(connection, dialect="sqlite") == []


def test_a_difference_is_found() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("create table workflow_runs (run_id text primary key, status integer)"))
        found = differences(connection, dialect="sqlite")
    engine.dispose()
    assert len(found) == 10
    assert any("workflow_runs.columns" in difference for difference in found)


def test_names_of_indexes_stay_distinct_and_short() -> None:
    assert index_name("workflow_runs", "status_idx") == "workflow_runs_status_idx"
    long = ["é" * 31, "é" * 30 + "e"]
    shortened = {index_name(name, suffix) for name in long for suffix in ("status_idx", "lease_idx")}
    assert len(shortened) == 4
    assert max(len(name.encode()) for name in shortened) <= MAX_POSTGRES_NAME_BYTES


def test_tables_are_found_under_their_keys() -> None:
    made = tables(schema="s", names=TableNames(runs="x"))
    assert made["runs"].fullname == "s.x"
    assert len(made) == 9

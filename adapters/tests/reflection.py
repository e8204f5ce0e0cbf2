"""Compares the SQLAlchemy definitions of the tables with a migrated database, whatever migrated it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnClause, Connection, MetaData, Table
from sqlalchemy.sql.visitors import iterate
from storeproof.adapters.names import TableNames
from storeproof.adapters.tables import Dialect, tables


def differences(
    connection: Connection, *, dialect: Dialect, schema: str | None = None, names: TableNames | None = None
) -> list[str]:
    """Tables, columns, types, nullability, primary keys and indexes that differ; empty if nothing does."""
    reflected = MetaData()
    reflected.reflect(connection, schema=schema)
    found: list[str] = []
    for defined in tables(dialect=dialect, schema=schema, names=names).values():
        there = reflected.tables.get(defined.key)
        if there is None:
            found.append(f"{defined.name}: missing")
            continue
        ours, theirs = _shape(defined, connection), _shape(there, connection)
        found += [
            f"{defined.name}.{part}: {ours[part]} != {theirs[part]}" for part in ours if ours[part] != theirs[part]
        ]
    return found


def _shape(table: Table, connection: Connection) -> dict[str, object]:
    return {
        "columns": {
            column.name: (column.type.compile(connection.dialect), bool(column.nullable) and not column.primary_key)
            for column in table.columns
        },
        "primary key": [column.name for column in table.primary_key.columns],
        "indexes": {str(index.name): [_key(key, connection) for key in index.expressions] for index in table.indexes},
    }


def _key(expression: Any, connection: Connection) -> list[str]:
    """The column or expression in an index; a reflected expression is text, and order and collation vary in form."""
    names = [str(part.name) for part in iterate(expression) if isinstance(part, ColumnClause)]
    if names:
        return names
    text = str(expression.compile(dialect=connection.dialect))
    return [word for word in text.replace('"', " ").replace("(", " ").replace(",", " ").split() if "_" in word]

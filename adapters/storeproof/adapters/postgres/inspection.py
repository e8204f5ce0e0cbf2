"""Compares a database with the tables the adapter needs; changes nothing. Knows no migration and no operation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import TypeEngine
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres.connections import Run
from storeproof.adapters.postgres.identifiers import qualified
from storeproof.adapters.tables import tables

_COLUMNS = """
    select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as required
    from pg_catalog.pg_attribute
    where attrelid = to_regclass(%(table)s::text) and attnum > 0 and not attisdropped"""
_INDEXES = """
    select c.relname as name, i.indisprimary as is_primary, i.indisvalid as valid,
           array(select coalesce(a.attname::text, '')
                 from unnest(i.indkey::int2[]) with ordinality as k (number, place)
                 left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                   and k.number > 0
                 order by k.place) as keys
    from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indrelid = to_regclass(%(table)s::text)"""
_TYPES: dict[type[TypeEngine[Any]], str] = {
    Text: "text",
    JSONB: "jsonb",
    BigInteger: "bigint",
    Integer: "integer",
    Boolean: "boolean",
}
_ENCODING = "select pg_catalog.getdatabaseencoding() as name"


async def problems(run: Run, schema: str | None, names: TableNames) -> list[str]:
    """Missing or different tables, columns, primary keys and indexes, one sentence each. Raises psycopg's errors."""
    [encoding] = await run(_ENCODING, {})
    found = [] if encoding["name"] == "UTF8" else [f"the database's encoding is {encoding['name']} and not UTF8"]
    for table in tables(dialect="postgresql", schema=schema, names=names).values():
        found += await _problems_of(run, table, {"table": qualified(schema, table.name)})
    return found


async def _problems_of(run: Run, table: Table, parameters: dict[str, object]) -> list[str]:
    columns = {row["name"]: row for row in await run(_COLUMNS, parameters)}
    if not columns:
        return [f"the table {table.name} is missing"]
    found: list[str] = []
    for column in table.columns:
        expected = _description(_TYPES[type(column.type)], not column.nullable)
        there = columns.get(column.name)
        actual = there and _description(there["type"], there["required"])
        if actual is None:
            found.append(f"the table {table.name} lacks the column {column.name}")
        elif actual != expected:
            found.append(f"the column {table.name}.{column.name} is {actual} and not {expected}")
    rows = await run(_INDEXES, parameters)
    key = [column.name for column in table.primary_key.columns]
    if not any(row["is_primary"] and list(row["keys"]) == key for row in rows):
        found.append(f"the primary key of {table.name} is not ({', '.join(key)})")
    indexes = {row["name"]: row for row in rows}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        there = indexes.get(str(index.name))
        if there is None:
            found.append(f"the index {index.name} is missing")
        elif not there["valid"]:
            found.append(f"the index {index.name} is invalid, as a failed `concurrently` leaves it: drop and remake it")
        elif list(there["keys"]) != _keys(index):
            keys, expected = ", ".join(there["keys"]), ", ".join(_keys(index))
            found.append(f"the index {index.name} is on ({keys}) and not on ({expected})")
    return found


def _description(kind: str, required: bool) -> str:
    return f"{kind} not null" if required else kind


def _keys(index: Index) -> list[str]:
    """The columns in the index; an expression over one, other than its order or collation, is the empty string."""
    return [_column_name(expression) for expression in index.expressions]


def _column_name(expression: object) -> str:
    if not isinstance(expression, ClauseElement):
        return str(expression)
    parts = list(iterate(expression))
    if any(part.__visit_name__ == "function" for part in parts):
        return ""
    return next(str(part.name) for part in parts if isinstance(part, Column))

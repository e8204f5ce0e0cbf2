"""Names as SQL: quoted and qualified, so that any name is only a name. Knows no statement and no driver."""

from __future__ import annotations

from dataclasses import asdict

from storeproof.adapters.names import TableNames
from storeproof.adapters.tables import MAX_POSTGRES_NAME_BYTES


def quoted(name: str) -> str:
    """The name as an SQL identifier. Raises ValueError for a name Postgres can't keep whole."""
    if not name or "\x00" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"{name!r} can't be a name in Postgres: it is empty, or holds U+0000 or a lone surrogate")
    if len(name.encode()) > MAX_POSTGRES_NAME_BYTES:
        raise ValueError(f"{name!r} has over {MAX_POSTGRES_NAME_BYTES} bytes and Postgres would cut it off: shorten it")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str | None, name: str) -> str:
    """`"schema"."name"`, or only the name where the search path decides."""
    return quoted(name) if schema is None else f"{quoted(schema)}.{quoted(name)}"


def qualified_tables(schema: str | None, tables: TableNames) -> TableNames:
    """All names quoted and qualified. Raises ValueError for a bad name, or when two tables have the same."""
    names: dict[str, str] = asdict(tables)
    fields: dict[str, str] = {}
    for field, name in names.items():
        twin = fields.setdefault(name, field)
        if twin != field:
            raise ValueError(f"the tables {twin} and {field} have the same name: {name!r}")
    return TableNames(**{field: qualified(schema, name) for field, name in names.items()})

"""Table names as SQL: quoted, so that any name is only a name. Knows no statement."""

from __future__ import annotations

from dataclasses import asdict

from storeproof.adapters.names import TableNames


def quoted(name: str) -> str:
    """The name as an SQL identifier. Raises ValueError for a name no table can have."""
    if not name or "\x00" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"{name!r} can't be the name of a table: it is empty, or holds U+0000 or a lone surrogate")
    if name.lower().startswith(("sqlite_", "_cf_")):
        raise ValueError(f"{name!r} can't be the name of a table: SQLite and D1 reserve `sqlite_` and `_cf_`")
    return '"' + name.replace('"', '""') + '"'


def quoted_tables(tables: TableNames) -> TableNames:
    """All names quoted. Raises ValueError for a bad name, or when two are the same table to SQLite."""
    names: dict[str, str] = asdict(tables)
    fields: dict[str, str] = {}
    for field, name in names.items():
        # SQLite folds only ASCII letters; folding more refuses a few odd pairs and never misses one.
        twin = fields.setdefault(name.lower(), field)
        if twin != field:
            raise ValueError(f"the tables {twin} and {field} have the same name: {name!r}")
    return TableNames(**{field: quoted(name) for field, name in names.items()})

"""`storeproof migrate`: sets up a database for an adapter, prints the SQL for it, or says what a database lacks.

The adapters are imported by name; what the migrations are is theirs alone.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

from storeproof.conformance.failures import HarnessError, UsageError
from storeproof.spec.errors import StoreUnavailable


def migrate_database(url: str, *, sql: bool, check: bool, schema: str | None) -> int:
    """0 where all is (now) as it should be, 1 where `check` found something missing.

    Raises UsageError for an address or options that mean nothing, HarnessError where the database cannot be reached.
    """
    if sql and check:
        raise UsageError("--sql prints and --check looks: name one of them")
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        return _sqlite(url, rest, sql=sql, check=check, schema=schema)
    if scheme in ("postgresql", "postgres") and (sql or rest.startswith("//")):
        return _postgres(url, sql=sql, check=check, schema=schema)
    raise UsageError(f"{url}: a database is named as postgresql://USER@HOST/DATABASE or sqlite:FILE")


def _postgres(url: str, *, sql: bool, check: bool, schema: str | None) -> int:
    migrations = _adapter("storeproof.adapters.postgres.migrations", "storeproof[postgres]")
    try:
        if sql:
            return _printed(migrations.migration_sql(schema=schema))
        if check:
            return _told(url, asyncio.run(migrations.check(url, schema=schema)))
        return _applied(url, asyncio.run(migrations.apply(url, schema=schema)))
    except ValueError as error:
        raise UsageError(str(error)) from error
    except StoreUnavailable as error:
        raise HarnessError(f"{_masked(url)}: {_reason(error)}") from error


def _sqlite(url: str, file: str, *, sql: bool, check: bool, schema: str | None) -> int:
    if schema is not None:
        raise UsageError("--schema is for Postgres; a SQLite file has no schemas")
    migrations = _adapter("storeproof.adapters.d1.migrations", "storeproof[d1]")
    if sql:
        return _printed(migrations.migration_sql())
    path = Path(file)
    if not file or file.startswith(":") or path.is_dir():
        raise UsageError(f"{url}: name a file, as in sqlite:workflows.db")
    if check and not path.exists():
        raise UsageError(f"{url}: there is no such file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{url}: there is no folder {path.parent}")
    local = _adapter("storeproof.adapters.d1.local", "storeproof[d1]")

    async def work() -> list[str]:
        async with local.LocalD1(file) as binding:
            found: list[str] = await (migrations.check if check else migrations.apply)(binding)
            return found

    try:
        found = asyncio.run(work())
    except StoreUnavailable as error:
        raise HarnessError(f"{url}: {_reason(error)}") from error
    return (_told if check else _applied)(url, found)


def _printed(sql: str) -> int:
    sys.stdout.write(sql)
    return 0


def _applied(url: str, ids: list[str]) -> int:
    print(f"{_masked(url)}: applied {', '.join(ids)}" if ids else f"{_masked(url)}: up to date, nothing to do")
    return 0


def _told(url: str, problems: list[str]) -> int:
    if not problems:
        print(f"{_masked(url)}: up to date")
        return 0
    for problem in problems:
        print(f"{_masked(url)}: {problem}")
    print("the same command without --check puts this right")
    return 1


def _adapter(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("storeproof."):
            raise
        raise HarnessError(f"{error.name} is not installed; pip install '{extra}'") from error


def _masked(url: str) -> str:
    from storeproof.conformance.addresses import without_password

    return without_password(url)


def _reason(error: StoreUnavailable) -> str:
    cause = error.__cause__
    return f"{error}" if cause is None else f"{error}: {str(cause).strip()}"

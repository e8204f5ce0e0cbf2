"""The reference adapters in the forms that `make verify` does not run: D1's strict rules, an engine, other names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.local import LocalD1
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.profiles import Profile
from storeproof.conformance.targets import Reopenable, StoreTarget
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load

CHECKS = ("vectors", "subscriptions", "sequences")
BRIEF = Profile("brief", programs=2, shrink_tries=50)
HOSTILE = TableNames(runs='Runs "of" today', events="events.log", timers="select", schedules="%s")


@asynccontextmanager
async def strict_d1() -> AsyncGenerator[D1Store]:
    async with LocalD1(":memory:", strict=True) as database, D1Store(database, poll_ms=2) as store:
        await store.ensure_schema()
        yield store


@asynccontextmanager
async def hostile_d1() -> AsyncGenerator[D1Store]:
    async with LocalD1(":memory:") as database, D1Store(database, tables=HOSTILE, poll_ms=2) as store:
        await store.ensure_schema()
        yield store


async def emptied(store: PostgresStore, schema: str, names: TableNames) -> None:
    """Migrates once, then only deletes: a fresh schema for every program would take most of the time."""
    await store.ensure_schema()
    tables = [getattr(names, field) for field in names.__slots__ if field != "schema_migrations"]
    quoted = [f'"{schema}"."' + name.replace('"', '""') + '"' for name in tables]
    async with await psycopg.AsyncConnection.connect(embedded_url(), autocommit=True) as connection:
        await connection.execute("; ".join(f"delete from {name}" for name in quoted).encode())


@asynccontextmanager
async def postgres_on_engine() -> AsyncGenerator[PostgresStore]:
    engine = create_async_engine(embedded_url().replace("postgresql://", "postgresql+psycopg://"))
    async with PostgresStore(engine, schema="storeproof_forms", poll_ms=2) as store:
        await emptied(store, "storeproof_forms", TableNames())
        yield store
    await engine.dispose()


@asynccontextmanager
async def hostile_postgres() -> AsyncGenerator[PostgresStore]:
    async with PostgresStore(
        embedded_url(), schema="storeproof_hostile", tables=HOSTILE, pool_size=2, poll_ms=2
    ) as store:
        await emptied(store, "storeproof_hostile", HOSTILE)
        yield store


Factory = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.mark.parametrize("factory", [strict_d1, hostile_d1, postgres_on_engine, hostile_postgres])
def test_every_form_conforms(factory: Factory) -> None:
    report = verify(StoreTarget("form", factory, load()), load(), BRIEF, seed=7, checks=CHECKS)
    assert report.error is None
    assert [failure.message for failure in report.failures] == []
    of_one_client = {rule.id for rule in load().rules.values() if rule.operation and rule.kind != "promise"}
    unexercised = [rule.id for rule in report.rules if rule.status == "untested" and rule.id in of_one_client]
    assert [
        rule for rule in unexercised if not rule.endswith((".arguments", ".lease-overflow", ".run-id-too-long"))
    ] == []


def test_a_strict_file_keeps_everything_when_it_is_reopened(tmp_path: Path) -> None:
    count = 0

    @asynccontextmanager
    async def opened(path: Path) -> AsyncGenerator[D1Store]:
        async with LocalD1(path, strict=True, synchronous="normal") as database, D1Store(database) as store:
            await store.ensure_schema()
            yield store

    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        nonlocal count
        count += 1
        path = tmp_path / f"{count}.sqlite"
        yield Reopenable(lambda: opened(path))

    report = verify(StoreTarget("strict file", factory, load()), load(), BRIEF, seed=1, checks=("durability",))
    assert report.failures == []
    evidence = {rule.id: rule.evidence for rule in report.rules}["durability.reopened"]
    assert evidence["durability"] > 20

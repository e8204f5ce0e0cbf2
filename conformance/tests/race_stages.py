"""Stages of the reference adapters and of the racy stores, what may meet on them, and factories for the command.

A factory's name is `tests.race_stages:sqlite.ClaimTwoWinners`, or `…:postgresql.…`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

import psycopg
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.checks import CHECKS
from storeproof.conformance.databases import PostgresTarget, SqliteTarget
from storeproof.conformance.databasestages import InlineBinding
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.handbroken import overridden
from storeproof.conformance.profiles import Profile
from storeproof.conformance.programs import Call
from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Exploration, explore
from storeproof.conformance.report import FailureReport
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.stages import Stage
from storeproof.conformance.targets import Reopenable, Target
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.races import Backend, Racy
from tests.races_stores import RACY

SPECIFICATION = load()
MODEL = Model(SPECIFICATION)
FIRST_ONLY = Profile("first", 6, 30, thirds=10, cut_pairs=10, most_failures=1)
LIMIT_S = 10.0


def target(backend: Backend, store: type[Any] | None = None) -> Target:
    """The adapter of a backend, or a class that is made as it is."""
    make = PostgresTarget if backend == "postgresql" else SqliteTarget
    return make(f"{backend}:", None, SPECIFICATION, LIMIT_S, store)


@contextmanager
def opened(under_test: Target) -> Generator[Runner]:
    """A runner on the target, open."""
    runner = Runner(under_test, MODEL)
    try:
        runner.open()
        yield runner
    finally:
        runner.close()


@contextmanager
def opened_stage_of(under_test: Target) -> Generator[tuple[Runner, Stage]]:
    """A runner on the target and a stage of it, both open."""
    with opened(under_test) as runner, opened_stage(runner) as stage:
        assert stage is not None
        yield runner, stage


def staged(backend: Backend, store: type[Any] | None = None) -> AbstractContextManager[tuple[Runner, Stage]]:
    """The same of the adapter, or of a class that is made as it is."""
    return opened_stage_of(target(backend, store))


def first_failure(runner: Runner, check: str, store: type[Any]) -> FailureReport:
    """What a check says first of a store, beginning with the operations that it does in its own way."""
    session = Session(runner, FIRST_ONLY, 0)
    session.focus = overridden(store, SPECIFICATION)
    CHECKS[check](session)
    [failure] = session.failures
    return failure


def racy(backend: Backend, name: str) -> Racy:
    """The store of that name."""
    [found] = [each for each in RACY if (each.backend, each.name) == (backend, name)]
    return found


def beside(world: str, *clients: Call) -> Scenario:
    return Scenario(WORLDS[world], tuple((call,) for call in clients))


def instances(operation: str, run: str = "r") -> list[Call]:
    """Those that are not about another run."""
    others = {"r", "q", "n"} - {run}
    return [call for call in INSTANCES if call.operation == operation and call.args.get("runId") not in others]


def explored(stage: Stage, scenarios: Iterable[Scenario], readings: Readings) -> Callable[[], Any]:
    async def every() -> list[Exploration]:
        return [await explore(stage, MODEL, scenario, readings) for scenario in scenarios]

    return every


def instance(operation: str, place: int = 0) -> Call:
    return instances(operation)[place]


Factory = Callable[[], AbstractAsyncContextManager[Reopenable]]


def _on_sqlite(store: type[Any]) -> Factory:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        database = InlineBinding()
        database.open()
        try:
            await D1Store(database).ensure_schema()
            yield Reopenable(lambda: store(database, poll_ms=5))
        finally:
            database.connection.close()

    return factory


def _on_postgres(store: type[Any]) -> Factory:
    @asynccontextmanager
    async def factory() -> AsyncGenerator[Reopenable]:
        url, schema = embedded_url(), f"race_{token_hex(4)}"
        async with PostgresStore(url, schema=schema) as first:
            await first.ensure_schema()
        try:
            yield Reopenable(lambda: store(url, schema=schema, pool_size=1, poll_ms=5))
        finally:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f'drop schema "{schema}" cascade'.encode())

    return factory


sqlite = SimpleNamespace(**{each.name: _on_sqlite(each.store) for each in RACY if each.backend == "sqlite"})
postgresql = SimpleNamespace(**{each.name: _on_postgres(each.store) for each in RACY if each.backend == "postgresql"})

"""Clients that die or lose an answer at a statement: the good stores leave all or nothing, the broken ones are told."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import psycopg
import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.d1.binding import Row
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cuts import (
    CutExploration,
    concurrent_scenarios,
    explore_cuts,
    lone_scenarios,
    rerun_cut,
    second_call_scenarios,
)
from storeproof.conformance.databasestages import PostgresStage, SqliteStage
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.points import Cut, When
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Model
from storeproof.spec.errors import StoreUnavailable
from storeproof.spec.loader import load
from tests.races import Backend, Racy
from tests.races_sqlite_statements import HandwrittenStore
from tests.races_stores import RACY

pytestmark = pytest.mark.races


SPECIFICATION = load()
MODEL = Model(SPECIFICATION)
TABLES = [getattr(TableNames(), key) for key in TableNames.__slots__ if key != "schema_migrations"]


@asynccontextmanager
async def opened(backend: Backend, store: type[Any] | None = None) -> AsyncGenerator[Stage]:
    """A stage whose clients use the class, or the adapter."""
    if backend == "sqlite":
        stage: Stage = SqliteStage(lambda binding: (store or D1Store)(binding, poll_ms=5), TABLES, SPECIFICATION)
        async with running(stage):
            yield stage
        return
    url, schema, make = embedded_url(), f"cuts_{token_hex(4)}", store or PostgresStore
    async with PostgresStore(url, schema=schema) as first:
        await first.ensure_schema()
    stage = PostgresStage(
        lambda given: make(given, schema=schema, pool_size=2, poll_ms=5), url, schema, TABLES, SPECIFICATION
    )
    try:
        async with running(stage):
            yield stage
    finally:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f"drop schema {schema} cascade".encode())


@asynccontextmanager
async def running(stage: Stage) -> AsyncGenerator[None]:
    await stage.open()
    try:
        with stage.points():
            for setup in WORLDS.values():
                await stage.prepare(setup, keep=True)
            yield
    finally:
        await stage.close()


async def explored(stage: Stage, scenarios: Iterable[Scenario], bound: int | None = None) -> CutExploration:
    """All of them as one; ends with the first that is not right."""
    whole, readings = CutExploration(), Readings()
    for scenario in scenarios:
        found = await explore_cuts(stage, MODEL, scenario, readings, bound)
        whole.points += found.points
        whole.rules += found.rules
        if not found.complete:
            found.points, found.rules = whole.points, whole.rules
            return found
    whole.complete = True
    return whole


def assert_right(found: CutExploration) -> None:
    assert (found.wrong, found.unknown, found.skipped, found.complete) == (None, None, None, True)


def test_every_instance_is_cut_everywhere_on_sqlite() -> None:
    async def run() -> None:
        async with opened("sqlite") as stage:
            lone = list(lone_scenarios())
            found = await explored(stage, lone)
            assert_right(found)
            # An operation is one batch: it dies before it, after it, loses its answer, or dies with the answer.
            assert len(lone) == len(WORLDS) * len(INSTANCES)
            assert found.points == dict.fromkeys(("before", "after", "lost", "answered"), len(lone))
            assert found.rules["atomic.cut"] == found.rules["retry.converges"] == 3 * len(lone)
            assert found.rules["atomic.acknowledged"] == len(lone)
            operations = {rule.split(".")[0] for rule in found.rules}
            assert operations >= {call.operation for call in INSTANCES}

            second = list(second_call_scenarios(MODEL))
            found = await explored(stage, second)
            assert_right(found)
            assert found.points == dict.fromkeys(("before", "after", "lost", "answered"), len(second))
            assert found.rules["atomic.acknowledged"] == 4 * len(second)

    asyncio.run(run())


def test_every_writer_is_followed_by_another_one() -> None:
    second = list(second_call_scenarios(MODEL))
    writers = {name for name in SPECIFICATION.operations if not name.startswith(("load", "get", "read", "list", "sub"))}
    assert {scenario.clients[0][0].operation for scenario in second} == writers
    assert all(one.operation != other.operation for ((one, other),) in (scenario.clients for scenario in second))


def test_one_of_two_clients_dies_in_every_schedule() -> None:
    async def run() -> None:
        scenarios = list(concurrent_scenarios(MODEL, 7, 60))
        assert scenarios == list(concurrent_scenarios(MODEL, 7, 60))
        assert scenarios != list(concurrent_scenarios(MODEL, 8, 60))
        async with opened("sqlite") as stage:
            found = await explored(stage, scenarios)
            assert_right(found)
            # Of two batches one comes first, and either client dies.
            assert found.points == {"after": 4 * len(scenarios), "lost": 4 * len(scenarios)}
            assert found.rules["atomic.cut"] == found.rules["atomic.linearizable"] == 8 * len(scenarios)
        async with opened("postgresql") as stage:
            claim, signal = _instance("claimRun"), _instance("deliverSignal")
            found = await explored(stage, [Scenario(WORLDS["waiting"], ((claim,), (signal,)))], 1)
            assert_right(found)
            assert found.points["before"] == found.points["after"] > 8
            assert found.points["lost"] >= found.points["after"]

    asyncio.run(run())


def test_cuts_at_statements_and_commits_on_postgres() -> None:
    async def run() -> None:
        names = ("loadExecution", "appendEvents", "claimRun", "deliverSignal", "claimDueTimers", "deleteRun")
        async with opened("postgresql") as stage:
            points: dict[str, dict[When, int]] = {}
            for name in names:
                found = await explored(stage, [Scenario(WORLDS["waiting"], ((_instance(name),),))])
                assert_right(found)
                points[name] = dict(found.points)
            statements = {name: count["after"] for name, count in points.items()}
            # A writer is one statement and its COMMIT; deleteRun takes a lock first.
            assert statements == {name: {"loadExecution": 1, "deleteRun": 3}.get(name, 2) for name in names}
            for name, count in statements.items():
                assert points[name] == {"before": count, "after": count, "lost": count, "answered": 1}

    asyncio.run(run())


def _instance(operation: str) -> Call:
    return next(call for call in INSTANCES if call.operation == operation)


FIRST = {
    "CreateAgainWhenLost": "atomic.linearizable",
    "DeliverAgainWhenLost": "atomic.linearizable",
    "AppendAgainWhenLost": "atomic.linearizable",
    "FinishAnswersFirst": "atomic.acknowledged",
}
"""The likeliest rule, where it is not that the operation was half done."""
CRASH_UNSAFE = [racy for racy in RACY if racy.kind == "cut"]


@pytest.mark.parametrize("racy", CRASH_UNSAFE, ids=lambda racy: f"{racy.backend}-{racy.name}")
def test_crash_unsafe_stores_are_found(racy: Racy) -> None:
    async def run() -> None:
        async with opened(racy.backend, racy.store) as stage:
            found = await explored(stage, _about(racy))
            assert found.skipped is None
            assert found.wrong is not None
            rules = found.wrong.wrong.rules
            assert rules[0] == FIRST.get(racy.name, "atomic.cut")
            assert set(rules) <= racy.expected
            assert len(rules) > 1
            assert found.wrong.cut is not None
            scenario, choices = found.wrong.scenario, found.wrong.encounter.choices
            for _ in range(5):
                again = await rerun_cut(stage, MODEL, scenario, Readings(), choices, found.wrong.cut)
                assert again is not None
                assert again.wrong == found.wrong.wrong
            # The run without its cut is right, or would be a little later.
            harmless = Cut(0, 99, found.wrong.cut.when)
            assert await rerun_cut(stage, MODEL, scenario, Readings(), choices, harmless) is None

    asyncio.run(run())


def test_there_are_crash_unsafe_stores() -> None:
    assert Counter(racy.backend for racy in CRASH_UNSAFE) == {"sqlite": 13, "postgresql": 13}


def _about(racy: Racy) -> Iterator[Scenario]:
    operations = {rule.split(".")[0] for rule in racy.expected}
    for scenario in lone_scenarios():
        if scenario.clients[0][0].operation in operations:
            yield scenario


class LockLeftBehind(HandwrittenStore):
    """markRunFinished takes a lock that it keeps in a table of its own; one that finds it taken does nothing."""

    refuses = False

    async def mark_run_finished(self, **given: Any) -> None:
        await self.do(("create table if not exists held (run_id text primary key)", ()))
        taken = "insert into held values (?1) on conflict do nothing returning 1"
        [rows] = await self.do((taken, (given["run_id"],)))
        if rows:
            await super().mark_run_finished(**given)
            await self.do(("delete from held where run_id = ?1", (given["run_id"],)))
        elif self.refuses:
            raise StoreUnavailable("the run is locked", retryable=True)


class LockRefusesForEver(LockLeftBehind):
    """The same, but one that finds it taken asks its caller to come back later."""

    refuses = True


@pytest.mark.parametrize(
    ("store", "says"), [(LockLeftBehind, "expected 'finished', got"), (LockRefusesForEver, "StoreUnavailable, 3 times")]
)
def test_a_retry_that_does_not_converge(store: type[Any], says: str) -> None:
    async def run() -> None:
        async with opened("sqlite", store) as stage:
            finish = Scenario(WORLDS["waiting"], ((_instance("markRunFinished"),),))
            found = await explored(stage, [finish])
            assert found.wrong is not None
            # Having died after taking the lock it left nothing anybody can read.
            assert found.wrong.cut == Cut(0, 1, "after")
            assert found.wrong.wrong.rules == ("retry.converges", "atomic.cut", "markRunFinished.finished")
            assert "and the call is made again: " in found.wrong.wrong.message
            assert says in found.wrong.wrong.message
            assert [moment.client for moment in found.wrong.encounter.moments[-2:]] == [1, 1]

    asyncio.run(run())


class ForgetsTheFirst(HandwrittenStore):
    """releaseRunLease begins by undoing its client's last heartbeat, and does it again in a later batch."""

    _before: Row | None = None

    async def heartbeat_run_lease(self, **given: Any) -> None:
        self._before = await self.row(given["run_id"])
        await super().heartbeat_run_lease(**given)

    async def release_run_lease(self, **given: Any) -> None:
        if self._before is not None:
            now = await self.row(given["run_id"])
            assert now is not None
            await self.do(self.write_back(self._before))
            await self.do(self.write_back(now))
        await super().release_run_lease(**given)


def test_an_answered_call_that_a_later_cut_takes_back() -> None:
    async def run() -> None:
        async with opened("sqlite", ForgetsTheFirst) as stage:
            beat = Call("heartbeatRunLease", {"runId": "r", "leaseOwner": "o", "leaseMs": 8, "now": 9})
            release = Call("releaseRunLease", {"runId": "r", "leaseOwner": "o"})
            found = await explored(stage, [Scenario(WORLDS["leased"], ((beat, release),))])
            assert found.wrong is not None
            assert found.wrong.wrong.rules[0] == "atomic.acknowledged"
            assert found.wrong.cut is not None
            assert found.wrong.cut.when == "after"

    asyncio.run(run())


def test_what_is_wrong_without_a_cut_is_not_told_as_one() -> None:
    class Careless(D1Store):
        async def release_run_lease(self, **given: Any) -> None:
            pass

    async def run() -> None:
        async with opened("sqlite", Careless) as stage:
            release = Call("releaseRunLease", {"runId": "r", "leaseOwner": "o"})
            for clients in (((release,),), ((release,), (_instance("loadRun"),))):
                found = await explored(stage, [Scenario(WORLDS["leased"], clients)])
                assert found.wrong is None
                assert found.skipped is not None
                assert found.skipped.startswith("wrong without a cut too: ")

    asyncio.run(run())

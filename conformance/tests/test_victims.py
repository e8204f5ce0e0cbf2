"""Processes killed with SIGKILL: what the database alone kept is all or nothing, and what was answered is there."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest
from storeproof.adapters.names import TableNames
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.catalogue import WORLDS
from storeproof.conformance.databasestages import PostgresStage
from storeproof.conformance.embedded import embedded_url
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.victimplaces import Place, PostgresPlace, SqlitePlace
from storeproof.conformance.victims import (
    Kill,
    Killing,
    explore_kills,
    explore_moments,
    killed_scenarios,
    rekill,
    zygote,
)
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load
from tests.races import Backend

pytestmark = pytest.mark.races


SPECIFICATION = load()
MODEL = Model(SPECIFICATION)
TABLES = [getattr(TableNames(), key) for key in TableNames.__slots__ if key != "schema_migrations"]
ADAPTERS = {"sqlite": "storeproof.adapters.d1:D1Store", "postgresql": "storeproof.adapters.postgres:PostgresStore"}


@asynccontextmanager
async def opened(backend: Backend, folder: Path, store: str | None = None) -> AsyncGenerator[Place]:
    """A place to die for victims that use the class `module:name`, or the adapter."""
    store = store or ADAPTERS[backend]
    if backend == "sqlite":
        place: Place = SqlitePlace(folder, store, SPECIFICATION)
        yield place
        await place.stage.close()
        return
    url, schema = embedded_url(), f"victims_{token_hex(4)}"
    async with PostgresStore(url, schema=schema) as first:
        await first.ensure_schema()
    stage = PostgresStage(lambda given: PostgresStore(given, schema=schema), url, schema, TABLES, SPECIFICATION)
    await stage.open()
    try:
        await stage.prepare(WORLDS["waiting"], keep=True)
        yield PostgresPlace(stage, url, schema, store)
    finally:
        await stage.close()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f"drop schema {schema} cascade".encode())


async def killed(place: Place, scenarios: Iterable[Scenario]) -> Killing:
    """All of them as one; ends with the first that is not right."""
    whole, readings = Killing(), Readings()
    with zygote(place) as process:
        for scenario in scenarios:
            found = await explore_kills(place, process, MODEL, scenario, readings)
            assert (found.unknown, found.skipped) == (None, None)
            if found.wrong is not None:
                return found
            whole.points += found.points
            whole.rules += found.rules
    return whole


WRITERS = ("createRun", "appendEvents", "deliverSignal", "claimDueTimers", "deleteRun")


def one_each() -> list[Scenario]:
    """A scenario of each of these operations."""
    scenarios = list(killed_scenarios(MODEL))
    return [next(each for each in scenarios if each.clients[0][0].operation == name) for name in WRITERS]


def test_every_point_of_a_file(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened("sqlite", tmp_path) as place:
            found = await killed(place, one_each())
            assert found.wrong is None
            # At least BEGIN, SAVEPOINT, a statement, RELEASE and COMMIT of each.
            assert found.points["before"] == found.points["after"] >= 5 * len(WRITERS)
            assert found.points["answered"] == found.rules["atomic.acknowledged"] == len(WRITERS)
            assert found.rules["atomic.cut"] == found.rules["retry.converges"] == 2 * found.points["after"]

    asyncio.run(run())


def test_every_point_on_postgres(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened("postgresql", tmp_path) as place:
            found = await killed(place, one_each())
            assert found.wrong is None
            # A statement each, which commits by itself; deleteRun has two and a COMMIT.
            each = len(WRITERS) + 2
            assert found.points == {"before": each, "during": each, "after": each, "answered": len(WRITERS)}
            assert found.rules["atomic.cut"] == found.rules["retry.converges"] == 3 * each

    asyncio.run(run())


def long_program() -> Program:
    """Appends and other writes, one after the other."""
    source = [scenario.clients[0][0] for scenario in killed_scenarios(MODEL)]
    return tuple(call for call in source if call.operation not in ("deleteRun", "appendEvents"))[:18]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_no_answer_is_lost_whenever_the_process_dies(backend: Backend, tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(backend, tmp_path) as place:
            with zygote(place) as process:
                scenario = Scenario(WORLDS["waiting"], (long_program(),))
                found = await explore_moments(place, process, MODEL, scenario, Readings())
                assert (found.wrong, found.unknown, found.skipped) == (None, None, None)
                # Now and then the process is done before it is killed, which proves nothing and is not counted.
                assert found.points.keys() == {"any moment"}
                assert len(long_program()) - 4 <= found.points["any moment"] <= len(long_program()) - 1

    asyncio.run(run())


BROKEN = [
    ("sqlite", "tests.races_sqlite_log:AppendRowByRow", "appendEvents", "atomic.cut"),
    ("sqlite", "tests.races_sqlite_deliveries:TimerDroppedLater", "deliverSignal", "atomic.cut"),
    ("sqlite", "tests.races_sqlite_faults:FinishAnswersFirst", "markRunFinished", "atomic.acknowledged"),
    ("postgresql", "tests.races_postgres_log:AppendRowByRow", "appendEvents", "atomic.cut"),
    ("postgresql", "tests.races_postgres_runs:SaveStateInTwo", "saveRunState", "atomic.cut"),
    ("postgresql", "tests.races_postgres_faults:FinishAnswersFirst", "markRunFinished", "atomic.acknowledged"),
]


@pytest.mark.parametrize(("backend", "store", "operation", "rule"), BROKEN, ids=lambda value: value.split(":")[-1])
def test_broken_stores_are_found(backend: Backend, store: str, operation: str, rule: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(backend, tmp_path, store) as place:
            about = [one for one in killed_scenarios(MODEL) if one.clients[0][0].operation == operation]
            found = await killed(place, about)
            assert found.wrong is not None
            assert found.kill is not None
            assert found.wrong.wrong.rules[0] == rule
            assert found.wrong.wrong.rules[1].startswith(f"{operation}.")
            assert found.wrong.wrong.message.startswith("its process killed ")
            with zygote(place) as process:
                for _ in range(3):
                    again = await rekill(place, process, MODEL, found.wrong.scenario, Readings(), found.kill)
                    assert again is not None
                    assert again.wrong == found.wrong.wrong

    asyncio.run(run())


def test_a_victim_tells_its_answers_and_dies_where_it_is_told_to(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened("sqlite", tmp_path) as place:
            with zygote(place) as process:
                await place.stage.prepare(())
                calls = (
                    Call("createRun", {"runId": "é", "workflowId": "w", "input": "x" * 200_000, "now": 1}),
                    Call("releaseRunLease", {"runId": "é", "leaseOwner": "o"}),
                    Call("readEvents", {"runId": "é"}),
                )
                store = await place.left()
                seen: Counter[int] = Counter()
                for kill in (Kill(0, 0, "before"), Kill(0, 0, "answered"), Kill(1, 99, "after"), None):
                    outcomes, dead = process.victim(store, calls, kill)
                    assert dead == (kill is not None and kill.at == 0)
                    seen[len(outcomes)] += 1
                assert seen == {0: 1, 1: 1, 3: 2}
                assert outcomes[2] == Returned([])
                missing = {**store, "class": "tests.races:Missing"}
                with pytest.raises(HarnessError, match="Missing"):
                    process.victim(missing, calls, None)
                assert len(process.victim(store, calls, None)[0]) == 3

    asyncio.run(run())

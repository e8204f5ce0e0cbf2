"""Other people's stores meet under the scheduler: the right ones pass, and what only looks right alone is found."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounters import Encounter, meet
from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.factorystage import FactoryStage
from storeproof.conformance.linearizability import Linearizable
from storeproof.conformance.points import Cut
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import Judge, Readings, Verdict
from storeproof.conformance.races import Exploration, after, explore
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Model, Returned
from storeproof.spec.loader import load
from tests.third_party import FACTORIES, on_two_rows

pytestmark = pytest.mark.races


SPECIFICATION = load()
MODEL = Model(SPECIFICATION)
_CREATE = Call("createRun", {"runId": "r", "workflowId": "w", "input": 1, "now": 1})
_CLAIMS = [call for call in INSTANCES if call.operation == "claimRun"]
CLAIM_TWICE = Scenario((*WORLDS["empty"], _CREATE), ((_CLAIMS[0],), (_CLAIMS[1],)))

SCHEDULES = {
    # select for update, update, COMMIT
    "psycopg": 6,
    "sqlalchemy_asyncpg": 6,
    "asyncpg": 6,
    # BEGIN IMMEDIATE, select, update, COMMIT
    "aiosqlite": 8,
    "sqlalchemy_aiosqlite": 8,
    # one pause, in a lock
    "in_memory": 2,
}


def staged(
    factory: Callable[[], Any], work: Callable[[FactoryStage], Coroutine[Any, Any, Any]], clients: int = 2
) -> Any:
    async def run() -> Any:
        stage = FactoryStage("third party", factory, SPECIFICATION, 10.0, clients)
        await stage.open()
        try:
            with stage.points():
                return await work(stage)
        finally:
            await stage.close()

    return asyncio.run(run())


async def explored(stage: FactoryStage) -> Exploration:
    return await explore(stage, MODEL, CLAIM_TWICE, Readings())


@pytest.mark.parametrize("name", FACTORIES)
def test_a_right_store_passes_in_every_schedule(name: str) -> None:
    found = staged(FACTORIES[name](True), explored)
    assert (found.wrong, found.skipped, found.unknown) == (None, None, None)
    assert (found.schedules, found.complete) == (SCHEDULES[name], True)


@pytest.mark.parametrize("name", FACTORIES)
def test_check_then_act_is_found_and_replayed(name: str) -> None:
    async def work(stage: FactoryStage) -> Exploration:
        found = await explored(stage)
        assert found.encounter is not None
        seen: set[str] = set()
        for _ in range(20):
            await stage.prepare(CLAIM_TWICE.setup)
            again = await meet(stage, CLAIM_TWICE, Replay(found.encounter.choices).choose)
            seen.add(repr((again.seen, again.moments, again.choices)))
        assert seen == {repr((found.encounter.seen, found.encounter.moments, found.encounter.choices))}
        return found

    found = staged(FACTORIES[name](False), work)
    assert found.wrong is not None
    assert found.wrong.rules[:2] == ("claims.exclusive", "atomic.linearizable")


@pytest.mark.parametrize("name", FACTORIES)
def test_what_is_seen_is_said(name: str) -> None:
    async def work(stage: FactoryStage) -> tuple[str, bool]:
        return stage.sees, stage.shared

    expected = ("calls", True) if name == "in_memory" else ("statements", False)
    assert staged(FACTORIES[name](True), work) == expected


@pytest.mark.parametrize("name", [name for name in FACTORIES if name != "in_memory"])
def test_a_dead_client_leaves_all_or_nothing(name: str) -> None:
    """And nothing of the dead holds up the others."""
    alone = Scenario((_CREATE,), ((_CLAIMS[0],), (Call("loadRun", {"runId": "r"}),)))

    async def work(stage: FactoryStage) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = []
        await stage.prepare(alone.setup)
        whole = await meet(stage, alone, Replay(()).choose)
        for at in range(whole.statements[0]):
            for when in ("before", "after"):
                for retry in (False, True):
                    await stage.prepare(alone.setup)
                    cut = await meet(stage, alone, Replay(()).choose, Cut(0, at, when))
                    assert cut.dead == 0
                    if not retry:
                        assert isinstance(await judged(stage, alone, cut), Linearizable)
                retried = await stage.client(0).call(_CLAIMS[0].operation, _CLAIMS[0].args)
                assert isinstance(retried, Returned)
                assert retried.value["kind"] == "claimed"
                run = cut.history[-1].outcome
                assert isinstance(run, Returned)
                found.append((when, "lease" in run.value))
        return found

    found = staged(FACTORIES[name](True), work)
    # Only when the last statement, the COMMIT, was executed is anything there.
    torn = [(when, False) for _ in range(len(found) // 2 - 1) for when in ("before", "after")]
    assert found == [*torn, ("before", False), ("after", True)]
    assert len(torn) >= 4


def test_however_long_closing_takes_the_dead_hold_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly() -> list[Any]:
        time.sleep(1.3)  # in the thread of the dead client's connection
        return objects()

    objects = gc.get_objects
    monkeypatch.setattr(gc, "get_objects", slowly)
    alone = Scenario((_CREATE,), ((_CLAIMS[0],), (Call("loadRun", {"runId": "r"}),)))

    async def work(stage: FactoryStage) -> Encounter:
        await stage.prepare(alone.setup)
        return await meet(stage, alone, Replay(()).choose, Cut(0, 0, "after"))

    cut = staged(FACTORIES["aiosqlite"](True), work)
    assert cut.dead == 0
    assert isinstance(cut.history[-1].outcome, Returned)


async def judged(stage: FactoryStage, scenario: Scenario, encounter: Encounter) -> Verdict:
    judge = Judge(MODEL, stage, scenario, after(MODEL, scenario.setup), Readings())
    return await judge.judged(encounter)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_deadlock_is_run_through_and_its_victim_is_always_the_same(driver: str) -> None:
    """Two rows locked in opposite order, and a store that does nothing about it."""
    scenario = Scenario((), ((Call("loadRun", {"runId": "a"}),), (Call("loadRun", {"runId": "b"}),)))

    async def work(stage: FactoryStage) -> list[list[str]]:
        victims: list[list[str]] = []
        explorer = Explorer(None)
        while explorer.more:
            await stage.prepare(())
            met = await meet(stage, scenario, explorer.choose)
            explorer.advance()
            victims.append([type(each.outcome).__name__ for each in met.history])
        return victims

    found = staged(on_two_rows(driver), work)
    assert ["Raised", "Raised"] not in found
    assert len([each for each in found if "Raised" in each]) >= 2
    assert staged(on_two_rows(driver), work) == found

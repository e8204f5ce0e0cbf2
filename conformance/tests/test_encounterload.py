"""Real concurrency: a load's history is judged whole, right stores pass and lost updates are found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from storeproof.conformance.encounterload import Load, drawn_loads, meet_at_once, repeated
from storeproof.conformance.factorystage import FactoryStage
from storeproof.conformance.programs import Call
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Model
from storeproof.spec.loader import load
from tests.third_party import FACTORIES, AsyncpgStore

pytestmark = pytest.mark.races


SPECIFICATION = load()
MODEL = Model(SPECIFICATION)


def run(factory: Callable[[], Any], scenarios: list[Scenario], repetitions: int) -> list[Load]:
    async def runs() -> list[Load]:
        stage = FactoryStage("third party", factory, SPECIFICATION, 10.0)
        await stage.open()
        try:
            return [await repeated(stage, MODEL, each, Readings(), repetitions) for each in scenarios]
        finally:
            await stage.close()

    return asyncio.run(runs())


@pytest.mark.parametrize("name", FACTORIES)
def test_the_history_of_a_load_is_judged_whole(name: str) -> None:
    found = run(FACTORIES[name](True), list(drawn_loads(5, 2)), 1)
    assert [(each.wrong, each.unknown, each.skipped) for each in found] == [(None, None, None)] * 2
    assert [(each.histories, each.operations) for each in found] == [(1, 48)] * 2
    assert all(each.rules["atomic.linearizable"] == 1 for each in found)


@pytest.mark.parametrize("name", FACTORIES)
def test_lost_updates_are_found(name: str) -> None:
    found = run(FACTORIES[name](False), list(drawn_loads(5, 3)), 1)
    wrong = [each.wrong for each in found if each.wrong is not None]
    assert wrong
    assert all("atomic.linearizable" in each.rules for each in wrong)


def test_a_small_scenario_is_repeated() -> None:
    scenario = Scenario((), tuple((Call("loadRun", {"runId": run}),) for run in "abc"))
    [found] = run(FACTORIES["in_memory"](True), [scenario], 10)
    assert (found.histories, found.operations, found.wrong) == (10, 30, None)


def test_whoever_has_no_answer_is_told() -> None:
    class Silent(AsyncpgStore):
        async def changed(self, change: Any) -> Any:
            await asyncio.Event().wait()

    async def limited() -> Any:
        stage = FactoryStage("silent", lambda: _Yields(Silent(None, True)), SPECIFICATION, 0.2)
        await stage.open()
        scenario = Scenario((), ((Call("loadRun", {"runId": "a"}),), (Call("loadRun", {"runId": "b"}),)))
        return await meet_at_once(stage, scenario, limit_s=0.2)

    met = asyncio.run(limited())
    assert [operation.outcome.name for operation in met.history] == ["NoAnswer", "NoAnswer"]


class _Yields:
    def __init__(self, store: object) -> None:
        self.store = store

    async def __aenter__(self) -> object:
        return self.store

    async def __aexit__(self, *_: object) -> None:
        return None


def test_loads_are_drawn_by_the_seed() -> None:
    assert list(drawn_loads(1, 3)) == list(drawn_loads(1, 3))
    assert list(drawn_loads(1, 3)) != list(drawn_loads(2, 3))

"""Subscriptions beside appends: good stores give every event once, each broken one is found and replays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from storeproof.adapters.d1 import D1Store
from storeproof.adapters.memory import MemoryStore
from storeproof.adapters.postgres import PostgresStore
from storeproof.conformance.databases import PostgresTarget, SqliteTarget
from storeproof.conformance.exploring import Replay
from storeproof.conformance.factorystage import FactoryStage
from storeproof.conformance.stages import Stage
from storeproof.conformance.subscriptionraces import (
    SceneExploration,
    WrongSubscription,
    explore_scene,
    play_scene,
    race_scene,
)
from storeproof.conformance.subscriptionscenes import scenes_for
from storeproof.spec.loader import load
from tests.races import Racy
from tests.races_stores import RACY
from tests.third_party import followed

pytestmark = pytest.mark.races


SPECIFICATION = load()
BROKEN = [racy for racy in RACY if racy.kind == "subscription"]
MOST = 40
Work = Callable[[Stage], Coroutine[Any, Any, Any]]


def on_database(backend: str, store: type[Any], work: Work) -> Any:
    make = SqliteTarget if backend == "sqlite" else PostgresTarget

    async def run() -> Any:
        target: Any = make(f"{backend}:", None, SPECIFICATION, 10.0, store)
        await target.open()
        try:
            return await with_stage(target.stage(), work)
        finally:
            await target.close()

    return asyncio.run(run())


def on_factory(factory: Callable[[], Any], work: Work) -> Any:
    return asyncio.run(with_stage(FactoryStage("in memory", factory, SPECIFICATION, 10.0), work))


async def with_stage(stage: Stage, work: Work) -> Any:
    await stage.open()
    try:
        with stage.points():
            return await work(stage)
    finally:
        await stage.close()


async def all_scenes(stage: Stage) -> list[SceneExploration]:
    return [await explore_scene(stage, scene, most=MOST) for scene in scenes_for(stage)]


async def first_wrong(stage: Stage) -> WrongSubscription | None:
    for scene in scenes_for(stage):
        found = await explore_scene(stage, scene)
        if found.wrong is not None:
            return found.wrong
    return None


@pytest.mark.parametrize(("backend", "store"), [("sqlite", D1Store), ("postgresql", PostgresStore)])
def test_the_adapters_give_every_event_once(backend: str, store: type[Any]) -> None:
    found = on_database(backend, store, all_scenes)
    assert [each.wrong for each in found] == [None] * 16
    assert all(1 < each.schedules <= MOST for each in found)
    assert sum(each.rules["subscribeEvents.once"] for each in found) == sum(each.schedules for each in found)
    assert sum(each.rules["subscribeEvents.unsubscribed"] for each in found) > MOST


@pytest.mark.parametrize("factory", [followed(gap=False), MemoryStore])
def test_stores_in_memory_give_every_event_before_the_answer(factory: Callable[[], Any]) -> None:
    found = on_factory(lambda: _context(factory()), all_scenes)
    assert [each.wrong for each in found] == [None] * 8
    assert all(each.complete for each in found)


@pytest.mark.parametrize("racy", BROKEN, ids=lambda racy: f"{racy.name}-{racy.backend}")
def test_a_broken_subscription_is_found_and_replays(racy: Racy) -> None:
    async def work(stage: Stage) -> tuple[WrongSubscription, list[Any]]:
        wrong = await first_wrong(stage)
        assert wrong is not None
        again = [await play_scene(stage, wrong.scene, Replay(wrong.choices).choose) for _ in range(3)]
        return wrong, again

    wrong, again = on_database(racy.backend, racy.store, work)
    assert wrong.rule in racy.expected
    assert len(wrong.scene.clients) == 2
    assert again == [wrong] * 3


def test_a_gap_between_replay_and_registration_is_found() -> None:
    wrong = on_factory(followed(gap=True), first_wrong)
    assert (wrong.rule, wrong.scene.name) == ("subscribeEvents.once", "an empty log, in one process")
    assert (wrong.expected, wrong.actual) == ("the events [0, 1]", "[]")


@pytest.mark.parametrize(("backend", "store"), [("sqlite", D1Store), ("postgresql", PostgresStore)])
def test_the_adapters_pass_with_real_concurrency(backend: str, store: type[Any]) -> None:
    async def work(stage: Stage) -> list[SceneExploration]:
        return [await race_scene(stage, scene, 2) for scene in scenes_for(stage)]

    found = on_database(backend, store, work)
    assert [(each.schedules, each.wrong) for each in found] == [(2, None)] * 16


def test_a_gap_shows_with_real_concurrency() -> None:
    async def work(stage: Stage) -> list[SceneExploration]:
        return [await race_scene(stage, scene, 5) for scene in scenes_for(stage)[:1]]

    [found] = on_factory(followed(gap=True), work)
    assert found.wrong is not None
    assert found.wrong.choices == ()


class _context:
    """A factory that made the store already, or its context."""

    def __init__(self, made: Any) -> None:
        self.made = made

    async def __aenter__(self) -> Any:
        return await self.made.__aenter__() if hasattr(self.made, "__aenter__") else self.made

    async def __aexit__(self, *error: Any) -> None:
        if hasattr(self.made, "__aexit__"):
            await self.made.__aexit__(*error)

"""A client dies before or after one of its statements, or its answer is lost, and the others live on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from storeproof.conformance.exploring import Replay
from storeproof.conformance.histories import Moment
from storeproof.conformance.points import Cut, Died, executing, point
from storeproof.conformance.scheduling import Scheduler
from tests.stepping import Work, alone, ran, steps


def writes(effects: list[int], again: bool = False) -> Work:
    """Three statements; where one fails in any way the client tries what is left, as a careless `finally` does."""

    async def statement(number: int) -> None:
        await point(f"write {number}")
        async with executing():
            effects.append(number)

    async def client() -> None:
        for number in range(3):
            if again:
                with suppress(Died):
                    await statement(number)
            else:
                await statement(number)

    return client


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_client_dies_before_or_after_a_statement_and_does_nothing_any_more(at: int, again: bool) -> None:
    for when, left in (("before", at), ("after", at + 1)):
        effects: list[int] = []
        others: list[str] = []
        scheduler = ran(writes(effects, again), steps("b", 2, others), cut=Cut(0, at, when))  # type: ignore[arg-type]
        assert effects == list(range(left))
        assert others == ["b0", "b1"]
        assert scheduler.dead == 0
        cuts = [(moment.client, moment.text) for moment in scheduler.moments if moment.kind == "cut"]
        assert cuts == [(0, f"dies {when} it")]
        # What is cut before a statement came to that statement; of the later ones nothing is to be seen.
        assert [moment.text for moment in scheduler.moments if moment.client == 0 and moment.kind == "statement"] == [
            f"write {number}" for number in range(at + 1)
        ]


def test_a_statement_that_fails_is_no_place_to_die_after() -> None:
    async def client() -> None:
        for _ in range(2):
            await point("insert")
            with suppress(ValueError):
                async with executing():
                    raise ValueError

    scheduler = ran(client, cut=Cut(0, 0, "after"))
    assert scheduler.dead is None


@pytest.mark.parametrize("cut", [Cut(1, 0, "after"), Cut(0, 3, "before"), Cut(0, 9, "after")])
def test_a_cut_elsewhere_cuts_nothing(cut: Cut) -> None:
    effects: list[int] = []
    scheduler = ran(writes(effects), steps("b", 1, []), cut=cut)
    assert (effects, scheduler.dead, scheduler.statements(0)) == ([0, 1, 2], None, 3)


def test_a_lost_answer_is_an_error_of_the_driver_and_the_client_lives_on() -> None:
    effects: list[str] = []

    async def statement(text: str) -> None:
        await point(text)
        async with executing(lost=lambda: ConnectionError("gone")):
            effects.append(text)

    async def client() -> None:
        await statement("first")
        with suppress(ConnectionError):
            await statement("second")
        effects.append("hears of it")
        await statement("third")

    scheduler = ran(client, cut=Cut(0, 1, "lost"))
    assert effects == ["first", "second", "hears of it", "third"]
    assert scheduler.dead is None
    assert [moment.kind for moment in scheduler.moments] == ["statement", "statement", "lost", "statement"]
    effects.clear()
    ran(client)
    assert effects == ["first", "second", "hears of it", "third"]


def test_a_client_dies_of_its_answer() -> None:
    effects: list[str] = []

    async def run() -> Scheduler:
        async def client() -> None:
            for name in ("f", "g", "h"):
                await point(f"{name}()", "call")
                effects.append(name)
                scheduler.note(0, "answer", name)
                scheduler.answered(0)

        scheduler = Scheduler(Replay(()).choose, cut=Cut(0, 1, "answered"))
        await alone(scheduler.run([client]))
        return scheduler

    scheduler = asyncio.run(run())
    assert effects == ["f", "g"]
    assert scheduler.dead == 0
    assert scheduler.moments[-2:] == [Moment(0, "answer", "g"), Moment(0, "cut", "dies after it")]


def test_no_handler_of_exceptions_sees_a_death() -> None:
    caught: list[Exception] = []

    async def client() -> None:
        try:
            await point("a")
            async with executing():
                pass
        except Exception as error:
            caught.append(error)

    assert ran(client, cut=Cut(0, 0, "after")).dead == 0
    assert caught == []

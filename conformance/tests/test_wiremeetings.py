"""When the clients of a scenario begin over the wire: what is drawn is looked at, and nothing is run."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import cast

import pytest
from storeproof.conformance import wiremeetings
from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.racefailures import FEW
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wiremeetings import COARSE_S, LONGEST_DELAY_S, Pace, exactly
from storeproof.conformance.wirestage import WireStage

MEETINGS = 2000
CLAIM_S, MARK_S = 0.018, 0.002


def drawn(monkeypatch: pytest.MonkeyPatch, lengths_s: Sequence[float]) -> list[list[float]]:
    """The delays of so many meetings of clients whose calls take so long."""
    met: list[list[float]] = []

    async def meet(
        stage: WireStage, scenario: Scenario, delayed: list[float], wait: object, took: list[float]
    ) -> Encounter:
        assert wait is exactly
        met.append(delayed)
        took[:] = lengths_s
        return Encounter((), (), (), (), None, None)

    monkeypatch.setattr(wiremeetings, "meet_over_wire", meet)
    scenario = Scenario(WORLDS["waiting"], tuple((call,) for call in INSTANCES[: len(lengths_s)]))
    pace = Pace(random.Random(1))

    async def all_of_them() -> None:
        for _ in range(MEETINGS):
            await pace.meet(cast(WireStage, None), scenario)

    asyncio.run(all_of_them())
    return met


def test_every_part_of_a_call_is_met_by_one_that_begins_later(monkeypatch: pytest.MonkeyPatch) -> None:
    met = drawn(monkeypatch, (CLAIM_S, MARK_S))[20:]  # once they were timed
    apart = [delayed for delayed in met if max(delayed) > 0]
    assert 0.4 < len(apart) / len(met) < 0.6
    tenths = Counter(int(10 * mark / CLAIM_S) for _, mark in apart if mark > 0)
    assert {*tenths} == {*range(10)}
    assert min(tenths.values()) > len(apart) / 20
    # The short call has less to be met in, so it is the first less often.
    assert 0.05 < sum(claim > 0 for claim, _ in apart) / len(apart) < 0.15
    assert all(claim < MARK_S for claim, _ in apart)


def test_together_each_is_the_first_in_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    together = [delayed for delayed in drawn(monkeypatch, (CLAIM_S, MARK_S)) if max(delayed) <= 0]
    assert 0.4 < sum(claim < mark for claim, mark in together) / len(together) < 0.6


def test_a_load_keeps_together_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    met = drawn(monkeypatch, [CLAIM_S] * (FEW + 1))
    assert 0 < max(map(max, met)) < LONGEST_DELAY_S


@pytest.mark.parametrize("delay_s", [0.0003, COARSE_S, 0.05])
def test_the_last_milliseconds_are_not_left_to_a_timer(monkeypatch: pytest.MonkeyPatch, delay_s: float) -> None:
    asked: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float) -> None:
        asked.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", slept)
    began = time.monotonic()
    asyncio.run(exactly(delay_s))
    assert time.monotonic() - began >= delay_s
    assert max(asked) <= max(0, delay_s - COARSE_S)

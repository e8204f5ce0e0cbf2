"""A saved race or kill of a program at the other end of a wire again: it needs luck, so it is tried many times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.cutblame import CONVERGES
from storeproof.conformance.encounterload import Load
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.judgement import misordered
from storeproof.conformance.points import Cut
from storeproof.conformance.racefailures import FEW
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wirechecks import tried
from storeproof.conformance.wirekills import LATEST, Round, struck
from storeproof.conformance.wireload import again, crowd
from storeproof.conformance.wiremeetings import LONGEST_DELAY_S
from storeproof.conformance.wirestage import WireStage
from storeproof.reference.model import Model

REPLAYS, KILL_REPLAYS = 100, 10
"""How often a saved failure is repeated, of a race and of a kill."""
MOST_KILLS = 50
"""So many where none of the first shows it: a short call is half done for a short time."""
MOMENTS = 7
"""At which they come, evenly from at once to `wirekills.LATEST`."""
CROWDS, COPIES = 48, (96, 48)
"""So often are so many copies of a race run at once, where it does not come alone; by turns the one and the other:
of D1 half of an append was seen in 4 of 816 copies of the smaller crowd, and in 2 of 960 of the larger.
"""
LATE_S = 0.1
"""How much later than the others a client begins in every second of them. Among so many copies a call takes long, and
some races need one that begins when another's second call is at work.
"""


async def replay_over_wire(
    stage: WireStage, model: Model, scenario: Scenario, cut: Cut | None, saved: Sequence[str]
) -> Tried | None:
    """A saved race or kill again and again; what is wrong with the first that fails, and how many did. `saved`: the
    rules that it broke. Raises HarnessError where the others cannot be judged.
    """
    if cut is None:
        found = await _replayed(stage, model, scenario, saved)
        wrong = tried(found)
        if wrong is None:
            require_verdict("the race", found.unknown, found.skipped)
        return None if wrong is None else _counted(wrong, found.failures, found.histories)
    later = [LATEST * place / (MOMENTS - 1) for place in range(MOMENTS)]
    rounds = [Round(scenario, cut.at, each, retried=CONVERGES in saved) for each in later]
    for made in range(0, MOST_KILLS, KILL_REPLAYS):
        kills = [await struck(stage, model, rounds[(made + more) % MOMENTS]) for more in range(KILL_REPLAYS)]
        failures = [kill.wrong for kill in kills if kill.wrong is not None]
        if failures:
            return _counted(failures[0], len(failures), made + KILL_REPLAYS)
        for kill in kills:
            require_verdict("the kill", kill.unknown, kill.skipped)
    return None


async def _replayed(stage: WireStage, model: Model, scenario: Scenario, saved: Sequence[str]) -> Load:
    """Alone, so that it can be counted; where it does not come so, as it was found: many copies at once.

    Rows that the reading shows in a wrong order say nothing of a race: where they hide it, it is read without.
    """
    source = random.Random(0)
    seen: Load | None = None
    orders: frozenset[str] = frozenset()
    while True:
        avoidance = Avoidance(model, orders)
        found = await again(stage, model, scenario, REPLAYS, source, REPLAYS, avoidance)
        seen = seen or found
        rules = frozenset(found.wrong.rules if found.wrong else ())
        if not rules or rules <= orders or not misordered(model, rules) or misordered(model, saved):
            break
        orders |= rules
    for turn in range(CROWDS if scenario.width <= FEW else 0):
        if found.wrong is not None or found.skipped is not None or found.unknown is not None:
            break
        latest_s = LATE_S if turn % 2 else LONGEST_DELAY_S
        number = COPIES[turn // 2 % len(COPIES)]
        found = await crowd(stage, model, scenario, number, source, avoidance, latest_s=latest_s)
    return found if found.wrong is not None or seen.wrong is None else seen


def _counted(found: Tried, failures: int, repetitions: int) -> Tried:
    message = f"in {failures} of {repetitions} repetitions: {found.wrong.message}"
    return replace(found, wrong=replace(found.wrong, message=message))

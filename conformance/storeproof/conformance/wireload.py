"""Real concurrency over the wire: the clients of many copies of a scenario at once, and each history judged.

Requests that may go out together go out in one write. Copies differ in who is first and by how much, because nobody
knows how long the window of a race is. What is found need not come again, so it is tried many times.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.closing import short_reading
from storeproof.conformance.encounterload import Load
from storeproof.conformance.encounters import Encounter
from storeproof.conformance.histories import Operation
from storeproof.conformance.judgement import unfit
from storeproof.conformance.linearizability import Unknown
from storeproof.conformance.programs import Arguments, Call, Program
from storeproof.conformance.racejudgement import Judge, Readings, Wrong
from storeproof.conformance.races import after, exercised
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.wirecopies import OVER_ALL_ROWS, Copy, apart, copies
from storeproof.conformance.wiremeetings import LONGEST_DELAY_S, Pace, delays, meet_over_wire
from storeproof.conformance.wirestage import WireStage
from storeproof.conformance.wirestore import WireStore
from storeproof.reference.model import Model, Outcome

MOST_TOLD = 8
"""So many histories that were told before end the copies of a scenario that run one after the other."""


async def crowd(
    stage: WireStage,
    model: Model,
    scenario: Scenario,
    number: int,
    source: random.Random,
    avoidance: Avoidance | None = None,
    told: Callable[[Load], bool] = lambda _: False,
    latest_s: float = LONGEST_DELAY_S,
) -> Load:
    """Runs so many copies of a scenario after one reset, until one history is wrong.

    `avoidance` keeps the reading at the end away from rules that are known to fail. What was `told` before hides
    nothing: the other copies are judged as well; those that have to do with each other after one more reset, because
    nobody knows what a wrong one left, and until it was met so often that little else is to be expected.
    `latest_s`: how much later than the others of its copy a client may begin where all copies meet at once.
    """
    found = Load()
    every = list(copies(model.specification, scenario, number))
    together = apart(scenario)
    first: Load | None = None
    await stage.target.reset()
    if together:
        clients = len(scenario.clients)
        delayed = partial(delays, clients, source, latest_s / clients)
        meetings = _met_together(stage, model, every, delayed, found)
    else:
        meetings = _met_in_turn(stage, model, every, Pace(source), found)
    async with aclosing(meetings) as met:
        async for own, encounter in met:
            if not await _judged(own, model, encounter, found, avoidance):
                continue
            if found.unknown is not None or not told(found):
                return found
            first = first or replace(found)
            found.wrong = None
            if not together:
                if found.failures >= MOST_TOLD:
                    break
                await stage.target.reset()
    if first is not None:
        found.wrong, found.scenario, found.encounter = first.wrong, first.scenario, first.encounter
    return found


async def _met_together(
    stage: WireStage, model: Model, every: Sequence[Copy], delayed: Callable[[], list[float]], found: Load
) -> AsyncGenerator[tuple[_CopyStage, Encounter]]:
    """All copies at once, which have nothing to do with each other; then each to be judged."""
    found.skipped = await _set_all_up(stage, model, [copy.scenario.setup for copy in every])
    if found.skipped is not None:
        return
    met = [meet_over_wire(stage, copy.scenario, delayed()) for copy in every]
    encounters = await asyncio.gather(*met)
    stages = await asyncio.gather(*(_read_ahead(stage, model, copy) for copy in every))
    for own, encounter in zip(stages, encounters, strict=True):
        yield own, encounter


async def _met_in_turn(
    stage: WireStage, model: Model, every: Sequence[Copy], pace: Pace, found: Load
) -> AsyncGenerator[tuple[_CopyStage, Encounter]]:
    """One copy after the other, the latest first: what is due later no earlier claim takes."""
    for copy in reversed(every):
        found.skipped = await _set_up(stage, model, copy.scenario.setup)
        if found.skipped is not None:
            return
        encounter = await pace.meet(stage, copy.scenario)
        yield await _read_ahead(stage, model, copy), encounter


async def again(
    stage: WireStage,
    model: Model,
    scenario: Scenario,
    repetitions: int,
    source: random.Random,
    most_wrong: int = 1,
    avoidance: Avoidance | None = None,
    rule: str | None = None,
) -> Load:
    """Runs a scenario alone, after a reset each time, until so many histories were wrong; the first one is kept.

    With a `rule`, only a history that is told first by it counts: the same calls may be wrong in two ways.
    """
    found, pace = Load(), Pace(source)
    for _ in range(repetitions):
        await stage.target.reset()
        found.skipped = await _set_up(stage, model, scenario.setup)
        if found.skipped is not None:
            return found
        encounter = await pace.meet(stage, scenario)
        readings = Readings(avoidance=avoidance, writers=scenario.meeting)
        judging = Judge(model, stage, scenario, after(model, scenario.setup), readings)
        if await _took(judging, model, scenario, encounter, found):
            if rule is not None and found.wrong is not None and found.wrong.rules[0] != rule:
                found.wrong = None
                found.failures -= 1
            elif found.failures >= most_wrong:
                return found
        if found.unknown is not None:
            return found
    return found


async def _set_all_up(stage: WireStage, model: Model, setups: Sequence[Program]) -> str | None:
    """Calls the setups of copies, at once if none claims over all rows; else the latest first, which the claims of the
    earlier ones do not see.
    """
    if any(call.operation in OVER_ALL_ROWS for call in setups[0]):
        problems = [await _set_up(stage, model, setup) for setup in reversed(setups)]
    else:
        problems = await asyncio.gather(*(_set_up(stage, model, setup) for setup in setups))
    return next((problem for problem in problems if problem), None)


async def _set_up(stage: WireStage, model: Model, setup: Program) -> str | None:
    """Calls a setup; what was wrong with its answers, if anything: sequences tell that better."""
    state = model.initial()
    for call in setup:
        outcome = await stage.reader.call(call.operation, call.args)
        step = model.step(state, call.operation, call.args)
        problem = unfit(model, state, call, step, outcome)
        if problem is not None:
            return problem
        state = step.state
    return None


async def _read_ahead(stage: WireStage, model: Model, copy: Copy) -> _CopyStage:
    """The stage of a copy, with what only reads already asked for, all at once: nobody writes any more."""
    reader = _CopyReader(stage.target.wire, copy)
    await reader.read_ahead(*_readings(copy).seeing(model, short_reading(copy.scenario.calls)))
    return _CopyStage(stage, copy, reader)


def _readings(copy: Copy, avoidance: Avoidance | None = None) -> Readings:
    return Readings(last=copy.last, avoidance=avoidance, writers=copy.scenario.meeting)


async def _judged(
    stage: _CopyStage, model: Model, encounter: Encounter, found: Load, avoidance: Avoidance | None
) -> bool:
    """Judges a copy and reads what it left; whether there is nothing more to find out."""
    copy = stage.copy
    own = tuple(
        each
        if each.outcome is None
        else Operation(each.client, each.call, each.invoked, each.returned, copy.own(each.call.operation, each.outcome))
        for each in encounter.history
    )
    encounter = Encounter(own, encounter.moments, (), encounter.statements, None, None)
    start = after(model, copy.scenario.setup)
    judging = Judge(model, stage, copy.scenario, start, _readings(copy, avoidance))
    return await _took(judging, model, copy.scenario, encounter, found) or found.unknown is not None


async def _took(judging: Judge, model: Model, scenario: Scenario, encounter: Encounter, found: Load) -> bool:
    """Adds one history to what was found; whether it is wrong."""
    found.histories += 1
    found.operations += len(encounter.history)
    verdict = await judging.judged(encounter)
    if isinstance(verdict, Unknown):
        found.unknown = verdict.reason
        return False
    if isinstance(verdict, Wrong):
        found.failures += 1
        if found.wrong is None:
            found.wrong, found.scenario, found.encounter = verdict, scenario, encounter
        return True
    if not any(map(indeterminate, encounter.history)):
        found.rules.update(exercised(model, scenario, verdict))
    return False


class _CopyStage(WireStage):
    """The stage as the judge of one copy sees it."""

    def __init__(self, stage: WireStage, copy: Copy, reader: WireStore) -> None:
        super().__init__(stage.target)
        self.copy = copy
        self._reader = reader

    @property
    def reader(self) -> WireStore:
        return self._reader


class _CopyReader(WireStore):
    """Reads what belongs to one copy."""

    def __init__(self, wire: WireStore, copy: Copy) -> None:
        self.store = wire.store
        self._wire = wire
        self._copy = copy
        self._ahead: list[tuple[Call, Outcome]] = []

    async def read_ahead(self, *calls: Call) -> None:
        """Asks for all of them at once; each answer is given out once, and none after a call that may write."""
        outcomes = await asyncio.gather(*(self._wire.call(call.operation, call.args) for call in calls))
        self._ahead = list(zip(calls, outcomes, strict=True))

    async def call(self, operation: str, args: Arguments) -> Outcome:
        if self._ahead and (self._ahead[0][0].operation, self._ahead[0][0].args) == (operation, args):
            return self._copy.own(operation, self._ahead.pop(0)[1])
        self._ahead = []
        return self._copy.own(operation, await self._wire.call(operation, args))

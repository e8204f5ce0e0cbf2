"""The check `cuts`: a client dies, or loses an answer, at each of its statements; what it leaves behind is judged.

A client alone is cut in its last call, and afterwards calls it again; beside others it is cut in every schedule. An
operation that was cut has no answer, so it took effect or it did not: all the rest is for the linearizability checker.
Knows no store; `victims` kills whole processes, `outages` a server.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

from storeproof.conformance.catalogue import INSTANCES, WORLDS
from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT, blamed, unanswered
from storeproof.conformance.encounters import Encounter, meet
from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.footprints import footprint, meets
from storeproof.conformance.histories import Moment, Operation
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.linearizability import Linearizable, Unknown
from storeproof.conformance.points import Cut, When
from storeproof.conformance.racejudgement import Judge, Readings, Verdict, Wrong
from storeproof.conformance.races import Tried, after, exercised, explore, pair_scenarios, prepared
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.scheduling import Choose
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Model

__all__ = [
    "ACKNOWLEDGED",
    "CONVERGES",
    "CUT",
    "CutExploration",
    "concurrent_scenarios",
    "explore_cuts",
    "lone_scenarios",
    "rerun_cut",
    "second_call_scenarios",
]

MOST_RUNS = 2_000
"""Of one scenario of several clients; one with more of them is not complete, and said to be so."""
AGAIN = 3
"""How often a call is made again that answers StoreUnavailable."""
LATER_S = 0.1
"""How long a write may take that was answered before it was done."""

_WHENS: tuple[When, ...] = ("before", "after", "lost")


@dataclass(slots=True)
class CutExploration:
    """What became of one scenario. `points`: how many cuts took place and were right, by when."""

    runs: int = 0
    points: Counter[When] = field(default_factory=Counter[When])
    complete: bool = False
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: Tried | None = None
    unknown: str | None = None
    skipped: str | None = None
    """Why nothing can be said about cuts: the setup is answered wrongly, or the scenario is wrong without a cut too."""


async def explore_cuts(
    stage: Stage,
    model: Model,
    scenario: Scenario,
    readings: Readings,
    bound: int | None = None,
    most: int = MOST_RUNS,
) -> CutExploration:
    """Cuts the clients of a scenario at every point until one cut is wrong or all were tried.

    `bound`: of the schedules of several clients those with so many preemptions at most. See `exploring`.
    """
    cutting = _Cutting(stage, model, scenario, readings)
    found = cutting.found
    try:
        if len(scenario.clients) == 1:
            await cutting.alone()
        else:
            await cutting.beside_others(bound, most)
    except _Over:
        return found
    found.complete = True
    return found


async def rerun_cut(
    stage: Stage, model: Model, scenario: Scenario, readings: Readings, choices: Sequence[int], cut: Cut
) -> Tried | None:
    """One cut in one schedule again; what is wrong with it, if anything. Raises HarnessError where nobody can tell."""
    cutting = _Cutting(stage, model, scenario, readings)
    with suppress(_Over):
        await cutting.struck(Replay(choices).choose, cut)
    require_verdict("the cut", cutting.found.unknown, cutting.found.skipped)
    return cutting.found.wrong


def lone_scenarios(worlds: int = len(WORLDS)) -> Iterator[Scenario]:
    """Every operation instance alone, in so many of the worlds."""
    for setup in list(WORLDS.values())[:worlds]:
        for call in INSTANCES:
            yield Scenario(setup, ((call,),))


def second_call_scenarios(model: Model) -> Iterator[Scenario]:
    """Every writer, and then another that looks at one of its rows: what the first one answered must hold."""
    setup = WORLDS["waiting"]
    specification = model.specification
    writers = [call for call in INSTANCES if footprint(specification, call).written]
    for place, first in enumerate(writers):
        others = [*writers[place + 1 :], *writers[:place]]
        near = (other for other in others if other.operation != first.operation and meets(specification, first, other))
        second = next(near, None)
        if second is not None:
            yield Scenario(setup, ((first, second),))


def concurrent_scenarios(model: Model, seed: int, count: int | None) -> Iterator[Scenario]:
    """All pairs in all worlds, or so many of them, drawn by the seed."""
    every = list(pair_scenarios(model))
    yield from every if count is None or count >= len(every) else random.Random(seed).sample(every, count)


class _Over(Exception):
    """There is nothing more to find out about the scenario."""


class _Cutting:
    """Cuts one scenario, and keeps what was found."""

    def __init__(self, stage: Stage, model: Model, scenario: Scenario, readings: Readings) -> None:
        self._stage = stage
        self._model = model
        self._scenario = scenario
        self._readings = readings
        self._judge = self._new_judge()
        self.found = CutExploration()

    async def alone(self) -> None:
        """Every point of the last call: those before it are cut in scenarios of their own."""
        await self._prepare()
        # Both states that a cut may leave are read once as they should be; after a cut only the content is compared.
        await self._right_anyway(Encounter((), (), (), (), None, await self._stage.fingerprint()))
        uncut = await self._met(_only)
        # By a judge of its own, who is not asked again: the state that he reads may still change.
        if isinstance(await self._new_judge().judged(uncut), Wrong):
            # Perhaps only not yet: what is written after its answer is there a little later, if its client lives.
            await self._settle()
            uncut = await self._met(_only)
            await self._settle()
            await self._right_anyway(replace(uncut, content=await self._stage.fingerprint()))
        [statements] = uncut.statements
        for at in range(_statements_before_last_call(uncut), statements):
            for when in _WHENS:
                await self.struck(_only, Cut(0, at, when))
        await self.struck(_only, Cut(0, len(self._scenario.clients[0]) - 1, "answered"))

    async def beside_others(self, bound: int | None, most: int) -> None:
        """Every statement of every client, in every schedule that leads there."""
        uncut = await explore(self._stage, self._model, self._scenario, self._readings, bound)
        if uncut.wrong is not None:
            self.found.skipped = f"wrong without a cut too: {uncut.wrong.message}"
        self.found.skipped = self.found.skipped or uncut.skipped
        self.found.unknown = uncut.unknown
        if self.found.skipped or self.found.unknown:
            raise _Over
        # Where nobody waits for a lock, dying before a statement is dying after the one before it.
        whens = _WHENS if self._stage.probe is not None else _WHENS[1:]
        for client in range(len(self._scenario.clients)):
            at, reached = 0, True
            while reached:
                reached = False
                for when in whens:
                    reached = await self._schedules(Cut(client, at, when), bound, most) or reached
                at += 1

    async def struck(self, choose: Choose, cut: Cut) -> bool:
        """One run with a cut, judged; whether the cut took place."""
        encounter = await self._met(choose, cut)
        if not any(moment.kind in ("cut", "lost") for moment in encounter.moments):
            return False
        again = len(self._scenario.clients) == 1 and indeterminate(encounter.history[-1])
        verdict = await self._judged(encounter, cut)
        if again:
            verdict = await self._again(encounter, cut)
            self.found.rules[CONVERGES] += 1
        self.found.points[cut.when] += 1
        self.found.rules.update(exercised(self._model, self._scenario, verdict))
        if cut.when != "answered":
            self.found.rules[CUT] += 1
        if any(not indeterminate(operation) for operation in encounter.history):
            self.found.rules[ACKNOWLEDGED] += 1
        return True

    async def _schedules(self, cut: Cut, bound: int | None, most: int) -> bool:
        explorer, reached = Explorer(bound), False
        while explorer.more:
            if self.found.runs >= most:
                raise _Over
            reached |= await self.struck(explorer.choose, cut)
            explorer.advance()
        return reached

    async def _again(self, encounter: Encounter, cut: Cut) -> Linearizable:
        """The same call once more, by a client that knows nothing of the first one unless that one still lives."""
        if encounter.content is None or await self._stage.fingerprint() != encounter.content:
            # The state had to be read (where nobody can tell, it was), and reading claims: once more up to here.
            encounter = await self._met(Replay(encounter.choices).choose, cut)
        last = encounter.history[-1]
        caller = len(self._scenario.clients)
        at = 1 + (last.returned or last.invoked)
        retry = last
        for _ in range(AGAIN):
            outcome = await self._stage.client(cut.client).call(last.call.operation, last.call.args)
            retry = Operation(caller, last.call, at, at + 1, outcome)
            if not indeterminate(retry):
                break
        assert retry.outcome is not None
        moments = (
            Moment(caller, "call", last.call.as_python()),
            Moment(caller, "answer", show_outcome(retry.outcome)),
        )
        retried = replace(
            encounter,
            history=(*encounter.history, retry),
            moments=(*encounter.moments, *moments),
            content=await self._stage.fingerprint(),
        )
        if indeterminate(retry):
            self._fail(retried, cut, unanswered(self._model, self._judge.start, retried.history, AGAIN))
        return await self._judged(retried, cut)

    def _new_judge(self) -> Judge:
        start = after(self._model, self._scenario.setup)
        return Judge(self._model, self._stage, self._scenario, start, self._readings)

    async def _settle(self) -> None:
        """Waits for what a client left for later, and closes its store."""
        await asyncio.sleep(LATER_S)
        await self._stage.revive(0)

    async def _prepare(self) -> None:
        self.found.skipped = await prepared(self._stage, self._model, self._scenario.setup)
        if self.found.skipped:
            raise _Over

    async def _met(self, choose: Choose, cut: Cut | None = None) -> Encounter:
        await self._prepare()
        self.found.runs += cut is not None
        return await meet(self._stage, self._scenario, choose, cut)

    async def _right_anyway(self, encounter: Encounter) -> None:
        verdict = await self._known(await self._judge.judged(encounter))
        if isinstance(verdict, Wrong):
            self.found.skipped = f"wrong without a cut too: {verdict.message}"
            raise _Over

    async def _judged(self, encounter: Encounter, cut: Cut) -> Linearizable:
        verdict = await self._known(await self._judge.judged(encounter))
        if not isinstance(verdict, Wrong):
            return verdict
        self._fail(encounter, cut, verdict)

    def _fail(self, encounter: Encounter, cut: Cut, wrong: Wrong) -> NoReturn:
        told = blamed(self._model, self._judge.start, self._scenario, cut, wrong)
        self.found.wrong = Tried(self._scenario, told, encounter, cut)
        raise _Over

    async def _known(self, verdict: Verdict) -> Linearizable | Wrong:
        if isinstance(verdict, Unknown):
            self.found.unknown = verdict.reason
            raise _Over
        return verdict


def _only(able: Sequence[int], _last: int | None) -> int:
    """Chooses for a client that is alone."""
    return able[0]


def _statements_before_last_call(encounter: Encounter) -> int:
    kinds = [moment.kind for moment in encounter.moments]
    last_call = len(kinds) - kinds[::-1].index("call")
    return kinds[:last_call].count("statement")

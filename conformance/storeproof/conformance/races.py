"""The check `interleavings`: every schedule of every pair of operations, then more of them, judged for linearizability.

Enumeration first: all pairs in every world, whole; then a third operation before or beside a pair, drawn by the seed,
within a preemption bound. The report says for each pair of operations how many schedules were run and whether these are
all of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from storeproof.conformance.catalogue import INSTANCES, WORLDS, WRITERS, histories_of_a_run, looks_at_a_run, pairs
from storeproof.conformance.encounters import Encounter, meet
from storeproof.conformance.exploring import Explorer, Replay
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.judgement import unfit
from storeproof.conformance.linearizability import Linearizable, Unknown
from storeproof.conformance.points import Cut
from storeproof.conformance.programs import Call, Program
from storeproof.conformance.racejudgement import CLAIMS, LINEARIZABLE, SNAPSHOTS, Judge, Readings, Wrong
from storeproof.conformance.relation import indeterminate
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.stages import Stage
from storeproof.reference.model import Model, State

MOST_SCHEDULES = 2_000
"""Of one scenario; a scenario with more of them is not complete, and said to be so."""
BOUND = 2
"""Preemptions in schedules of three clients, or of two with a third operation before them."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A scenario that fails, why, and the run that shows it."""

    scenario: Scenario
    wrong: Wrong
    encounter: Encounter
    cut: Cut | None = None


@dataclass(slots=True)
class Exploration:
    """What became of one scenario."""

    schedules: int = 0
    complete: bool = False
    rules: Counter[str] = field(default_factory=Counter[str])
    wrong: Wrong | None = None
    encounter: Encounter | None = None
    """The one that is wrong."""
    unknown: str | None = None
    skipped: str | None = None
    """Why nothing could be explored: the setup alone was answered wrongly, which sequences tell better."""

    def tried(self, scenario: Scenario) -> Tried | None:
        """What fails in the scenario, if anything."""
        return Tried(scenario, self.wrong, self.encounter) if self.wrong and self.encounter else None


async def explore(
    stage: Stage,
    model: Model,
    scenario: Scenario,
    readings: Readings,
    bound: int | None = None,
    most: int = MOST_SCHEDULES,
) -> Exploration:
    """Runs the schedules of a scenario until one is wrong or all were run."""
    found = Exploration()
    start = after(model, scenario.setup)
    judging = Judge(model, stage, scenario, start, readings)
    explorer = Explorer(bound)
    while explorer.more and explorer.runs < most:
        problem = await prepared(stage, model, scenario.setup)
        if problem:
            found.skipped = problem
            return found
        encounter = await meet(stage, scenario, explorer.choose)
        explorer.advance()
        found.schedules = explorer.runs
        if stage.sees == "calls" and len(encounter.choices) == scenario.width:
            # Nothing can come between: every schedule is a program of one client, and `sequences` is about those.
            found.complete = True
            return found
        verdict = await judging.judged(encounter)
        if isinstance(verdict, Wrong):
            found.wrong, found.encounter = verdict, encounter
            return found
        if isinstance(verdict, Unknown):
            found.unknown = verdict.reason
            return found
        if not any(map(indeterminate, encounter.history)):
            # A store that says it is unavailable is not wrong, and has shown nothing.
            found.rules.update(exercised(model, scenario, verdict))
    found.complete = not explorer.more
    return found


async def rerun(
    stage: Stage, model: Model, scenario: Scenario, readings: Readings, choices: Sequence[int], cut: Cut | None
) -> Tried | None:
    """One schedule of a scenario again; what is wrong, if anything. Raises HarnessError where nobody can tell."""
    require_verdict("the race", None, await prepared(stage, model, scenario.setup))
    encounter = await meet(stage, scenario, Replay(choices).choose, cut)
    judging = Judge(model, stage, scenario, after(model, scenario.setup), readings)
    verdict = await judging.judged(encounter)
    require_verdict("the race", verdict.reason if isinstance(verdict, Unknown) else None)
    return Tried(scenario, verdict, encounter, cut) if isinstance(verdict, Wrong) else None


def exercised(model: Model, scenario: Scenario, verdict: Linearizable) -> Iterator[str]:
    """The rules that a right encounter is evidence for."""
    yield from (rule for rules in verdict.rules for rule in rules if rule in model.specification.rules)
    names = [call.operation for call in scenario.meeting]
    if len(scenario.clients) > 1:
        yield LINEARIZABLE
        yield from ("reads.snapshot" for _ in [name for name in names if name in SNAPSHOTS][:1])
        claims = [name for name in names if name in CLAIMS]
        if len(claims) > 1:
            yield "claims.exclusive"
        yield from {f"{name}.omission" for name in claims if f"{name}.omission" in model.specification.rules}


def after(model: Model, setup: Program) -> State:
    """The model's state after a setup."""
    state = model.initial()
    for call in setup:
        state = model.step(state, call.operation, call.args).state
    return state


async def prepared(stage: Stage, model: Model, setup: Program) -> str | None:
    """Prepares the stage; what was wrong with the setup's answers, if anything."""
    outcomes = await stage.prepare(setup)
    state = after(model, setup[: len(setup) - len(outcomes)])
    for call, outcome in zip(setup[len(setup) - len(outcomes) :], outcomes, strict=True):
        step = model.step(state, call.operation, call.args)
        problem = unfit(model, state, call, step, outcome)
        if problem is not None:
            return problem
        state = step.state
    return None


def pair_scenarios(model: Model, worlds: int = len(WORLDS)) -> Iterator[Scenario]:
    """All pairs in the first world, and in the others, up to so many, those of which one at least does something."""
    for place, setup in enumerate(list(WORLDS.values())[:worlds]):
        start = after(model, setup)
        idle = [call for call in INSTANCES if model.step(start, call.operation, call.args).state is start]
        for left, right in pairs():
            if place == 0 or left not in idle or right not in idle:
                yield Scenario(setup, ((left,), (right,)))


def reading_scenarios() -> Iterator[Scenario]:
    """A read of run and log beside two writes of another client; two looks at a run beside a write; in one world."""
    setup = next(iter(WORLDS.values()))
    for looks in looks_at_a_run():
        for write in WRITERS:
            yield Scenario(setup, (looks, (write,)))
    for name in sorted(SNAPSHOTS):
        for writes in histories_of_a_run():
            yield Scenario(setup, ((Call(name, {"runId": "r"}),), writes))


def drawn_scenarios(seed: int, count: int) -> Iterator[Scenario]:
    """Three operations about runs, or about schedules: one before two others, beside them, or after one of them."""
    source = random.Random(seed)
    worlds = list(WORLDS.values())
    for number in range(count):
        setup = source.choice(worlds)
        first: Call = source.choice(INSTANCES)
        near = [call for call in INSTANCES if _about(call) == _about(first)]
        second, third = source.choice(near), source.choice(near)
        if number % 3 == 0:
            yield Scenario((*setup, first), ((second,), (third,)))
        elif number % 3 == 1:
            yield Scenario(setup, ((first,), (second,), (third,)))
        else:
            yield Scenario(setup, ((first, second), (third,)))


def _about(call: Call) -> str:
    return "schedules" if "chedule" in call.operation and "Timer" not in call.operation else "runs"

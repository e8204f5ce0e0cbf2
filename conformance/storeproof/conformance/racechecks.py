"""The check `interleavings` of a session: explores pairs and more, keeps the evidence, explains what it finds.

What is explored is said by `races`, how by `scheduling` and `exploring`; here it is counted and told.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.catalogue import WORLDS
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import CLAIMS, LINEARIZABLE, SNAPSHOTS, Readings
from storeproof.conformance.races import (
    BOUND,
    Exploration,
    Tried,
    drawn_scenarios,
    explore,
    pair_scenarios,
    reading_scenarios,
)
from storeproof.conformance.report import PairReport
from storeproof.conformance.runner import Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.stages import Stage
from storeproof.conformance.wirestage import WireStage

NAME = "interleavings"


EVERY = sys.maxsize
DRAWN_PAIRS = 200
"""Pairs that are explored at most where every run takes a new store, which is slow; drawn by the seed."""


def check_interleavings(session: Session) -> None:
    """Every schedule of every pair, then scenarios with a third operation."""
    if session.full or not any(wanted(session, scenario) for scenario in pair_scenarios(session.model)):
        return
    with opened_stage(session.runner, session.avoidance) as stage:
        if stage is None or isinstance(stage, WireStage):  # over the wire nobody can be stopped
            return
        profile, spared = session.profile, session.avoidance.scenarios
        most = profile.scenarios or (EVERY if stage.quick else DRAWN_PAIRS)
        drawn = drawn_pairs(session, most, profile.worlds)
        thirds = drawn_scenarios(session.seed, profile.thirds)
        reading = _drawn(session, reading_scenarios(), most)
        more = spared(each for each in chain(reading, thirds) if stage.quick and wanted(session, each))
        scenarios, more = session.share_of(spared(drawn)), session.share_of(more)
        readings = Readings(avoidance=session.avoidance)
        findings, total = RaceFindings(session, NAME), len(scenarios) + len(more)
        exploring = _Exploring(session, stage, findings, total, readings, len(drawn) < most)
        for suspected in (True, False):
            exploring.all(filter(lambda each: session.suspects(each) is suspected, scenarios), None)
            exploring.all(filter(lambda each: session.suspects(each) is suspected, more), BOUND)
        session.pairs = exploring.pairs()


@contextmanager
def opened_stage(runner: Runner, avoidance: Avoidance | None = None) -> Generator[Stage | None]:
    """The stage of the runner's target, open and with its worlds at hand; None where several clients cannot meet."""
    stage = runner.target.stage()
    if stage is None:
        yield None
        return
    wait = runner.wait
    try:
        wait(stage.open())
        with stage.points():
            for setup in WORLDS.values():
                wait(stage.prepare(avoidance.program(setup) if avoidance else setup, keep=True))
            yield stage
    finally:
        wait(stage.close())


@dataclass(slots=True)
class _Exploring:
    session: Session
    stage: Stage
    findings: RaceFindings
    total: int
    readings: Readings
    whole: bool
    """Whether every pair of calls is among the scenarios."""
    done: int = 0
    scenarios: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    schedules: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    incomplete: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def all(self, scenarios: Iterable[Scenario], bound: int | None) -> None:
        """Explores them, until nothing new is expected."""
        for scenario in scenarios:
            if self.findings.enough:
                self.incomplete.update(self.scenarios)
                return
            found = self._explored(scenario, bound)
            self.done += 1
            self.session.tell(NAME, self.done, self.total)
            if bound is None:
                pair = _pair(self.session, scenario)
                self.scenarios[pair] += 1
                self.schedules[pair] += found.schedules
                if not found.complete:
                    self.incomplete.add(pair)

    def pairs(self) -> dict[tuple[str, str], PairReport]:
        """What was explored of every two operations."""
        return {
            pair: PairReport(
                operations=pair,
                scenarios=self.scenarios[pair],
                schedules=self.schedules[pair],
                complete=self.whole and pair not in self.incomplete,
            )
            for pair in self.scenarios
        }

    def _explored(self, scenario: Scenario, bound: int | None) -> Exploration:
        session = self.session
        found = session.runner.wait(explore(self.stage, session.model, scenario, self.readings, bound))
        require_verdict("a race", found.unknown)
        session.skip(NAME, found.skipped)
        tried = found.tried(scenario)
        if tried is not None:
            self._tell(tried, bound)
            return found
        if self.stage.sees != "statements":
            # Orders of whole calls prove nothing about what happens inside one.
            rules = session.specification.rules
            found.rules = Counter({rule: n for rule, n in found.rules.items() if rules[rule].checked_by != NAME})
        self.findings.exercised(found.rules)
        return found

    def _tell(self, found: Tried, bound: int | None) -> None:
        def again(scenario: Scenario) -> Tried | None:
            explored = explore(self.stage, self.session.model, scenario, self.readings, bound)
            return self.session.runner.wait(explored).tried(scenario)

        self.findings.add(found, again)


def drawn_pairs(session: Session, count: int, worlds: int = len(WORLDS)) -> list[Scenario]:
    """So many of the pairs in the worlds that are evidence for what was asked for, or all there are."""
    return _drawn(session, pair_scenarios(session.model, worlds), count)


def _drawn(session: Session, scenarios: Iterable[Scenario], count: int) -> list[Scenario]:
    every = [each for each in scenarios if wanted(session, each)]
    return every if count >= len(every) else random.Random(session.seed).sample(every, count)


def wanted(session: Session, scenario: Scenario) -> bool:
    """Whether a scenario is evidence for a rule that was asked for."""
    if session.wants(LINEARIZABLE):
        return True
    names = [call.operation for call in scenario.meeting]
    if session.wants("claims.exclusive") and sum(name in CLAIMS for name in names) > 1:
        return True
    return any(
        session.wants(f"{name}.omission") or (name in SNAPSHOTS and session.wants("reads.snapshot")) for name in names
    )


def _pair(session: Session, scenario: Scenario) -> tuple[str, str]:
    order = list(session.specification.operations)
    first, second = sorted((client[0].operation for client in scenario.clients), key=order.index)
    return first, second

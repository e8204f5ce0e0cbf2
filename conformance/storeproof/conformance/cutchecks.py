"""The check `cuts` of a session: every operation cut at every statement, alone and beside others.

What is cut is said by `cuts`; here it is counted and told.
"""

from __future__ import annotations

from storeproof.conformance.cuts import (
    ACKNOWLEDGED,
    CONVERGES,
    CUT,
    CutExploration,
    concurrent_scenarios,
    explore_cuts,
    lone_scenarios,
    second_call_scenarios,
)
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.racechecks import opened_stage
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session
from storeproof.conformance.stages import Stage
from storeproof.conformance.wirechecks import check_wire_cuts
from storeproof.conformance.wirestage import WireStage

NAME = "cuts"


def check_cuts(session: Session) -> None:
    """Every instance in every world, two calls of one client, and drawn pairs in which one client dies."""
    if "durable" not in session.capabilities or session.full or not session.wants(CUT, ACKNOWLEDGED, CONVERGES):
        return
    with opened_stage(session.runner, session.avoidance) as stage:
        if isinstance(stage, WireStage):
            check_wire_cuts(session, stage)
            return
        if stage is None or stage.sees != "statements":
            return
        findings, readings = RaceFindings(session, NAME), Readings(avoidance=session.avoidance)
        scenarios = session.in_order(session.avoidance.scenarios(_scenarios(session, stage)))
        for index, scenario in enumerate(scenarios):
            if findings.enough:
                return
            found = _cut(session, stage, scenario, readings)
            require_verdict("a cut", found.unknown)
            session.skip(NAME, found.skipped)
            if found.wrong is not None:
                findings.add(found.wrong, lambda smaller: _wrong(session, stage, smaller, readings))
            else:
                findings.exercised(found.rules)
            session.cut_points += sum(found.points.values())
            session.tell(NAME, index + 1, len(scenarios))


SLOW = 6
"""Where every run takes a new store, which is slow, one of so many scenarios is cut."""


def _scenarios(session: Session, stage: Stage) -> list[Scenario]:
    alone = [*lone_scenarios(session.profile.worlds), *second_call_scenarios(session.model)]
    if not stage.quick:
        return alone[session.seed % SLOW :: SLOW]
    return [*alone, *concurrent_scenarios(session.model, session.seed, session.profile.cut_pairs)]


def _cut(session: Session, stage: Stage, scenario: Scenario, readings: Readings) -> CutExploration:
    return session.runner.wait(explore_cuts(stage, session.model, scenario, readings))


def _wrong(session: Session, stage: Stage, scenario: Scenario, readings: Readings) -> Tried | None:
    return _cut(session, stage, scenario, readings).wrong

"""The check `histories` of a session: clients that really run at the same time, judged like every other race.

For a store whose statements nobody sees it is the only evidence about races, so there pairs are repeated as well.
"""

from __future__ import annotations

from dataclasses import replace

from storeproof.conformance.encounterload import Load, drawn_loads, repeated
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.racechecks import drawn_pairs, opened_stage
from storeproof.conformance.racefailures import told
from storeproof.conformance.racefindings import RaceFindings
from storeproof.conformance.racejudgement import LINEARIZABLE, Readings
from storeproof.conformance.races import Tried
from storeproof.conformance.session import Session
from storeproof.conformance.wirechecks import check_wire_histories
from storeproof.conformance.wirestage import WireStage

NAME = "histories"
PAIRS = 120
"""Pairs that are repeated where statements are not seen."""
REPETITIONS = 5


def check_histories(session: Session) -> None:
    """Loads of many calls; where statements are not seen, pairs too."""
    if session.full or not session.wants(*_rules(session)):
        return
    with opened_stage(session.runner, session.avoidance) as stage:
        if stage is None:
            return
        if isinstance(stage, WireStage):
            check_wire_histories(session, stage)
            return
        loads = drawn_loads(session.seed, session.profile.loads)
        scenarios = [(session.avoidance.load(scenario), 1) for scenario in loads]
        if stage.sees != "statements":
            pairs = session.avoidance.scenarios(drawn_pairs(session, PAIRS))
            scenarios = [*((pair, REPETITIONS) for pair in pairs), *scenarios]
        scenarios = session.share_of(scenarios)
        findings, readings = RaceFindings(session, NAME), Readings(avoidance=session.avoidance)
        found_wrong = 0
        for index, (scenario, repetitions) in enumerate(scenarios):
            if findings.enough or found_wrong >= session.profile.most_told:
                return
            found = session.runner.wait(repeated(stage, session.model, scenario, readings, repetitions))
            require_verdict("a history", found.unknown)
            session.skip(NAME, found.skipped)
            findings.exercised(found.rules)
            if found.wrong is not None and not findings.told_as_sequence(_tried(found)):
                failure = told(NAME, _tried(found), session.model)
                found_wrong += not session.known.expects(failure.rules)
                session.add(failure)
            session.tell(NAME, index + 1, len(scenarios))


def _rules(session: Session) -> list[str]:
    return [rule.id for rule in session.specification.rules.values() if rule.checked_by == "interleavings"]


def _tried(found: Load) -> Tried:
    """Not made smaller: it need not come again. Of the rules, those that are broken for certain: suspects stand behind
    what is not linearizable; rows that the reading shows in a wrong order have their own rule alone.
    """
    assert found.wrong is not None
    assert found.scenario is not None
    assert found.encounter is not None
    rules = found.wrong.rules
    certain = rules[: rules.index(LINEARIZABLE) + 1] if LINEARIZABLE in rules else rules
    return Tried(found.scenario, replace(found.wrong, rules=certain), found.encounter)

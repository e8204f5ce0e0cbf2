"""The check `faults` of a session: processes killed with SIGKILL, and a server that fails under load.

For targets that the kit opens by itself; a store of a factory has its faults from `cuts`. Evidence counts as `cuts` for
a killed process, as `histories` for a load.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack

from storeproof.conformance.cutblame import ACKNOWLEDGED, CONVERGES, CUT
from storeproof.conformance.databasefaults import Outage
from storeproof.conformance.failures import require_verdict
from storeproof.conformance.outages import Endured, endure, outage_scenarios
from storeproof.conformance.racefailures import told
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.session import Session
from storeproof.conformance.victimplaces import Place
from storeproof.conformance.victims import explore_kills, killed_scenarios, zygote

NAME = "faults"


def check_faults(session: Session) -> None:
    """Every writing operation killed at every statement; then loads under each fault."""
    if session.full or not session.profile.faults or not session.wants(CUT, ACKNOWLEDGED, CONVERGES):
        return
    opened = session.runner.target.faults()
    if opened is None:
        return
    stack = AsyncExitStack()
    try:
        faults = session.runner.wait(stack.enter_async_context(opened))
        _kill(session, faults.place)
        for outage in session.share_of(faults.outages):
            _endure(session, outage)
    finally:
        session.runner.wait(stack.aclose())


def _kill(session: Session, place: Place) -> None:
    scenarios = session.in_order(session.avoidance.scenarios(killed_scenarios(session.model)))
    readings = Readings(avoidance=session.avoidance)
    with zygote(place) as process:
        for index, scenario in enumerate(scenarios):
            found = session.runner.wait(explore_kills(place, process, session.model, scenario, readings))
            require_verdict("what a fault left", found.unknown)
            session.skip("cuts", found.skipped)
            session.cut_points += sum(found.points.values())
            if found.wrong is not None:
                session.add(told("cuts", found.wrong, session.model))
                if not session.known.expects(found.wrong.wrong.rules):
                    return
                continue
            _exercised(session, found.rules, "cuts")
            session.tell(NAME, index + 1, len(scenarios))


def _endure(session: Session, outage: Outage) -> None:
    loads = min(session.profile.faults, outage.most_loads)
    found = Endured()
    for number, scenario in enumerate(outage_scenarios(session.seed, loads, outage.calls, outage.runs)):
        spared, fault = session.avoidance.load(scenario), outage.fault(session.seed + number)
        work = endure(outage.open_stage, session.model, spared, fault, found, session.avoidance)
        session.runner.wait(work)
        require_verdict("what a fault left", found.unknown)
        session.skip("histories", found.skipped)
        if found.wrong is not None:
            session.add(told("histories", found.wrong, session.model))
            if not session.known.expects(found.wrong.wrong.rules):
                return
            found.wrong = None
    _exercised(session, found.rules, "histories")
    session.outages[outage.name] += found.strikes.total()


def _exercised(session: Session, rules: Counter[str], evidence: str) -> None:
    for rule, count in rules.items():
        session.evidence[rule][evidence] += count

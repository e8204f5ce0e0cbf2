"""Makes a failed race or cut small and tells it: the fewest calls, the schedule, a timeline for people.

First fewer calls, by ddmin over setup and clients alike; each try explores the smaller scenario anew.
"""

from __future__ import annotations

from collections.abc import Callable

from storeproof.conformance.minimise import fewest
from storeproof.conformance.programs import Call
from storeproof.conformance.races import Tried
from storeproof.conformance.report import FailureReport, RunCut
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.timelines import timeline_text

Try = Callable[[Scenario], Tried | None]
"""Explores a scenario; what fails in it, if anything."""

TIMELINE_LINES = 15
_SETUP = -1


def minimised_race(found: Tried, try_again: Try, tries: int) -> Tried:
    """The smallest failing scenario found in so many tries, breaking the same rule first."""
    best = found
    left = tries

    def fails(steps: tuple[tuple[int, Call], ...]) -> bool:
        nonlocal best, left
        scenario = _joined(steps)
        if left <= 0 or not scenario.clients:
            return False
        left -= 1
        tried = try_again(scenario)
        if tried is None or tried.wrong.rules[0] != found.wrong.rules[0]:
            return False
        best = tried
        return True

    scenario = found.scenario
    setup = tuple((_SETUP, call) for call in scenario.setup)
    clients = tuple((number, call) for number, client in enumerate(scenario.clients) for call in client)
    fewest((*setup, *clients), fails)
    return best


def told(check: str, found: Tried) -> FailureReport:
    """The failure as a report has it. `step` counts the setup's calls, then the clients', then the reading."""
    scenario, wrong, encounter, cut = found.scenario, found.wrong, found.encounter, found.cut
    return FailureReport(
        rules=list(wrong.rules),
        check=check,
        message=wrong.message,
        program=[dict(call.to_json()) for call in scenario.setup],
        python=scenario.as_python(),
        expected=wrong.expected,
        actual=wrong.actual,
        step=len(scenario.setup) + scenario.width + (1 if wrong.reading else 0),
        wrong_after=None,
        clients=[[dict(call.to_json()) for call in client] for client in scenario.clients],
        schedule=list(encounter.choices),
        cut=None if cut is None else RunCut(client=cut.client, at=cut.at, when=cut.when),
        timeline=timeline_text(encounter.moments, len(scenario.clients), most_lines=TIMELINE_LINES),
    )


def _joined(steps: tuple[tuple[int, Call], ...]) -> Scenario:
    numbers = sorted({number for number, _ in steps if number != _SETUP})
    return Scenario(
        tuple(call for number, call in steps if number == _SETUP),
        tuple(tuple(call for number, call in steps if number == wanted) for wanted in numbers),
    )

"""Makes a failed race or cut small and tells it: the fewest calls, the schedule, a timeline for people.

Of many calls first two that were in flight together, then fewer ones by ddmin over setup and clients alike; each try
explores the smaller scenario anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations, islice, permutations

from storeproof.conformance.encounters import READER
from storeproof.conformance.footprints import meets
from storeproof.conformance.minimise import fewest
from storeproof.conformance.programs import Call
from storeproof.conformance.races import Tried, after
from storeproof.conformance.relation import written
from storeproof.conformance.report import FailureReport, RunCut, RunMoment
from storeproof.conformance.scenarios import Scenario, name_of
from storeproof.reference.model import Model, State
from storeproof.reference.tables import rows
from storeproof.spec.specification import Specification

Try = Callable[[Scenario], Tried | None]
"""Explores a scenario; what fails in it, if anything."""

_SETUP = -1
FEW = 3
"""Operations of which ddmin is quick."""
MOST_PAIRS = 30
"""Pairs that are tried of a history of more operations."""


def minimised_race(specification: Specification, found: Tried, try_again: Try, tries: int) -> Tried:
    """The smallest failing scenario found in so many tries, breaking the same rule first."""
    best = found
    left = tries

    def fails(scenario: Scenario) -> bool:
        nonlocal best, left
        if left <= 0 or not scenario.clients:
            return False
        left -= 1
        tried = try_again(scenario)
        if tried is None or tried.wrong.rules[0] != found.wrong.rules[0]:
            return False
        best = tried
        return True

    for pair in islice(_pairs(specification, found), MOST_PAIRS):
        if fails(pair):
            break
    scenario = best.scenario
    setup = tuple((_SETUP, call) for call in scenario.setup)
    clients = tuple((number, call) for number, client in enumerate(scenario.clients) for call in client)
    fewest((*setup, *clients), lambda steps: fails(_joined(steps)))
    return best


def _pairs(specification: Specification, found: Tried) -> Iterator[Scenario]:
    """Of a history of many operations each two that were in flight together, after those that were over by then. Two
    one of which fits nowhere come first, and of the others only those count that may write what it shows.
    """
    wrong, stuck = found.wrong, found.wrong.stuck
    history = [each for each in wrong.history if each.client != READER]
    if len(history) <= FEW or stuck is None:
        return
    place = {index: number for number, index in enumerate(wrong.order)}
    legal = sorted(range(len(history)), key=lambda index: place.get(index, len(place) + index))
    suspects = [each for each in history if each is stuck or meets(specification, each.call, stuck.call)]
    for pair in sorted(combinations(suspects, 2), key=lambda pair: all(each is not stuck for each in pair)):
        if not any(one.precedes(other) for one, other in permutations(pair)):
            over = [history[index] for index in legal if all(history[index].precedes(each) for each in pair)]
            setup = (*found.scenario.setup, *(each.call for each in over))
            yield Scenario(setup, tuple((each.call,) for each in pair))


def told(check: str, found: Tried, model: Model) -> FailureReport:
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
        moments=[RunMoment(client=each.client, kind=each.kind, text=each.text) for each in encounter.moments],
        states=list(_states(model, found)),
    )


def _states(model: Model, found: Tried) -> Iterator[str]:
    """The longest order that the contract allows, and what each operation of it did; the reading is left out."""
    state = after(model, found.scenario.setup)
    for index in found.wrong.order:
        operation = found.wrong.history[index]
        if operation.client == READER:
            return
        call = operation.call
        step = model.step(state, call.operation, call.args)
        keys = sorted(written(model.specification, state, step.state), key=repr)
        effect = ", ".join(_row(model, step.state, relation, key) for relation, key in keys) or "changes nothing"
        yield f"{name_of(operation.client)} {call.operation}: {effect}"
        state = step.state


def _row(model: Model, state: State, relation: str, key: tuple[object, ...]) -> str:
    names = model.specification.relations[relation].key
    found = [row for row in rows(state, relation, len(names)) if tuple(row[name] for name in names) == key]
    named = f"{relation} {' '.join(map(str, key))}"
    if not found:
        return f"{named} gone"
    shown = {name: value for name, value in found[0].items() if name not in names and name in _TELLING}
    return f"{named} {json.dumps(shown)}" if shown else named


_TELLING = ("status", "lease", "wakeAt", "nextFireAt", "updatedAt")


def _joined(steps: tuple[tuple[int, Call], ...]) -> Scenario:
    numbers = sorted({number for number, _ in steps if number != _SETUP})
    return Scenario(
        tuple(call for number, call in steps if number == _SETUP),
        tuple(tuple(call for number, call in steps if number == wanted) for wanted in numbers),
    )

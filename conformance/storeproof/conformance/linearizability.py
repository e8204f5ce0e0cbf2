"""Whether a history is one the contract allows: is there an order of its operations that the model can follow?

Each operation takes effect at one moment between its call and its answer (ruling 1; Herlihy and Wing 1990). `search`
finds the order, `relation` says what the model accepts, `omissions` what a claim may leave out; parts of a history that
touch no common row are searched alone (`partition`).

A history that the budget does not suffice for is unknown, which is no pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

from storeproof.conformance.footprints import RowKey
from storeproof.conformance.histories import History
from storeproof.conformance.partition import merged_order, merged_state, parts
from storeproof.conformance.runner import expected_step
from storeproof.conformance.search import Course, OverBudget, Path, Search
from storeproof.reference.model import Model, State, Step
from storeproof.reference.tables import freeze

BUDGET = 200_000
"""Configurations that are visited before a check gives up."""


@dataclass(frozen=True, slots=True)
class Linearizable:
    """An order that the model can follow, as indexes into the history, without what never took effect.

    `state` is the state after it, `rules` what each operation of the order exercised.
    """

    order: tuple[int, ...]
    state: State
    rules: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Illegal:
    """There is no order. `order` is the longest that was found, of the operations that have to do with each other, and
    `state` the state after it; there `stuck` had to come next, but the model answers `expected`.

    `omitted`: the rows that `stuck`, a claim, left out although nobody in flight wrote them, where but for that an
    order as long or longer would have been found; `order` is then what came before the claim.
    """

    order: tuple[int, ...]
    state: State
    stuck: int
    expected: Step
    omitted: tuple[RowKey, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing can be said: after `configurations` visited, for this `reason`."""

    configurations: int
    reason: str


Verdict: TypeAlias = Linearizable | Illegal | Unknown


def check(model: Model, initial: State, history: History, budget: int = BUDGET) -> Verdict:
    """The verdict on a history that began in the state `initial`; of illegal parts the smallest is told."""
    course = Course(model, history, budget)
    ends: list[Linearizable] = []
    unknown: Unknown | None = None
    for members in parts(course.footprints):
        search = Search(course, initial, members)
        try:
            end = next(search.ends(), None)
        except OverBudget:
            return _over_budget(course)
        if end is not None:
            ends.append(_linearizable(end))
        elif search.complete:
            return _illegal(course, search)
        else:
            unknown = _incomplete(course)
    return unknown or _merged(course, initial, ends)


def final_states(model: Model, initial: State, history: History, budget: int = BUDGET) -> list[Linearizable] | Unknown:
    """One order for each state that the history may have led to; none where it is illegal."""
    course = Course(model, history, budget)
    found: list[list[Linearizable]] = []
    for members in parts(course.footprints):
        search = Search(course, initial, members)
        try:
            distinct = {freeze(end.state): end for end in search.ends()}
        except OverBudget:
            return _over_budget(course)
        if not search.complete:
            return _incomplete(course)
        found.append([_linearizable(end) for end in distinct.values()])
    if prod(map(len, found)) > budget:
        return Unknown(course.visited, f"the history may have led to more than {budget} states")
    return [_merged(course, initial, ends) for ends in product(*found)]


def _over_budget(course: Course) -> Unknown:
    return Unknown(course.visited, f"{course.budget} configurations were not enough")


def _incomplete(course: Course) -> Unknown:
    return Unknown(
        course.visited, "a claim over many rows has no answer, and not everything it may have done was tried"
    )


def _linearizable(path: Path) -> Linearizable:
    order: list[int] = []
    rules: list[tuple[str, ...]] = []
    step = path
    while step.before is not None:
        order.append(step.latest)
        rules.append(step.rules)
        step = step.before
    return Linearizable(tuple(reversed(order)), path.state, tuple(reversed(rules)))


def _merged(course: Course, initial: State, ends: Sequence[Linearizable]) -> Linearizable:
    if len(ends) == 1:
        return ends[0]
    places = merged_order(course.history, [end.order for end in ends])
    return Linearizable(
        tuple(ends[part].order[position] for part, position in places),
        merged_state(course.model.specification, initial, [end.state for end in ends]),
        tuple(ends[part].rules[position] for part, position in places),
    )


def _illegal(course: Course, search: Search) -> Illegal:
    path, omitted = search.longest, tuple[RowKey, ...]()
    if search.refused.placed >= max(path.placed, 1):  # where both tell something, what was left out tells more
        path = search.refused
        unexcused = search.unexcused(path)
        stuck = min(claim for claim, _omission in unexcused)
        omitted = tuple(sorted(omission.row for claim, omission in unexcused if claim == stuck))
        while path.latest != stuck and path.before is not None:
            path = path.before  # the claim was placed in the hope that somebody would write the row
        path = path.before or path
    else:
        stuck = min(search.following(path)[0], key=lambda index: course.returned[index])
    expected = expected_step(course.model, path.state, course.history[stuck].call)
    return Illegal(_linearizable(path).order, path.state, stuck, expected, omitted)

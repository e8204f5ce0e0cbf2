"""What one check of several clients finds on one store: each defect is made small and told once, and then no more.

Knows neither schedules nor cuts; a check says how a smaller scenario is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations

from storeproof.conformance.histories import History, Operation
from storeproof.conformance.programs import Program
from storeproof.conformance.racefailures import Try, minimised_race, told
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session

MOST_SEQUENTIAL = 200
"""Scenarios that may be wrong for one client too; a store that is as wrong as that shows no race."""
TRIES = 150
"""Smaller scenarios tried for one failure."""
MOST_ORDERED = 3
"""Calls that are tried in all their orders by one client."""


@dataclass(slots=True)
class RaceFindings:
    """`check` is the name that evidence and failures bear."""

    session: Session
    check: str
    _wrong: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By the first rule and the operation that a failure is told by."""
    _expected: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """The same for what is known to fail, which must not end the search for what is not."""
    _sequential: int = 0

    @property
    def enough(self) -> bool:
        """Whether nothing new is expected."""
        profile = self.session.profile
        told = len(self._wrong) >= profile.most_told or self._wrong.total() >= profile.most_wrong
        return told or self.session.full or self._sequential >= MOST_SEQUENTIAL

    def told_as_sequence(self, found: Tried) -> bool:
        """Whether one client that makes the calls one after the other is answered wrongly too, which is told: then it
        is neither a race nor a crash.
        """
        for calls in _orders(found.encounter.history):
            program = (*found.scenario.setup, *calls)
            if self.session.exercise(program, self.check, spared=True).mismatch is not None:
                self._sequential += 1
                return True
        return False

    def add(self, found: Tried, again: Try) -> None:
        """Tells a failure, as small as it gets, unless the same was told before."""
        if not self.session.wants(*found.wrong.rules):
            return  # what nobody asked about must not end the search for what somebody did
        if self.told_as_sequence(found):
            return
        rules = self.session.specification.rules
        operation = next((rules[rule].operation or "" for rule in found.wrong.rules if rules[rule].operation), "")
        spares = self.session.avoidance.spares

        def spared(scenario: Scenario) -> Tried | None:
            return again(scenario) if spares(scenario) else None

        story = (found.wrong.rules[0], operation)
        wrong = self._expected if self.session.known.expects(found.wrong.rules) else self._wrong
        wrong[story] += 1
        if wrong[story] == 1:
            self.session.add(told(self.check, minimised_race(found, spared, TRIES), self.session.model))

    def exercised(self, rules: Counter[str]) -> None:
        """Adds evidence."""
        for rule, count in rules.items():
            self.session.evidence[rule][self.check] += count


def _orders(history: History) -> Iterator[Program]:
    """The calls as they were made, and if they are few in every order in which they may have taken effect."""
    yield tuple(operation.call for operation in history)
    if len(history) <= MOST_ORDERED:
        for order in permutations(history):
            if order != history and not any(_over(after, before) for before, after in combinations(order, 2)):
                yield tuple(operation.call for operation in order)


def _over(operation: Operation, other: Operation) -> bool:
    """Whether it was over before the other began."""
    return operation.returned is not None and operation.returned < other.invoked

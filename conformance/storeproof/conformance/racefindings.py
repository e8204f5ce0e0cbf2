"""What one check of several clients finds on one store: each defect is made small and told once, and then no more.

Knows neither schedules nor cuts; a check says how a smaller scenario is tried.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from storeproof.conformance.racefailures import Try, minimised_race, told
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session

MOST_TOLD = 4
"""Failures told of one store by one check."""
MOST_WRONG = 12
"""Scenarios that may fail with a defect that was told; after them nothing new is expected."""
TRIES = 150
"""Smaller scenarios tried for one failure."""


@dataclass(slots=True)
class RaceFindings:
    """`check` is the name that evidence and failures bear."""

    session: Session
    check: str
    _wrong: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By the first rule and the operation that a failure is told by."""
    _expected: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """The same for what is known to fail, which must not end the search for what is not."""

    @property
    def enough(self) -> bool:
        """Whether nothing new is expected."""
        return self.session.full or len(self._wrong) >= MOST_TOLD or self._wrong.total() >= MOST_WRONG

    def add(self, found: Tried, again: Try) -> None:
        """Tells a failure, as small as it gets, unless the same was told before."""
        if not self.session.wants(*found.wrong.rules):
            return  # what nobody asked about must not end the search for what somebody did
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

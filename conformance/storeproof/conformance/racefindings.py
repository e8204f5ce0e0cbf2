"""What one check of several clients finds on one store: each defect is made small and told once, and then no more.

Knows neither schedules nor cuts; a check says how a smaller scenario is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations

from storeproof.conformance.closing import closing_steps
from storeproof.conformance.histories import History
from storeproof.conformance.judgement import misordered
from storeproof.conformance.programs import Program
from storeproof.conformance.racefailures import FEW, Try, minimised_race, told
from storeproof.conformance.racejudgement import LINEARIZABLE, Wrong
from storeproof.conformance.races import Tried
from storeproof.conformance.scenarios import Scenario
from storeproof.conformance.session import Session

MOST_SEQUENTIAL = 200
"""Scenarios that may be wrong for one client too; a store that is as wrong as that shows no race."""
TRIES = 150
"""Smaller scenarios tried for one failure."""
TRIES_ALONE = 10
"""How often one client makes calls that were answered with rows in a wrong order."""
MOST_ORDERED = 3
"""Calls that are tried in all their orders by one client."""

Story = tuple[str, ...]
"""What a failure is told by: its first rule and an operation. That it is not linearizable says little: there it is the
operations that met, as long as they are few.
"""


@dataclass(slots=True)
class RaceFindings:
    """`check` is the name that evidence and failures bear."""

    session: Session
    check: str
    _wrong: Counter[Story] = field(default_factory=Counter[Story])
    """How often each failure was met."""
    _expected: Counter[Story] = field(default_factory=Counter[Story])
    """The same for what is known to fail, which must not end the search for what is not."""
    _sequential: int = 0

    @property
    def enough(self) -> bool:
        """Whether nothing new is expected."""
        profile = self.session.profile
        # Of the races of one operation, of which there may be many, the others shall not be crowded out.
        told = len({story[:2] for story in self._wrong}) >= profile.most_told
        wrong = self._wrong.total() >= profile.most_wrong or self._sequential >= MOST_SEQUENTIAL
        return told or wrong or self.session.full

    @property
    def stories(self) -> int:
        """How many different failures were told, without those that are known."""
        return len(self._wrong)

    def told_as_sequence(self, found: Tried) -> bool:
        """Whether one client that makes the calls one after the other is answered wrongly too, which is told: then it
        is neither a race nor a crash.
        """
        if found.wrong.reading and misordered(self.session.model, found.wrong.rules):
            self.session.misordered.update(found.wrong.rules)
            return self._told_alone(found)
        alone = found.wrong.alone
        if alone and found.wrong.disordered and self._told_of_one(found.wrong, alone.rules):
            self.session.misordered.update(alone.rules)
            self._sequential += 1
            return True
        # Rows come in a wrong order by chance: once is not enough to say that one client gets them in the right one.
        tries = TRIES_ALONE if alone and misordered(self.session.model, alone.rules) else 1
        for calls in _orders(found.encounter.history):
            if any(self._wrong_alone(found.scenario.setup, calls) for _ in range(tries)):
                self._sequential += 1
                return True
        return False

    def _told_of_one(self, wrong: Wrong, rules: Iterable[str]) -> bool:
        """Whether one client was told to be answered against them: then nobody else is needed for it, nor a kill.
        After a kill also where it was told of another order of the same rows: chance decides which of them shows.
        """
        model = self.session.model
        read = wrong.stuck.call.operation if wrong.reading and wrong.stuck else None
        rules_of_read = (rule for rule, stated in model.specification.rules.items() if stated.operation == read)
        orders = {rule for rule in rules_of_read if misordered(model, (rule,))}
        failures = *self.session.failures, *self.session.known.failures
        told = [{*each.rules} for each in failures if not each.clients]
        return any({*rules} <= each or each <= orders for each in told)

    def _wrong_alone(self, setup: Program, calls: Program) -> bool:
        """Whether one client is answered wrongly. Rows that the setup or the reading at the end shows in a wrong order
        are told, and looked away from: they say nothing about the calls between.
        """
        session, program = self.session, (*setup, *calls)
        mismatch = session.exercise(program, self.check, spared=True).mismatch
        known: set[str] | None = None
        while mismatch is not None and misordered(session.model, mismatch.judgement.rules):
            session.misordered.update(mismatch.judgement.rules)
            if len(setup) <= mismatch.index < len(program) or known == session.misordered:
                break
            known = {*session.misordered}
            closing = session.reading_avoidance.closing(closing_steps)
            mismatch = session.runner.run(program, closing, len(setup)).mismatch
        return mismatch is not None

    def _of_one_client(self, small: Tried) -> bool:
        """Whether nobody else had a part in it, and nothing was cut; then it is told as what one client is answered."""
        alone = small.cut is None and len(small.scenario.clients) == 1
        return alone and (self.told_as_sequence(small) or self._told_alone(small))

    def _told_alone(self, found: Tried) -> bool:
        """Tells the answer that fits nowhere by its own rules, as one client's; whether it breaks any. It may depend on
        much that a sequence does not repeat.
        """
        wrong = found.wrong
        if wrong.stuck is None or wrong.alone is None:
            return False
        self._sequential += 1
        calls = [wrong.history[index].call for index in wrong.order]
        program = (*found.scenario.setup, *calls, wrong.stuck.call)
        rules, message = wrong.alone.rules, wrong.alone.message
        self.session.fail(rules, self.check, message, program, wrong.expected, wrong.actual, len(program))
        return True

    def told_before(self, found: Tried) -> bool:
        """Whether a failure that tells the same was added; then it is counted."""
        known = self.known(found)
        if known is not None:
            wrong, _ = self._told(found)
            wrong[known] += 1
        return known is not None

    def known(self, found: Tried) -> Story | None:
        """The story of it that was told, if one was."""
        wrong, story = self._told(found)
        return story if wrong[story] else self._part_of(found, wrong)

    def _part_of(self, found: Tried, wrong: Counter[Story]) -> Story | None:
        """Of a history of many operations the story that it may be another instance of."""
        if found.scenario.width <= FEW:
            return None
        _, (rule, operation) = self._told(found)
        return next((each for each in wrong if each[0] == rule and operation in each), None)

    def has_told(self, rule: str, operation: str) -> bool:
        """Whether a failure was told by this rule first, and of this operation."""
        return (rule, operation) in self._wrong

    def add(self, found: Tried, again: Try) -> bool:
        """Tells a failure, as small as it gets, unless the same was told before. Whether it is one of several clients
        or of a crash, and was asked for.
        """
        if not self.session.wants(*found.wrong.rules):
            return False  # what nobody asked about must not end the search for what somebody did
        if self.told_as_sequence(found):
            return False
        if self.told_before(found):
            return True
        spares = self.session.avoidance.spares

        def spared(scenario: Scenario) -> Tried | None:
            return again(scenario) if spares(scenario) else None

        small = minimised_race(self.session.specification, found, spared, TRIES)
        if self._of_one_client(small):
            return False  # not counted: the next one of this story may be a race
        if self.told_before(small):
            return True  # of many operations few were left
        wrong, story = self._told(small)
        wrong[story] = 1
        self.session.add(told(self.check, small, self.session.model))
        return True

    def _told(self, found: Tried) -> tuple[Counter[Story], Story]:
        rules = self.session.specification.rules
        first = found.wrong.rules[0]
        wrong = self._expected if self.session.known.expects(found.wrong.rules) else self._wrong
        if first == LINEARIZABLE and found.scenario.width <= FEW:
            return wrong, (first, *sorted(call.operation for call in found.scenario.meeting))
        operation = next((rules[rule].operation or "" for rule in found.wrong.rules if rules[rule].operation), "")
        return wrong, (first, operation)

    def exercised(self, rules: Counter[str]) -> None:
        """Adds evidence."""
        for rule, count in rules.items():
            self.session.evidence[rule][self.check] += count


def _orders(history: History) -> Iterator[Program]:
    """The calls as they were made, and if they are few in every order in which they may have taken effect."""
    yield tuple(operation.call for operation in history)
    if len(history) <= MOST_ORDERED:
        for order in permutations(history):
            if order != history and not any(after.precedes(before) for before, after in combinations(order, 2)):
                yield tuple(operation.call for operation in order)

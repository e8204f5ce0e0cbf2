"""One run on one target: runs programs for the checks, keeps the evidence, and turns a mismatch into a failure."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from storeproof.conformance.blame import Blame, blame
from storeproof.conformance.closing import closing_steps
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.minimise import minimised
from storeproof.conformance.programs import Program, as_python
from storeproof.conformance.report import FailureReport, Level, PairReport
from storeproof.conformance.runner import Closing, Mismatch, Run, Runner
from storeproof.conformance.scenarios import Scenario
from storeproof.reference.model import Model, Raised
from storeproof.spec.errors import CannotTellError
from storeproof.spec.specification import Specification

T = TypeVar("T")

MOST_HANGING = 3
"""After so many programs that ended in a hanging call the run ends: every further one takes as long."""
MOST_HANGING_TRIES = 3
MOST_WAITING_S = 15.0
"""Tries and seconds for making a program small that ends in a hanging call."""


class Progress(Protocol):
    """Who wants to know how far a run is."""

    def advance(self, check: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a check."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """How much is tried. `programs`: generated programs per operation; `worlds`: setups of races; `thirds`: drawn
    scenarios in which a third operation comes before two others or stands beside them; `cut_pairs`: drawn pairs one of
    which dies; `loads`: histories of many calls at once; `feeds`: schedules of one scene of subscribers;
    `faults`: loads under each fault of a database. Over the wire: `copies`, how often a pair is repeated; `pairs`, how
    many are drawn, 0 for all; `kills`, how often the process is killed.
    """

    name: str
    programs: int
    shrink_tries: int
    worlds: int = 3
    thirds: int = 0
    cut_pairs: int = 0
    loads: int = 0
    feeds: int = 0
    faults: int = 0
    copies: int = 3
    pairs: int = 0
    kills: int = 0
    most_failures: int = 12
    """After so many different failures of MUST rules the run ends: they have to be read by somebody. Of a SHOULD rule
    one is told, and none ends the run."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 8, 150, worlds=1, thirds=20, cut_pairs=10, loads=3, feeds=10, pairs=40, kills=8),
        Profile(
            "default",
            30,
            300,
            worlds=2,
            thirds=100,
            cut_pairs=12,
            loads=20,
            feeds=30,
            faults=5,
            copies=6,
            pairs=200,
            kills=40,
        ),
        Profile(
            "thorough",
            600,
            1000,
            thirds=5000,
            cut_pairs=1000,
            loads=300,
            feeds=400,
            faults=50,
            copies=24,
            kills=400,
            most_failures=60,
        ),
    )
}


@dataclass(slots=True)
class Session:
    """What the checks share. `selected` are the rules asked for; None means all."""

    runner: Runner
    profile: Profile
    seed: int
    selected: frozenset[str] | None = None
    progress: Progress | None = None
    on_failure: Callable[[FailureReport], FailureReport] | None = None
    evidence: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter[str]))
    failures: list[FailureReport] = field(default_factory=list[FailureReport])
    pairs: dict[tuple[str, str], PairReport] = field(default_factory=dict[tuple[str, str], PairReport])
    """What was explored of every two operations."""
    cut_points: int = 0
    """How many cuts took place."""
    outages: Counter[str] = field(default_factory=Counter[str])
    """How often a database was made to fail under load, by how."""
    focus: frozenset[str] = frozenset()
    """Operations that are suspected: races and cuts of theirs come first."""
    share: int = 1
    """Every so manieth scenario of races and cuts is explored."""
    hung: int = 0
    """How many programs ended in a call that hung."""
    left_out: int = 0
    """How many calls could not be made, because the way to the store does not carry their arguments."""
    _known: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter[tuple[str, tuple[str, ...]]])

    @property
    def model(self) -> Model:
        """The reference model."""
        return self.runner.model

    @property
    def specification(self) -> Specification:
        """The specification the model executes."""
        return self.runner.model.specification

    @property
    def capabilities(self) -> frozenset[str]:
        """What the target offers."""
        return self.runner.target.capabilities

    @property
    def full(self) -> bool:
        """Whether there are as many failures as anybody wants to read."""
        grave = sum(self.grave(failure.rules) for failure in self.failures)
        return grave >= self.profile.most_failures or self.hung >= MOST_HANGING

    def grave(self, rules: Iterable[str]) -> bool:
        """Whether one of the rules is a MUST for this target."""
        return any(self.level(rule) == "MUST" for rule in rules)

    def level(self, rule: str) -> Level:
        """The level of a rule for this target: some are SHOULD for stores written elsewhere."""
        found = self.specification.rules[rule]
        level = (found.elsewhere if self.runner.target.elsewhere else None) or found.level
        return "SHOULD" if level == "SHOULD" else "MUST"

    def wants(self, *rules: str) -> bool:
        """Whether one of the rules was asked for."""
        return self.selected is None or not self.selected.isdisjoint(rules)

    def suspects(self, scenario: Scenario) -> bool:
        """Whether a client calls one of the suspected operations."""
        return any(call.operation in self.focus for client in scenario.clients for call in client)

    def in_order(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """The session's share of the scenarios, with those of suspected operations first."""
        return self.share_of(sorted(scenarios, key=lambda each: not self.suspects(each)))

    def share_of(self, scenarios: Sequence[T]) -> list[T]:
        """Every so manieth of them."""
        return list(scenarios[:: self.share])

    def tell(self, check: str, done: int, total: int) -> None:
        """Passes on how far a check is."""
        if self.progress:
            self.progress.advance(check, done, total)

    def exercise(
        self,
        program: Program,
        check: str,
        promise: str | None = None,
        baseline: Program | None = None,
        closing: Closing | None = closing_steps,
    ) -> Run:
        """Runs one program. Where all is well, its rules and `promise` have been exercised once more by `check`.

        `baseline` is the same program without what puts the promise to the test: where it fails too, the promise is not
        to blame.
        """
        run = self.runner.run(program, closing)
        self.left_out += run.left_out
        for rule, count in run.exercised.items():
            self.evidence[rule][check] += count
        for judgement in run.tolerated:
            if not any(failure.rules == list(judgement.rules) for failure in self.failures):
                self.fail(judgement.rules, check, judgement.message, program, "no further field", "a further field", 0)
        if run.mismatch is None:
            if promise:
                self.evidence[promise][check] += 1
            if run.reopened:
                self.evidence["durability.reopened"][check] += run.reopened
        else:
            if promise and self._weaker(run.mismatch.judgement.rules[0], promise):
                promise = None  # ids that are listed in another order, say, were not taken for each other
            if promise and baseline is not None and self.runner.run(baseline, closing).mismatch is not None:
                promise = None
            self._explain(program, check, run.mismatch, promise, closing)
        return run

    def _weaker(self, rule: str, promise: str) -> bool:
        return self.level(rule) == "SHOULD" and self.level(promise) == "MUST"

    def fail(
        self,
        rules: tuple[str, ...],
        check: str,
        message: str,
        program: Program,
        expected: str,
        actual: str,
        step: int,
        wrong_after: int | None = None,
    ) -> None:
        """Adds the failure of a sequential program."""
        failure = FailureReport(
            rules=list(rules),
            check=check,
            message=message,
            program=[dict(step.to_json()) for step in program],
            python=as_python(program),
            expected=expected,
            actual=actual,
            step=step,
            wrong_after=wrong_after,
        )
        self.add(failure)

    def add(self, failure: FailureReport) -> None:
        """Adds a failure, unless one tells the same already, or it is about other rules than those asked for."""
        if any(_same_story(known.rules, tuple(failure.rules)) for known in self.failures):
            return
        if self._told_enough(failure.rules):
            return
        if self.wants(*failure.rules):
            self.failures.append(self.on_failure(failure) if self.on_failure else failure)

    def _explain(
        self, program: Program, check: str, mismatch: Mismatch, promise: str | None, closing: Closing | None
    ) -> None:
        signature = (promise or mismatch.call.operation, mismatch.judgement.rules)
        self._known[signature] += 1
        if self._known[signature] > 2 or self.full or self._told_enough(self._broken(mismatch, signature[1])):
            return  # minimised twice already: it is the same defect, or the store is beyond naming them one by one

        hangs = isinstance(mismatch.actual, Raised) and mismatch.actual.name == "NoAnswer"
        self.hung += hangs
        until = time.monotonic() + MOST_WAITING_S
        waited = 0

        def still_fails(shorter: Program) -> bool:
            nonlocal waited
            if hangs and (waited >= MOST_HANGING_TRIES or time.monotonic() > until):
                return False  # each try that still hangs waits for the limit of a call again
            found = self.runner.run(shorter, closing).mismatch
            fails = found is not None and found.judgement.rules == mismatch.judgement.rules
            waited += fails
            return fails

        if hangs and not mismatch.closing:
            program = program[: mismatch.index + 1]
        try:
            small = minimised(program, self.specification, still_fails, self.profile.shrink_tries)
            found = self.runner.run(small, closing).mismatch
            blamed = Blame(mismatch.judgement.rules, None)
            if found is not None and not hangs:
                blamed = blame(self.runner, small, found)
        except CannotTellError:
            # What was found is not lost because the store broke down while the program was made small.
            self._add(promise, mismatch.judgement.rules, check, mismatch.judgement.message, program, mismatch, None)
            raise
        if found is None:
            message = f"seen once and not again when the same program was run anew: {mismatch.judgement.message}"
            self._add(promise, mismatch.judgement.rules, check, message, program, mismatch, None)
            return
        self._add(promise, blamed.rules, check, found.judgement.message, small, found, blamed.wrong_after)

    def _told_enough(self, rules: Sequence[str]) -> bool:
        """Whether these are SHOULD rules, and the first of them was told."""
        return not self.grave(rules) and any(rules[0] == known.rules[0] for known in self.failures)

    def _broken(self, mismatch: Mismatch, rules: tuple[str, ...]) -> tuple[str, ...]:
        """Of the rules those that count: what a store does with arguments that its own contract does not speak of
        breaks nothing beyond the rule which says that it should refuse them.
        """
        if mismatch.call.refused is None or self.grave(rules[:1]):
            return rules
        return tuple(rule for rule in rules if self.level(rule) == "SHOULD")

    def _add(
        self,
        promise: str | None,
        rules: tuple[str, ...],
        check: str,
        message: str,
        program: Program,
        mismatch: Mismatch,
        wrong_after: int | None,
    ) -> None:
        call = f"{'reading the state: ' if mismatch.closing else ''}{mismatch.call.as_python()}"
        if promise:
            operations = self.specification.operations
            rules = tuple(dict.fromkeys((promise, *(rule for rule in rules if rule.split(".")[0] not in operations))))
        self.fail(
            self._broken(mismatch, rules),
            check,
            f"{call}: {message}",
            program,
            show_outcome(mismatch.expected.outcome),
            show_outcome(mismatch.actual),
            mismatch.index + 1,
            None if wrong_after is None else wrong_after + 1,
        )


def _same_story(known: list[str], rules: tuple[str, ...]) -> bool:
    """The same likeliest rule, and fewer suspects: the later failure would only say less."""
    return known[0] == rules[0] and set(known) <= set(rules)

"""One run on one target: runs programs for the checks, keeps the evidence, and turns a mismatch into a failure."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from storeproof.conformance.avoidance import Avoidance
from storeproof.conformance.blame import Blame, blame, confuses_ids
from storeproof.conformance.closing import closing_steps
from storeproof.conformance.judgement import show_outcome
from storeproof.conformance.known import Known
from storeproof.conformance.minimise import minimised
from storeproof.conformance.profiles import Profile
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
MOST_SHRINKING_S = 20.0
"""Seconds for making any other program small: where each try starts a process, nobody waits for the last step."""


class Progress(Protocol):
    """Who wants to know how far a run is."""

    def advance(self, check: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a check."""
        ...


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
    programs: Counter[str] = field(default_factory=Counter[str])
    """How many programs of one client were run, by check."""
    cut_points: int = 0
    """How many cuts took place."""
    outages: Counter[str] = field(default_factory=Counter[str])
    """How often a database was made to fail under load, by how."""
    focus: frozenset[str] = frozenset()
    """Operations that are suspected: races and cuts of theirs come first."""
    share: slice = field(default_factory=lambda: slice(None))
    """Which pieces of each check are this session's: other sessions may do the others at the same time."""
    hung: int = 0
    """How many programs ended in a call that hung."""
    left_out: int = 0
    """How many calls could not be made, because the way to the store does not carry their arguments."""
    skipped: Counter[str] = field(default_factory=Counter[str])
    """By check: how many scenarios could not be tried, because something is wrong before any race or crash."""
    misordered: set[str] = field(default_factory=set[str])
    """Rules of order that one client was seen to be answered against, where races were looked for."""
    known: Known = field(default_factory=Known)
    """What is known to fail: told apart, and kept out of everything else."""
    _told: Counter[tuple[str, tuple[str, ...], bool]] = field(
        default_factory=Counter[tuple[str, tuple[str, ...], bool]]
    )

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

    @property
    def avoidance(self) -> Avoidance:
        """What keeps programs away from the rules that are known to fail."""
        return Avoidance(self.model, self.known.rules)

    @property
    def reading_avoidance(self) -> Avoidance:
        """The same for what races answer and are read at the end: a wrong order of rows would hide everything else."""
        return Avoidance(self.model, self.known.rules | self.misordered)

    def seen_failing(self, rule: str) -> bool:
        """Whether a failure names the rule."""
        return any(rule in each.rules for each in (*self.known.failures, *self.known.doubtful, *self.failures))

    def wants(self, *rules: str) -> bool:
        """Whether one of the rules was asked for."""
        return self.selected is None or not self.selected.isdisjoint(rules)

    def suspects(self, scenario: Scenario) -> bool:
        """Whether a client calls one of the suspected operations."""
        return any(call.operation in self.focus for call in scenario.meeting)

    def in_order(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """The session's share of the scenarios, those of suspected operations first."""
        return self.share_of(sorted(scenarios, key=lambda each: not self.suspects(each)))

    def share_of(self, pieces: Sequence[T]) -> list[T]:
        """Those that are this session's."""
        return list(pieces[self.share])

    def skip(self, check: str, because: str | None) -> None:
        """Counts a scenario that could not be tried, where there is a reason."""
        if because is not None:
            self.skipped[check] += 1

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
        *,
        spared: bool = False,
    ) -> Run:
        """Runs one program. Where all is well, its rules and `promise` have been exercised once more by `check`.

        `baseline` is the same program without what puts the promise to the test: where it fails too, the promise is not
        to blame. `spared`: without what is known to fail. Any other program that fails is run so as well, so that what
        is known does not hide what is not.
        """
        avoidance = Avoidance(self.model, self.known.rules if spared else frozenset())
        if avoidance.rules:
            program, closing = avoidance.program(program), closing and avoidance.closing(closing)
            baseline = baseline and avoidance.program(baseline)
        run = self.runner.run(program, closing)
        self.left_out += run.left_out
        self.programs[check] += 1
        for rule, count in run.exercised.items():
            self.evidence[rule][check] += count
        for judgement in run.tolerated:
            if not any(failure.rules == list(judgement.rules) for failure in (*self.failures, *self.known.failures)):
                self.fail(judgement.rules, check, judgement.message, program, "no further field", "a further field", 0)
        if run.mismatch is None:
            if promise and program:
                self.evidence[promise][check] += 1
            if run.reopened:
                self.evidence["durability.reopened"][check] += run.reopened
        else:
            if promise and self._weaker(run.mismatch.judgement.rules[0], promise):
                promise = None  # ids that are listed in another order, say, were not taken for each other
            before = len(self.failures)
            wrong_anyway = baseline is not None and self.runner.run(baseline, closing).mismatch is not None
            self._explain(program, check, run.mismatch, None if wrong_anyway else promise, closing, avoidance)
            if self.known.rules and not spared:
                self.known.set_apart(self.failures, before)
                self.exercise(program, check, promise, baseline, closing, spared=True)
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
        failures = self.known.failures if self.known.expects(failure.rules) else self.failures
        if any(_same_story(known, failure) for known in failures):
            return
        if self._told_enough(failure.rules):
            return
        if self.wants(*failure.rules):
            failures.append(self.on_failure(failure) if self.on_failure else failure)

    def _explain(
        self,
        program: Program,
        check: str,
        mismatch: Mismatch,
        promise: str | None,
        closing: Closing | None,
        avoidance: Avoidance,
    ) -> None:
        signature = (promise or mismatch.call.operation, mismatch.judgement.rules, bool(avoidance.rules))
        self._told[signature] += 1
        enough = self._told[signature] > 2 or self.full or self._told_enough(self._broken(mismatch, signature[1]))
        hangs = isinstance(mismatch.actual, Raised) and mismatch.actual.name == "NoAnswer"
        self.hung += hangs  # told or not: it was waited for
        if enough:
            return  # minimised twice already: it is the same defect, or the store is beyond naming them one by one
        if promise and not hangs and not self.known.rules and any(each.rules == [promise] for each in self.failures):
            return  # whatever else it would name, it is the same story: see add
        until = time.monotonic() + (MOST_WAITING_S if hangs else MOST_SHRINKING_S)
        waited = 0

        def still_fails(shorter: Program) -> bool:
            nonlocal waited
            if avoidance.program(shorter) != shorter:
                return False
            if time.monotonic() > until or (hangs and waited >= MOST_HANGING_TRIES):
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
            blamed = Blame((found or mismatch).judgement.rules, None)
            if found is not None and not hangs and blamed.rules[0] not in self.known.rules:
                blamed = blame(self.runner, small, found, avoidance.closing)
                if promise is None and confuses_ids(self.runner, small, found, closing):
                    blamed = replace(blamed, rules=tuple(dict.fromkeys((*self._rules_of_ids(), *blamed.rules))))
        except CannotTellError:
            # What was found is not lost because the store broke down while the program was made small.
            self._add(promise, mismatch.judgement.rules, check, mismatch.judgement.message, program, mismatch, None)
            raise
        if found is None:
            message = f"seen once and not again when the same program was run anew: {mismatch.judgement.message}"
            self._add(promise, mismatch.judgement.rules, check, message, program, mismatch, None)
            return
        self._add(promise, blamed.rules, check, found.judgement.message, small, found, blamed.wrong_after)

    def _rules_of_ids(self) -> list[str]:
        """The promises about confused ids that the enumerated ids showed to be broken; else the general one."""
        return list(filter(self.seen_failing, ("ids.opaque", "ids.kinds"))) or ["ids.opaque"]

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


def _same_story(known: FailureReport, failure: FailureReport) -> bool:
    """The same likeliest rule, and fewer suspects, also among what met: the later failure would only say less."""
    fewer = set(known.rules) <= set(failure.rules) and _met(known) <= _met(failure)
    return known.rules[0] == failure.rules[0] and fewer


def _met(failure: FailureReport) -> Counter[str]:
    return Counter(str(step["op"]) for client in failure.clients for step in client)

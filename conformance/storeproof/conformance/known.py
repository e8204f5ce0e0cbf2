"""What is known to fail in a session: the rules that a claim file lists, and their failures, apart from all others.

Knows neither claim files nor how a failure is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from storeproof.conformance.programs import Program
from storeproof.conformance.report import FailureReport


@dataclass(slots=True)
class Known:
    """`rules` are known to fail; `programs` have shown it, and are run beside the recorded ones."""

    rules: frozenset[str] = frozenset()
    programs: tuple[Program, ...] = ()
    failures: list[FailureReport] = field(default_factory=list[FailureReport])
    """Failures of those rules."""
    doubtful: list[FailureReport] = field(default_factory=list[FailureReport])
    """Failures of programs that exercise such a rule, which is named, but is not the likeliest."""

    def expects(self, rules: Sequence[str]) -> bool:
        """Whether a failure of these rules, the likeliest first, is known."""
        return rules[0] in self.rules or self.rules.issuperset(rules)

    def set_apart(self, failures: list[FailureReport], first: int) -> None:
        """Takes the doubtful ones out of `failures`, from the one numbered `first` on."""
        doubtful = [each for each in failures[first:] if not self.rules.isdisjoint(each.rules)]
        failures[first:] = [each for each in failures[first:] if self.rules.isdisjoint(each.rules)]
        self.doubtful += doubtful

    def settle(self, others: list[FailureReport]) -> None:
        """Decides the doubtful failures: known, where a listed rule that they name is the first one of another failure.

        So a rule that is listed, and right by now, excuses nothing else: then they belong to the `others`.
        """
        seen = {failure.rules[0] for failure in self.failures}
        for failure in self.doubtful:
            failures = others if seen.isdisjoint(failure.rules) else self.failures
            if all(failure.rules != told.rules for told in failures):
                failures.append(failure)
        self.doubtful.clear()

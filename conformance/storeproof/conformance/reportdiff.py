"""What changed between two reports: two runs of one adapter, or one run each of two adapters.

Compared are verdicts, the status of every rule, and by which checks it was exercised; never counts, which change from
seed to seed, nor times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from storeproof.conformance.report import Report, RuleReport, Status, verdict_text
from storeproof.conformance.terminal import say

_NEWLY: dict[Status, str] = {
    "failed": "failing",
    "stale": "stale in the claim file",
    "unknown": "unknown",
    "untested": "untested",
    "expected-failure": "an expected failure",
    "not-applicable": "not applicable",
    "passed": "passing",
}
"""In the order in which somebody wants to know."""


def print_difference(console: Console, before: Sequence[Report], after: Sequence[Report]) -> int:
    """Prints it; the exit code: 0 where nothing changed, 1 where something did."""
    changed = 0
    for left, right in _pairs(before, after):
        changed += _print_one(console, left, right)
    return 1 if changed else 0


def differences(before: Report, after: Report) -> Iterator[str]:
    """One line for each thing that changed, the worst first."""
    if verdict_text(before) != verdict_text(after):
        yield f"the verdict was {verdict_text(before)}, and is {verdict_text(after)}"
    old = {rule.id: rule for rule in before.rules}
    new = {rule.id: rule for rule in after.rules}
    shared = [(old[name], rule) for name, rule in new.items() if name in old]
    for status, words in _NEWLY.items():
        for left, right in shared:
            if right.status == status != left.status:
                yield f"newly {words}: {right.id}{' (SHOULD)' if right.level == 'SHOULD' else ''} (was {left.status})"
    for left, right in shared:
        yield from _evidence("no longer exercised", left, right)
        yield from _evidence("newly exercised", right, left)
    for names, where in ((old.keys() - new.keys(), "A"), (new.keys() - old.keys(), "B")):
        if names:
            yield f"only in {where}: {', '.join(sorted(names))}"


def _print_one(console: Console, left: Report | None, right: Report | None) -> int:
    """How many lines it took."""
    if left is None or right is None:
        alone = left or right
        assert alone is not None
        say(console, alone.target, "bold")
        say(console, f"  only in {'B' if left is None else 'A'}: {verdict_text(alone)}")
        return 1
    say(console, left.target if left.target == right.target else f"{left.target} and {right.target}", "bold")
    lines = list(differences(left, right))
    for line in lines or ["no difference"]:
        say(console, f"  {line}")
    for line in _settings(left, right):
        say(console, f"  {line}", "dim")
    return len(lines)


def _evidence(words: str, one: RuleReport, other: RuleReport) -> Iterator[str]:
    """The checks that exercised a rule in one report and not in the other."""
    names = sorted(one.evidence.keys() - other.evidence.keys())
    if names:
        yield f"{words} by {', '.join(names)}: {one.id}"


def _pairs(before: Sequence[Report], after: Sequence[Report]) -> Iterator[tuple[Report | None, Report | None]]:
    """By the target's name; one report on each side is a pair whatever the names are."""
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    rest = list(after)
    for left in before:
        right = next((each for each in rest if each.target == left.target), None)
        if right is not None:
            rest.remove(right)
        yield left, right
    for right in rest:
        yield None, right


def _settings(before: Report, after: Report) -> Iterator[str]:
    """What else was not the same, which may be why; no difference by itself."""
    for name in dict.fromkeys((*before.environment, *after.environment)):
        left, right = (report.environment.get(name, "none") for report in (before, after))
        if left != right:
            yield f"{name}: {left} in A, {right} in B"

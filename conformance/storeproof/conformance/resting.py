"""What a verdict rests on, in words: for the terminal, HTML and Markdown alike. Knows no form."""

from __future__ import annotations

from collections.abc import Iterator

from storeproof.conformance.report import Report, Status, counted

STATUSES: tuple[Status, ...] = (
    *("failed", "stale", "unknown", "untested", "expected-failure", "passed", "not-applicable"),
)
"""What has to be read first comes first."""


def counts(report: Report) -> dict[Status, int]:
    """How many rules have each status, without those that none has."""
    found: dict[Status, int] = {status: sum(rule.status == status for rule in report.rules) for status in STATUSES}
    return {status: count for status, count in found.items() if count}


def explored(report: Report) -> Iterator[str]:
    """How much was run: programs of one client, interleavings, cuts, databases that failed; and what could not be."""
    if report.programs:
        named = ", ".join(f"{check} {count:,}" for check, count in report.programs.items())
        yield f"programs of one client: {sum(report.programs.values()):,} ({named})"
    if report.pairs:
        complete = sum(pair.complete for pair in report.pairs)
        schedules = sum(pair.schedules for pair in report.pairs)
        far = "all completely" if complete == len(report.pairs) else f"{complete} of them completely"
        far = far if complete else "a sample of them"
        yield f"interleavings: {schedules:,} schedules; {len(report.pairs)} pairs of operations explored, {far}"
    if report.cut_points:
        yield f"cuts: {report.cut_points:,} points at which an operation was cut off or its process killed"
    if report.outages:
        yield f"under load: {', '.join(f'{name} {count}' for name, count in report.outages.items())}"
    if report.skipped:
        named = ", ".join(f"{check} {count:,}" for check, count in report.skipped.items())
        yield f"skipped: {counted(sum(report.skipped.values()), 'scenario')}, wrong before any race or crash ({named})"


def excused(report: Report) -> Iterator[str]:
    """What is expected to fail, why, and where that is tracked."""
    issues = {each.rule: each.issue for each in report.claim.expected if each.issue} if report.claim else {}
    for rule in report.rules:
        if rule.status == "expected-failure":
            yield f"{rule.id}: {rule.because}{f' ({issues[rule.id]})' if rule.id in issues else ''}"


def summary(report: Report) -> str:
    """`140 passed, 3 untested`."""
    found = counts(report)
    order = sorted(found, key=lambda status: status != "passed")
    told = [f"{found[status]} {status}" for status in order if status != "not-applicable"]
    return ", ".join(told) or "no rule exercised"


def meaning(report: Report) -> str:
    """Why the verdict is what it is, in one sentence."""
    failed = sum(rule.status == "failed" and rule.level == "MUST" for rule in report.rules)
    if report.verdict == "fails":
        if not failed:
            return "The claim file does not hold."
        claim = " The claim file does not hold either." if report.claim and report.claim.problems else ""
        return f"{counted(failed, 'rule')} that MUST hold failed.{claim}"
    if report.verdict == "conforms":
        known = any(rule.status == "expected-failure" for rule in report.rules)
        but = ", except those that are expected to fail" if known else ""
        return f"Every rule that applies was exercised, and none that MUST hold failed{but}."
    if report.verdict == "partial":
        return "No rule that MUST hold failed, but some were never exercised, which is no pass."
    return "Something outside the store failed: nothing can be said."


MOST_NAMED = 12
"""Rules named in one line; all of them are in the table."""


def unexercised(report: Report) -> str | None:
    """Which rules were never exercised."""
    names = [rule.id for rule in report.rules if rule.status == "untested"]
    if not names:
        return None
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"never exercised, which is no pass: {', '.join(names[:MOST_NAMED])}{more}"

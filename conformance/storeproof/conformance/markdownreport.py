"""The summary of a run as Markdown, for the page of a CI run. Short: what is whole is in the HTML and the JSON.

What a store answered stands in code only, and cannot leave it: fences are longer than any run of backquotes inside, and
everything else is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.portable import printable
from storeproof.conformance.report import Report, Verdict, verdict_text
from storeproof.conformance.resting import counts, excused, explored, unexercised
from storeproof.spec.specification import Specification

MOST_FAILURES = 5
"""Failures that are shown whole, of each target; of the others the rules are named."""
_SYMBOLS: dict[Verdict, str] = {"conforms": "✅", "fails": "❌", "partial": "⚠️", "unknown": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+.!|<>&~@:-])")


def markdown_summary(reports: Sequence[Report], specification: Specification) -> str:
    """The text of the file."""
    return "\n".join(line for report in reports for line in (*_report(report, specification), ""))


def fenced(text: str) -> list[str]:
    """The text as a block of code that it cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *printable(text).split("\n"), fence]


def escaped(text: str) -> str:
    """The text on one line, with no character of it read as Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _report(report: Report, specification: Specification) -> Iterator[str]:
    yield f"## {_SYMBOLS[report.verdict]} {escaped(report.target)}: {escaped(verdict_text(report))}"
    yield ""
    found = counts(report)
    if found:
        yield f"| {' | '.join(found)} |"
        yield f"|{' ---: |' * len(found)}"
        yield f"| {' | '.join(f'{count:,}' for count in found.values())} |"
        yield ""
    if report.error:
        yield from (f"**Cannot tell:** {escaped(report.error)}", "")
    problems = report.claim.problems if report.claim else []
    untested = unexercised(report)
    points = [
        *explored(report),
        *(f"the claim file: {line}" for line in problems),
        *(f"expected failure {line}" for line in excused(report)),
        *([untested] if untested else []),
    ]
    yield from (f"- {escaped(line)}" for line in points)
    for failure in report.failures[:MOST_FAILURES]:
        yield from ("", f"### {escaped(failure.rules[0])}", "")
        yield from fenced(failure_text(failure, specification, report.target))
    rest = report.failures[MOST_FAILURES:]
    if rest:
        yield from ("", f"And {len(rest)} more: {', '.join(escaped(failure.rules[0]) for failure in rest)}.")
    settings = ", ".join(f"{name} {value}" for name, value in report.environment.items())
    yield from ("", f"<sub>{escaped(settings)}, {report.duration_s:.1f} s</sub>")

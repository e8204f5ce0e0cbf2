"""The report as one page of HTML, whole in itself: no script, and nothing is loaded from anywhere.

The template escapes whatever it is given, for everything that a store answered is in here; only the kit's own picture
is let through. Knows no run: it is made of the report alone, now or later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from storeproof.conformance.failuretext import counted_calls, quoted, where_found
from storeproof.conformance.pictures import picture
from storeproof.conformance.portable import printable
from storeproof.conformance.report import FailureReport, Report, RuleReport, Status, counted, verdict_text
from storeproof.conformance.repro import repro_text
from storeproof.conformance.resting import counts, excused, explored, meaning, summary, unexercised
from storeproof.conformance.sidebyside import Line, side_by_side
from storeproof.conformance.terminal import CROSS_CUTTING
from storeproof.spec.specification import Specification

LONGEST_TEXT = 20_000
"""Characters of one text on the page."""
LONGEST_MESSAGE = 1_500
LONGEST_REPRO = 200_000
SYMBOLS = {
    "passed": "✓", "failed": "✗", "untested": "○", "expected-failure": "≈", "stale": "✗", "not-applicable": "·",
    "unknown": "?", "conforms": "✓", "fails": "✗", "partial": "○",
}  # fmt: skip
WORDS = {
    "passed": "passed", "failed": "failed", "untested": "untested", "expected-failure": "expected failure",
    "stale": "stale", "not-applicable": "not applicable", "unknown": "unknown", "conforms": "conforms",
    "fails": "fails", "partial": "partial",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """The rules of one operation, or of all."""

    name: str
    rules: list[RuleReport]


@dataclass(frozen=True, slots=True)
class FailureView:
    """What the template shows of a failure. `anchor` is unique on the page."""

    report: FailureReport
    anchor: str
    title: str
    rules: list[tuple[str, str]]
    """(id, what it says), the likeliest first."""
    message: str
    setup: str
    setup_calls: str
    program: str
    program_title: str
    picture: Markup | None
    where: str
    lines: list[Line]
    differs: bool
    commands: str
    repro: str | None


@dataclass(frozen=True, slots=True)
class ReportView:
    """What the template shows of one target."""

    report: Report
    anchor: str
    verdict: str
    meaning: str
    summary: str
    counts: Mapping[Status, int]
    ids: frozenset[str]
    failures: list[FailureView]
    expected: list[FailureView]
    excused: list[str]
    explored: list[str]
    unexercised: str | None
    groups: list[Group]


def html_report(reports: Sequence[Report], specification: Specification) -> str:
    """The text of the file."""
    views = [_report(report, f"t{number}", specification) for number, report in enumerate(reports, 1)]
    heading = reports[0].target if len(reports) == 1 else counted(len(reports), "target")
    title = ", ".join(f"{view.report.target} {view.verdict}" for view in views)
    template = _environment().get_template("report.html.j2")
    css = _template("report.css")
    said = {"symbols": SYMBOLS, "words": WORDS}
    page = template.render(views=views, heading=heading, title=title, css=css, **said)
    return page.strip() + "\n"


def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    made.filters["breakable"] = _breakable
    made.filters["coded"] = _coded
    made.finalize = _shown
    return made


def _template(name: str) -> str:
    return files("storeproof.conformance").joinpath(f"templates/{name}").read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """Control characters and lone surrogates are no HTML: escaped as everywhere; what is markup already stays."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _coded(text: str) -> Markup:
    """Words of the specification, with what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(_shown(text)))))


def _breakable(name: str) -> Markup:
    """A rule's id that may be broken at its dot."""
    return Markup(".<wbr>").join(map(escape, printable(name).split(".")))


def _report(report: Report, anchor: str, specification: Specification) -> ReportView:
    ordered = sorted(report.rules, key=lambda rule: rule.operation is None)
    groups = groupby(ordered, key=lambda rule: rule.operation or CROSS_CUTTING)

    def told(failures: Sequence[FailureReport], letter: str, title: str) -> list[FailureView]:
        numbered = enumerate(failures, 1)
        return [_failure(report, each, f"{anchor}-{letter}{n}", f"{title} {n}", specification) for n, each in numbered]

    return ReportView(
        report=report,
        anchor=anchor,
        verdict=verdict_text(report),
        meaning=meaning(report),
        summary=summary(report),
        counts=counts(report),
        ids=frozenset(rule.id for rule in report.rules),
        failures=told(report.failures, "f", "Failure"),
        expected=told(report.expected, "e", "Expected failure"),
        excused=list(excused(report)),
        explored=list(explored(report)),
        unexercised=unexercised(report),
        groups=[Group(name, list(rules)) for name, rules in groups],
    )


def _failure(
    report: Report, failure: FailureReport, anchor: str, title: str, specification: Specification
) -> FailureView:
    lines = side_by_side(printable(failure.expected), printable(failure.actual))
    setup, program = _programs(failure)
    return FailureView(
        report=failure,
        anchor=anchor,
        title=title,
        rules=[(name, _says(name, specification)) for name in failure.rules],
        message=_cut(failure.message, LONGEST_MESSAGE),
        setup=_cut(setup, LONGEST_TEXT),
        setup_calls=counted_calls(len(failure.program)),
        program=_cut(program, LONGEST_TEXT),
        program_title=_program_title(failure),
        picture=Markup(picture(failure, anchor)) if failure.moments else None,
        where=where_found(failure).capitalize(),
        lines=lines,
        differs=not all(line.same for line in lines),
        commands="\n".join(_commands(report, failure)),
        repro=_repro(report, failure),
    )


def _says(name: str, specification: Specification) -> str:
    rule = specification.rules.get(name)
    return rule.says if rule else "not a rule of this revision"


def _programs(failure: FailureReport) -> tuple[str, str]:
    """What runs alone before several clients meet, and the program. Each call of a setup is one line."""
    lines = failure.python.split("\n")
    place = len(failure.program) if failure.clients else 0
    return "\n".join(lines[:place]), "\n".join(lines[place:])


def _program_title(failure: FailureReport) -> str:
    if not failure.clients:
        return f"The program: {counted(len(failure.program), 'step')}"
    calls = counted_calls(sum(map(len, failure.clients)))
    return f"{counted(len(failure.clients), 'client')}, {calls}"


def _commands(report: Report, failure: FailureReport) -> Iterator[str]:
    yield f"storeproof rules {quoted(failure.rules[0])}"
    if failure.repro:
        yield f"storeproof replay {quoted(failure.repro)} --target {quoted(report.target)}"


def _repro(report: Report, failure: FailureReport) -> str | None:
    """The repro file's text, as far as the report knows what belongs in it; None where it is too long."""
    told = report.environment
    seed = int(told["seed"]) if told.get("seed", "").isdecimal() else 0
    text = repro_text(failure, report.target, seed, told.get("specification", ""), told.get("storeproof", ""))
    return text if len(text) <= LONGEST_REPRO else None


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text):,} characters)"

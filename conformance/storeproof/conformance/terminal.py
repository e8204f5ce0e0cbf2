"""Reports for people at a terminal: one table for all targets, the failures, the verdicts. Knows no command.

Plain where the console is no terminal; at 80 columns nothing that somebody looks for is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.portable import printable
from storeproof.conformance.report import Report, RuleReport, verdict_text
from storeproof.conformance.resting import excused, explored, summary, unexercised
from storeproof.spec.specification import Specification

CROSS_CUTTING = "cross-cutting promises"
_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "untested": "yellow",
    "unknown": "yellow",
    "not-applicable": "dim",
    "expected-failure": "yellow",
    "stale": "bold red",
    "conforms": "bold green",
    "fails": "bold red",
    "partial": "bold yellow",
}


def print_reports(
    console: Console, reports: Sequence[Report], specification: Specification, *, quiet: bool = False
) -> None:
    """Everything about a run: the table, why rules do not apply, the failures, the verdicts. `quiet`: the last two."""
    told = [report for report in reports if any(rule.evidence for rule in report.rules) or report.failures]
    if told and not quiet:
        console.print(rule_table(console, told))
        for line in _not_applicable(told):
            say(console, line, "dim")
    for report in told:
        for number, failure in enumerate(report.failures, 1):
            console.print()
            say(console, f"{report.target}: failure {number} of {len(report.failures)}", "bold red")
            say(console, failure_text(failure, specification, report.target, min(console.width, 120)))
        for number, failure in enumerate(report.expected, 1):
            console.print()
            title = f"{report.target}: expected failure {number} of {len(report.expected)}"
            say(console, f"{title}: {failure.rules[0]}: {failure.message}", "yellow")
    for report in reports:
        _print_verdict(console, report)


def rule_table(console: Console, reports: Sequence[Report]) -> Table:
    """One row per rule, by operation; one column per target. A single target's evidence is shown by check."""
    single = len(reports) == 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=not single)
    table.add_column("rule", no_wrap=True)
    for report in reports:
        table.add_column(_short_target(report.target), no_wrap=True)
    if single:
        table.add_column("evidence", overflow="fold")
    by_id = [{rule.id: rule for rule in report.rules} for report in reports]
    group = None
    for rule in _in_order(reports):
        if (rule.operation or CROSS_CUTTING) != group:
            group = rule.operation or CROSS_CUTTING
            table.add_row(Text(group, style="bold"))
        name = Text(f"  {rule.id}")
        if rule.level == "SHOULD":
            name.append(" (SHOULD)", style="dim")
        cells = [_status(console, rules.get(rule.id)) for rules in by_id]
        table.add_row(name, *cells, *([_evidence(rule)] if single else []))
    return table


def say(console: Console, text: str, style: str | None = None) -> None:
    """Prints a text as it is: no markup, no highlighting, nothing cut off."""
    shown = printable(text)
    encoding = console.encoding or "utf-8"
    shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    console.print(Text(shown, style=style or ""), soft_wrap=True)


def _in_order(reports: Sequence[Report]) -> list[RuleReport]:
    """Operations as in the specification, then what concerns all of them."""
    rules = {rule.id: rule for report in reports for rule in report.rules}
    return sorted(rules.values(), key=lambda rule: rule.operation is None)


def _status(console: Console, rule: RuleReport | None) -> Text:
    if rule is None:
        return Text("-", style="dim")
    symbols = console.encoding.lower().replace("-", "") == "utf8"
    count = sum(rule.evidence.values())
    said = {
        "passed": f"{'✓' if symbols else 'ok'} {count}",
        "failed": f"{'✗' if symbols else 'X'} failed",
        "not-applicable": "n/a",
        "expected-failure": "expected",
    }
    return Text(said.get(rule.status, rule.status), style=_STYLES[rule.status])


def _evidence(rule: RuleReport) -> Text:
    return Text(" ".join(f"{check[:3]}:{count}" for check, count in rule.evidence.items()), style="dim")


def _not_applicable(reports: Sequence[Report]) -> Iterable[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for rule in report.rules:
            if rule.status == "not-applicable":
                reasons.setdefault((rule.id, rule.because or ""), []).append(report.target)
    for (name, because), targets in reasons.items():
        where = "" if len(targets) == len(reports) else f" on {', '.join(targets)}"
        yield f"n/a{where}: {name}: {because}"


def _short_target(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _print_verdict(console: Console, report: Report) -> None:
    console.print()
    say(
        console,
        f"{report.target}  {verdict_text(report)}: {summary(report)}, in {report.duration_s:.1f} s",
        _STYLES.get(report.verdict, "bold"),
    )
    for line in explored(report):
        say(console, f"  {line}")
    for problem in report.claim.problems if report.claim else ():
        say(console, f"  the claim file: {problem}")
    for line in excused(report):
        say(console, f"  expected failure {line}")
    untested = unexercised(report)
    if untested and report.error is None:
        say(console, f"  {untested}")
    shown = [f"{name} {value}" for name, value in report.environment.items() if name != "selected rules"]
    say(console, f"  {', '.join(shown)}", "dim")
    if report.error:
        say(console, f"  cannot tell: {report.error}", "yellow")

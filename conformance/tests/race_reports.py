"""What is told of a racy store on SQLite, as reports and text, for the tests of both."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import Any

from rich.console import Console
from storeproof.conformance.report import FailureReport, Report, RuleReport, RunMoment
from storeproof.conformance.terminal import print_reports
from tests.race_stages import SPECIFICATION, first_failure, opened, racy, target
from tests.timeline_moments import hostile

RACES = ("ClaimTwoWinners", "LoadExecutionTorn", "ListThenLoad", "TimersLost", "AppendLost")
CUTS = ("AppendRowByRow", "DeleteInSteps", "CreateAgainWhenLost", "FinishAnswersFirst")
WIDTHS = (80, 100, 120)


@cache
def failure(name: str) -> FailureReport:
    """The first thing that is said of a racy store on SQLite."""
    store = racy("sqlite", name)
    with opened(target("sqlite", store.store)) as runner:
        return first_failure(runner, "cuts" if name in CUTS else "interleavings", store.store)


def report(*failures: FailureReport, **changed: Any) -> Report:
    rules = [
        RuleReport(id=rule, operation=None, level="MUST", status="failed", evidence={"cuts": 3}, says="s")
        for rule in dict.fromkeys(rule for each in failures for rule in each.rules)
    ]
    values: dict[str, Any] = {
        "target": "sqlite:",
        "verdict": "fails",
        "rules": rules,
        "failures": list(failures),
        "environment": {"seed": "1"},
        "duration_s": 0.5,
    }
    return Report(**(values | changed))


def printed(*reports: Report, width: int = 100) -> str:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False)
    print_reports(console, reports, SPECIFICATION)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def hostile_moments(clients: int) -> list[RunMoment]:
    return [RunMoment(client=each.client, kind=each.kind, text=each.text) for each in hostile(clients)]

"""The report of a run: what `schema/report.schema.json` describes, and what every rendering is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Verdict: TypeAlias = Literal["conforms", "fails", "partial", "unknown"]
Status: TypeAlias = Literal["passed", "failed", "untested", "expected-failure", "not-applicable", "unknown"]
Level: TypeAlias = Literal["MUST", "SHOULD"]


class _Part(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class RuleReport(_Part):
    """One rule: `evidence` counts by check what was exercised and right."""

    id: str
    operation: str | None
    level: Level
    status: Status
    evidence: dict[str, int]
    says: str
    because: str | None = None
    """Why the rule is not applicable, where it is not."""


class FailureReport(_Part):
    """One way in which the store broke rules; `rules` has the likeliest first."""

    rules: list[str]
    check: str
    message: str
    program: list[dict[str, Any]]
    python: str
    """The program as runnable Python."""
    expected: str
    actual: str
    step: int
    """Which step of the program, counted from 1, or of the steps that read the state after it, answered wrongly."""
    wrong_after: int | None
    """After which step, counted from 1, the state was wrong already, where reading it could tell."""
    repro: str | None = None
    """The repro file, where one was written."""


class Report(_Part):
    """What one run on one target found."""

    format: Literal["storeproof-report/1"] = "storeproof-report/1"
    target: str
    verdict: Verdict
    rules: list[RuleReport]
    failures: list[FailureReport]
    environment: dict[str, str]
    duration_s: float
    error: str | None = None
    """Why nothing can be said, where the verdict is unknown."""


def verdict_of(rules: Iterable[RuleReport]) -> Verdict:
    """A MUST that failed decides; a rule never exercised leaves the verdict partial. A SHOULD that failed is shown."""
    rules = list(rules)
    if any(rule.status == "failed" and rule.level == "MUST" for rule in rules):
        return "fails"
    if any(rule.status == "unknown" for rule in rules):
        return "unknown"
    return "partial" if not rules or any(rule.status == "untested" for rule in rules) else "conforms"

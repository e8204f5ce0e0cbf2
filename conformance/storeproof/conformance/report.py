"""The report of a run: what `schema/report.schema.json` describes, and what every rendering is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from storeproof.conformance.failures import UsageError
from storeproof.conformance.histories import MomentKind
from storeproof.conformance.portable import printable
from storeproof.spec.jsonvalues import is_object

Verdict: TypeAlias = Literal["conforms", "fails", "partial", "unknown"]
Status: TypeAlias = Literal["passed", "failed", "untested", "expected-failure", "stale", "not-applicable", "unknown"]
Level: TypeAlias = Literal["MUST", "SHOULD"]
# What a store answered is in these; a lone surrogate in it would be no JSON, and no pydantic string either.
Text: TypeAlias = Annotated[str, BeforeValidator(printable)]


class Part(BaseModel):
    """A part of a file that the kit writes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class RunStep(Part):
    """One step of a program."""

    op: str = Field(description="The operation, or `reopen`: the store is closed and opened again on its data.")
    args: dict[str, Any] = Field(
        description='Its arguments in wire form. {"$json": TEXT} stands for a value that not every JSON reader takes '
        "(NaN, an infinity, an integer beyond 2^53, a lone surrogate): TEXT is that value in Python's JSON."
    )
    refused: str | None = Field(default=None, description="The argument that breaks the schema and has to be refused.")


class RunCut(Part):
    """Where a client was cut off."""

    client: int = Field(description="Which client, counted from 0.")
    at: int = Field(description="Which of its statements, counted from 0, COMMITs included.")
    when: Literal["before", "after", "lost", "answered"] = Field(
        description="Before the statement was executed; after it; `lost`: after it, and only the connection is gone; "
        "`answered`: right after the answer to its call number `at`."
    )


class RunMoment(Part):
    """What a client did at one moment of a race or a cut."""

    client: int = Field(description="Which client, counted from 0.")
    kind: MomentKind = Field(description="`statement` includes COMMIT; `blocked`: waits for a lock.")
    text: Text = Field(description="The call as Python, the statement's SQL, the answer, or how it was cut.")


class PairReport(Part):
    """How far two operations were explored beside each other."""

    operations: tuple[str, str] = Field(description="Their names, in the order of the specification.")
    scenarios: int = Field(description="In how many scenarios: instances of the two, on several setups.")
    schedules: int = Field(description="How many interleavings of their statements were run.")
    complete: bool = Field(description="Whether these are all there are, and not a sample.")


class RuleReport(Part):
    """One rule: `evidence` counts by check what was exercised and right."""

    id: str = Field(description="The rule's id.")
    operation: str | None = Field(description="The operation it is of; null for a promise about all of them.")
    level: Level
    status: Status = Field(
        description="`untested`: nothing exercised it, which is no pass; `expected-failure`: the claim file lists it; "
        "`stale`: the claim file lists it, and it passed."
    )
    evidence: dict[str, int] = Field(description="By check: how often it was exercised and the answer was right.")
    says: str = Field(description="What the rule says.")
    because: str | None = Field(
        default=None, description="Why the rule is not applicable, why it is expected to fail, or why that is stale."
    )


class FailureReport(Part):
    """One way in which the store broke rules."""

    rules: list[str] = Field(description="The ids of the rules, the likeliest first.")
    check: str = Field(description="The check that found it.")
    message: Text = Field(description="What was wrong, in words.")
    program: list[dict[str, Any]] = Field(
        description="The minimal program as steps, as in repro.schema.json; empty for a scene of subscriptions."
    )
    python: Text = Field(description="The program as Python calls on a store named `store`.")
    expected: Text
    actual: Text
    step: int = Field(
        description="Which step of the program, counted from 1, or of the steps that read the state after it, "
        "answered wrongly."
    )
    wrong_after: int | None = Field(
        description="After which step, counted from 1, the state was wrong already, where reading it could tell."
    )
    clients: list[list[dict[str, Any]]] = Field(
        default=[], description="For a race or a cut: what each client calls, after `program`, which is the setup."
    )
    schedule: list[int] = Field(
        default=[], description="Which client made each step, counted from 0: the interleaving that fails."
    )
    cut: RunCut | None = Field(default=None, description="Where a client died, if one did.")
    moments: list[RunMoment] = Field(default=[], description="What happened in this interleaving, in order.")
    states: list[Text] = Field(
        default=[], description="The longest order that the contract allows, and what each operation does to the state."
    )
    repro: str | None = Field(default=None, description="The repro file, where one was written.")


class ExpectedRule(Part):
    """A rule that the claim file lists."""

    rule: str = Field(description="The rule's id.")
    reason: Text = Field(description="Why it is known to fail, as the claim file says.")
    issue: Text | None = Field(default=None, description="Where that is tracked.")


class ClaimReport(Part):
    """What the claim file said, as far as it concerns the rules that were asked for, and what of it does not hold."""

    adapter: Text = Field(description="The adapter's name.")
    capabilities: list[str] = Field(description="What the adapter claims to offer.")
    expected: list[ExpectedRule] = Field(description="The rules that are expected to fail.")
    problems: list[Text] = Field(description="What does not hold; one is enough for the verdict `fails`.")


class Report(Part):
    """What one run on one target found."""

    format: Literal["storeproof-report/1"] = "storeproof-report/1"
    target: str = Field(description="The target as it was named; a password in it is masked.")
    verdict: Verdict = Field(
        description="`conforms`: every applicable rule was exercised and no MUST failed; `fails`: a MUST failed, "
        "or the claim file does not hold; "
        "`partial`: a rule was never exercised; `unknown`: something outside the store failed."
    )
    rules: list[RuleReport] = Field(description="Every rule, or those that were asked for.")
    failures: list[FailureReport]
    expected: list[FailureReport] = Field(default=[], description="Failures of rules that are expected to fail.")
    claim: ClaimReport | None = Field(default=None, description="What the claim file said, where there was one.")
    programs: dict[str, int] = Field(default={}, description="By check: how many programs of one client were run.")
    cut_points: int = Field(default=0, description="How many cuts of operations took place.")
    outages: dict[str, int] = Field(default={}, description="By fault: how often a database failed under load.")
    skipped: dict[str, int] = Field(
        default={},
        description="By check: how many scenarios were not tried to the end, because their setup was answered wrongly, "
        "or they fail without the cut too.",
    )
    pairs: list[PairReport] = Field(default=[], description="What the check `interleavings` explored.")
    environment: dict[str, str] = Field(description="Profile, seed and versions.")
    duration_s: float = Field(description="Seconds.")
    error: Text | None = Field(default=None, description="Why nothing can be said, where the verdict is unknown.")


def verdict_of(rules: Iterable[RuleReport]) -> Verdict:
    """A MUST that failed decides; a rule never exercised leaves the verdict partial. A SHOULD that failed is shown.

    A stale expectation fails, whatever its rule's level: it is the claim that is wrong.
    """
    rules = list(rules)
    if any((rule.status == "failed" and rule.level == "MUST") or rule.status == "stale" for rule in rules):
        return "fails"
    if any(rule.status == "unknown" for rule in rules):
        return "unknown"
    return "partial" if not rules or any(rule.status == "untested" for rule in rules) else "conforms"


def expected_rules(report: Report) -> list[RuleReport]:
    """The rules that failed, or may, as the claim file says."""
    return [rule for rule in report.rules if rule.status == "expected-failure"]


def verdict_text(report: Report) -> str:
    """The verdict in words: what is expected to fail, and a run of some rules only, are never read as a clean pass."""
    if report.verdict != "conforms":
        return report.verdict
    known = expected_rules(report)
    text = f"conforms except {counted(len(known), 'expected failure')}" if known else "conforms"
    return f"{text} (selected rules only)" if "selected rules" in report.environment else text


def counted(count: int, what: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def read_reports(path: Path) -> list[Report]:
    """The reports of a file that `reports_json` made; raises UsageError for any other."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        several = is_object(found) and found.get("format") == "storeproof-reports/1"
        reports = [Report.model_validate(each) for each in (found["reports"] if several else [found])]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path} is no report: {where}: {printable(first['msg'])}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is no report: {type(error).__name__}: {printable(str(error))}") from error
    if not reports:
        raise UsageError(f"{path} holds no report")
    return reports


def reports_json(reports: Sequence[Report]) -> str:
    """One report as the schema describes it, several as {"format": "storeproof-reports/1", "reports": […]}.

    By the json module and not by pydantic's, which writes NaN as null and refuses a lone surrogate.
    """
    dumped = [report.model_dump() for report in reports]
    whole = dumped[0] if len(dumped) == 1 else {"format": "storeproof-reports/1", "reports": dumped}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"

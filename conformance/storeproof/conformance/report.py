"""The report of a run: what `schema/report.schema.json` describes, and what every rendering is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from storeproof.conformance.histories import MomentKind
from storeproof.conformance.portable import printable

Verdict: TypeAlias = Literal["conforms", "fails", "partial", "unknown"]
Status: TypeAlias = Literal["passed", "failed", "untested", "expected-failure", "not-applicable", "unknown"]
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
    status: Status = Field(description="`untested`: nothing exercised it, which is no pass.")
    evidence: dict[str, int] = Field(description="By check: how often it was exercised and the answer was right.")
    says: str = Field(description="What the rule says.")
    because: str | None = Field(default=None, description="Why the rule is not applicable, where it is not.")


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


class Report(Part):
    """What one run on one target found."""

    format: Literal["storeproof-report/1"] = "storeproof-report/1"
    target: str = Field(description="The target as it was named; a password in it is masked.")
    verdict: Verdict = Field(
        description="`conforms`: every applicable rule was exercised and no MUST failed; `fails`: a MUST failed; "
        "`partial`: a rule was never exercised; `unknown`: something outside the store failed."
    )
    rules: list[RuleReport] = Field(description="Every rule, or those that were asked for.")
    failures: list[FailureReport]
    cut_points: int = Field(default=0, description="How many cuts of operations took place.")
    outages: dict[str, int] = Field(default={}, description="By fault: how often a database failed under load.")
    pairs: list[PairReport] = Field(default=[], description="What the check `interleavings` explored.")
    environment: dict[str, str] = Field(description="Profile, seed and versions.")
    duration_s: float = Field(description="Seconds.")
    error: Text | None = Field(default=None, description="Why nothing can be said, where the verdict is unknown.")


def verdict_of(rules: Iterable[RuleReport]) -> Verdict:
    """A MUST that failed decides; a rule never exercised leaves the verdict partial. A SHOULD that failed is shown."""
    rules = list(rules)
    if any(rule.status == "failed" and rule.level == "MUST" for rule in rules):
        return "fails"
    if any(rule.status == "unknown" for rule in rules):
        return "unknown"
    return "partial" if not rules or any(rule.status == "untested" for rule in rules) else "conforms"


def reports_json(reports: Sequence[Report]) -> str:
    """One report as the schema describes it, several as {"format": "storeproof-reports/1", "reports": […]}.

    By the json module and not by pydantic's, which writes NaN as null and refuses a lone surrogate.
    """
    dumped = [report.model_dump() for report in reports]
    whole = dumped[0] if len(dumped) == 1 else {"format": "storeproof-reports/1", "reports": dumped}
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"

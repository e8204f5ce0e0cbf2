"""Reports for the tests of renderings: made of nothing but values, hostile ones where a store could have put them."""

from __future__ import annotations

from typing import Any

from storeproof.conformance.programs import Call, as_python
from storeproof.conformance.report import (
    ClaimReport,
    ExpectedRule,
    FailureReport,
    PairReport,
    Report,
    RuleReport,
    RunMoment,
    Status,
)
from storeproof.conformance.scenarios import Scenario

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "</style><b>", "]]>&amp;",
    "{{ 7 * 7 }}{% raw %}", "<!-- -->", "\ud800\x00\x1b[31m\u202e", "```\n# heading\n| a | b |", "</pre></code>",
    "https://example.com/evil", "javascript:alert(1)",
)  # fmt: skip
EVIL = "".join(HOSTILE)


def failure(**changed: Any) -> FailureReport:
    program = (Call("createRun", {"runId": "a", "workflowId": "w", "input": EVIL, "now": 0}),)
    values: dict[str, Any] = {
        "rules": ["createRun.created", "loadRun.found"], "check": "sequences", "message": "m",
        "program": [step.to_json() for step in program], "python": as_python(program),
        "expected": "{'kind': 'created', 'run': {'runId': 'a', 'n': 1}}",
        "actual": "{'kind': 'existing', 'run': {'n': 1, 'runId': 'a'}}", "step": 1, "wrong_after": None,
        "repro": ".storeproof/x.json",
    }  # fmt: skip
    return FailureReport(**(values | changed))


def race(text: str = "claimed") -> FailureReport:
    claims = [Call("claimRun", {"runId": "r", "leaseOwner": owner, "leaseMs": 5, "now": 10}) for owner in "op"]
    create = Call("createRun", {"runId": "r", "workflowId": "w", "input": None, "now": 0})
    scenario = Scenario((create,), ((claims[0],), (claims[1],)))
    moments = [
        RunMoment(client=0, kind="call", text=claims[0].as_python()),
        RunMoment(client=0, kind="statement", text="select * from workflow_runs"),
        RunMoment(client=1, kind="call", text=claims[1].as_python()),
        RunMoment(client=1, kind="blocked", text=""),
        RunMoment(client=1, kind="answer", text=text),
        RunMoment(client=0, kind="answer", text=text),
    ]
    return failure(
        rules=["claims.exclusive", "atomic.linearizable"],
        check="interleavings",
        message=text,
        program=[create.to_json()],
        python=scenario.as_python(),
        clients=[[call.to_json()] for call in claims],
        schedule=[0, 1, 1, 0],
        moments=moments,
        states=["A claimRun: runs r"],
    )


def rule(name: str, status: Status, **changed: Any) -> RuleReport:
    operation = name.split(".")[0]
    values: dict[str, Any] = {
        "id": name, "operation": operation if operation[0].islower() and "Run" in operation else None,
        "level": "MUST", "status": status, "evidence": {"vectors": 3, "sequences": 1200}, "says": "It says.",
    }  # fmt: skip
    return RuleReport(**(values | changed))


def report(*failures: FailureReport, **changed: Any) -> Report:
    rules = [
        rule("createRun.created", "failed"),
        rule("createRun.existing", "passed"),
        rule("loadRun.found", "failed"),
        rule("claims.exclusive", "untested", evidence={}),
        rule("listRuns.ties", "expected-failure", level="SHOULD", because="known"),
        rule("atomic.cut", "not-applicable", evidence={}, because="the store is not durable"),
    ]
    values: dict[str, Any] = {
        "target": "memory:",
        "verdict": "fails",
        "rules": rules,
        "failures": list(failures),
        "expected": [failure(rules=["listRuns.ties"])],
        "claim": ClaimReport(
            adapter="a",
            capabilities=["subscribe"],
            expected=[ExpectedRule(rule="listRuns.ties", reason="known", issue="https://example.com/issues/1")],
            problems=[],
        ),
        "programs": {"vectors": 63, "sequences": 1200},
        "pairs": [PairReport(operations=("createRun", "loadRun"), scenarios=2, schedules=12, complete=True)],
        "cut_points": 5,
        "environment": {"profile": "quick", "seed": "7", "specification": "1", "storeproof": "0.1.0"},
        "duration_s": 0.5,
    }
    return Report(**(values | changed))


def hostile() -> Report:
    """Everything that can come from outside holds what must not get through."""
    failures = [
        failure(message=EVIL, expected=EVIL, actual=repr({"k": EVIL}), python=EVIL, repro=EVIL, rules=[EVIL]),
        race(EVIL),
    ]
    return report(
        *failures,
        target=EVIL,
        error=EVIL,
        environment={"seed": EVIL, EVIL: EVIL},
        rules=[rule("createRun.created", "failed", because=EVIL, says=EVIL, evidence={EVIL: 1})],
        claim=ClaimReport(adapter=EVIL, capabilities=[], expected=[], problems=[EVIL]),
    )

"""Reports, repro files, their schemas, and how failures are printed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from storeproof.conformance.failures import UsageError
from storeproof.conformance.failuretext import around_the_difference, failure_text
from storeproof.conformance.junit import junit_xml
from storeproof.conformance.portable import portable, printable, restored
from storeproof.conformance.programs import Call, as_python
from storeproof.conformance.report import FailureReport, Report, RuleReport, reports_json
from storeproof.conformance.repro import load as load_repro
from storeproof.conformance.repro import program_of, save
from storeproof.conformance.schemafiles import made_schemas, schema
from storeproof.spec.loader import load
from tests.command_session import strictly, unfit

ODD: tuple[Any, ...] = (
    math.inf, -math.inf, "\ud800", {"\udfff": 1}, 2**53 + 1, -(10**400), {"$json": "1"}, -0.0, 5e-324, None, "\x00", [],
)  # fmt: skip


def failure(**changed: Any) -> FailureReport:
    program = (Call("createRun", {"runId": "a", "workflowId": "w", "input": list(ODD), "now": 0}, refused="input"),)
    values: dict[str, Any] = {
        "rules": ["createRun.created"], "check": "values", "message": "m", "python": as_python(program),
        "program": [step.to_json() for step in program], "expected": "e", "actual": "a", "step": 1, "wrong_after": None,
    }  # fmt: skip
    return FailureReport(**(values | changed))


def report(*failures: FailureReport, **changed: Any) -> Report:
    rules = [
        RuleReport(id="createRun.created", operation="createRun", level="MUST", status="failed", evidence={}, says="s"),
        RuleReport(id="loadRun.found", operation="loadRun", level="MUST", status="untested", evidence={}, says="s"),
        RuleReport(
            id="x.y", operation=None, level="SHOULD", status="not-applicable", evidence={}, says="s", because="b"
        ),
    ]
    values: dict[str, Any] = {
        "target": "memory:",
        "verdict": "fails",
        "rules": rules,
        "failures": list(failures),
        "environment": {"seed": "1"},
        "duration_s": 0.5,
    }
    return Report(**(values | changed))


@pytest.mark.parametrize("value", [*ODD, list(ODD), {"k": {"k": list(ODD)}}], ids=range(len(ODD) + 2))
def test_every_value_comes_back(value: Any) -> None:
    text = json.dumps(portable(value), allow_nan=False)
    assert repr(restored(strictly(text))) == repr(value)


def test_nan_comes_back() -> None:
    assert math.isnan(restored(strictly(json.dumps(portable([math.nan]), allow_nan=False)))[0])


def test_a_tag_without_json_is_refused() -> None:
    for bad in ({"$json": 5}, {"$json": "no json"}):
        with pytest.raises(ValueError, match=r"json|value"):
            restored(bad)


def test_a_repro_file_comes_back(tmp_path: Path) -> None:
    path = save(failure(), "memory:", 7, tmp_path / "new", load())
    assert save(failure(), "memory:", 8, tmp_path / "new", load()) == path
    assert unfit("repro", strictly(path.read_text())) == []
    repro = load_repro(path, load())
    assert (repro.seed, repro.target, repro.rules) == (8, "memory:", ["createRun.created"])
    [call] = program_of(repro)
    assert (call.operation, call.refused, repr(call.args["input"])) == ("createRun", "input", repr(list(ODD)))


@pytest.mark.parametrize(
    "program", [[{"op": "noSuchOperation", "args": {}}], [{"op": "loadRun", "args": {"runId": {"$json": "["}}}], [{}]]
)
def test_a_repro_of_something_else_is_refused(tmp_path: Path, program: Any) -> None:
    path = save(failure(), "memory:", 7, tmp_path, load())
    data = json.loads(path.read_text()) | {"program": program}
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=path.name):
        load_repro(path, load())


def test_the_schemas_are_those_of_the_models() -> None:
    for name, made in made_schemas().items():
        Draft202012Validator.check_schema(made)
        assert schema(name) == made, f"{name}: run python -m storeproof.conformance.schemafiles"


def test_reports_fit_their_schema() -> None:
    odd = report(failure(message="\ud800 \x1b", actual="\udfff"), error="\ud800")
    for reports in ([odd], [odd, report()]):
        assert unfit("report", strictly(reports_json(reports))) == []
    data = json.loads(reports_json([odd]))
    for wrong in (data | {"verdict": "fine"}, data | {"more": 1}, {k: v for k, v in data.items() if k != "format"}):
        assert unfit("report", wrong)


def test_junit_does_not_show_untested_as_green() -> None:
    text = junit_xml([report(failure(actual="\x00\ud800")), report(error="gone", verdict="unknown")], load())
    first, second = ElementTree.fromstring(text.encode()).findall("testsuite")
    assert [first.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["3", "2", "1", "0"]
    assert second.get("errors") == "1"
    untested = first.find("testcase[@name='loadRun.found']/failure")
    assert untested is not None
    assert untested.get("type") == "untested"


def test_a_huge_failure_stays_readable() -> None:
    steps = tuple(Call("createRun", {"runId": "a", "input": "x" * 5000, "now": n}) for n in range(50))
    huge = failure(
        rules=list(load().rules)[:9], program=[step.to_json() for step in steps], python=as_python(steps),
        message="m " * 5000, expected="y" * 9000 + "1", actual="y" * 9000 + "2", repro="a file.json", step=50,
    )  # fmt: skip
    for width in (80, 120):
        text = failure_text(huge, load(), "memory:", width)
        assert len(text.split("\n")) < 40
        assert max(map(len, text.split("\n")[:-1])) <= width
        assert "storeproof replay 'a file.json' --target memory:" in text
        assert "yyy1" in text
        assert "yyy2" in text


def test_a_call_is_broken_where_python_may_be() -> None:
    call = Call("upsertSchedule", {"scheduleId": "s" * 30, "workflowId": "w" * 30, "overlapPolicy": "skip", "now": 1})
    text = failure_text(failure(python=as_python((call,))), load(), "memory:", 80)
    program = text.split(":\n", 1)[1].split("\n\n")[0] if ":\n" in text else ""
    body = "\n".join(line[4:] for line in program.split("\n"))
    compile(f"async def f():\n    {body.strip()}", "printed", "exec")


def test_the_difference_is_shown() -> None:
    expected, actual = around_the_difference("a" * 500 + "b" + "c" * 500, "a" * 500 + "d" + "c" * 500, 60)
    assert ("ab" in expected, "ad" in actual, len(expected), len(actual)) == (True, True, 62, 62)
    assert around_the_difference("same", "same", 60) == ("same", "same")


def test_terminals_get_no_control_characters() -> None:
    assert printable("\x1b[31m\ud800é\n") == "\\x1b[31m\\ud800é\n"

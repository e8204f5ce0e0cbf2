"""`storeproof verify`: tables, files and exit codes, for good stores, bad ones, and bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from storeproof.conformance.report import Report
from storeproof.spec.loader import load
from tests.command_session import storeproof, unfit

QUICK = ("--profile", "quick", "--seed", "3")


def test_a_store_that_conforms(tmp_path: Path) -> None:
    ran = storeproof(
        "verify", "memory:", *QUICK, "--rule", "claimRun", "--json", "r.json", "--junit", "r.xml", folder=tmp_path
    )
    assert (ran.code, "Traceback" in ran.err) == (0, False), ran
    shown = {rule for rule in load().rules if rule in ran.out}
    assert shown == {rule for rule in load().rules if rule.startswith("claimRun.")}
    assert "memory:  conforms" in ran.out
    assert "seed 3" in ran.out
    report = json.loads((tmp_path / "r.json").read_text())
    assert unfit("report", report) == []
    assert Report.model_validate(report).verdict == "conforms"
    suite = ElementTree.parse(tmp_path / "r.xml").find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("memory:", str(len(shown)), "0")
    assert not (tmp_path / ".storeproof").exists()


def test_three_targets_share_one_table(tmp_path: Path) -> None:
    targets = ("memory:", "sqlite:", "sqlite::memory:")
    ran = storeproof("verify", *targets, *QUICK, "--rule", "loadRun", "--json", "r.json", folder=tmp_path)
    assert ran.code == 0, ran
    row = next(line for line in ran.out.split("\n") if "loadRun.found" in line)
    assert re.fullmatch(r"\s+loadRun\.found\s+✓ \d+\s+✓ \d+\s+✓ \d+\s*", row)
    both = json.loads((tmp_path / "r.json").read_text())
    assert [both["format"], *(report["target"] for report in both["reports"])] == ["storeproof-reports/1", *targets]
    assert unfit("report", both) == []


def test_quiet_is_the_verdict_alone(tmp_path: Path) -> None:
    ran = storeproof("verify", "memory:", *QUICK, "--rule", "loadRun", "--quiet", folder=tmp_path)
    assert (ran.code, ran.err) == (0, ""), ran
    assert [line.split(":")[0] for line in ran.out.split("\n") if line and not line.startswith(" ")] == ["memory"]
    assert "loadRun.found" not in ran.out


def test_two_processes_print_one_report(tmp_path: Path) -> None:
    ran = storeproof("verify", "sqlite:", *QUICK, "--rule", "loadRun", "--jobs", "2", folder=tmp_path)
    assert (ran.code, "Traceback" in ran.err) == (0, False), ran
    assert "sqlite:  conforms (selected rules only): 3 passed" in ran.out
    assert "jobs 2" in ran.out
    assert ran.err.count("vectors: ") == 1


def test_no_rule_is_cut_off_at_eighty_columns(tmp_path: Path) -> None:
    rules = max(load().rules, key=len).split(".")[0]
    ran = storeproof("verify", "memory:", "sqlite:", *QUICK, "--rule", rules, folder=tmp_path, env={"COLUMNS": "80"})
    table = ran.out.split("n/a")[0].split("conforms")[0]
    assert all(rule in table for rule in load().rules if rule.startswith(f"{rules}."))
    assert max(len(line) for line in table.split("\n")) <= 80


def test_a_plain_terminal_gets_plain_text(tmp_path: Path) -> None:
    ran = storeproof(
        "verify", "memory:", *QUICK, "--rule", "loadRun", folder=tmp_path, env={"PYTHONIOENCODING": "ascii"}
    )
    assert (ran.code, "\x1b" in ran.out, ran.out.isascii()) == (0, False, True), ran


def test_a_broken_store(tmp_path: Path) -> None:
    ran = storeproof(
        "verify", "report_stores:Steals", *QUICK, "--rule", "claimRun", "--json", "r.json", "--junit", "r.xml",
        folder=tmp_path,
    )  # fmt: skip
    assert ran.code == 1, ran
    failure = ran.out.split("failure 1 of")[1].split("failure 2 of")[0].split("This kit does not")[0]
    assert len(failure.strip().split("\n")) < 40
    assert "broke claimRun.leased" in failure
    assert "await store.claim_run(run_id=" in failure
    assert "expected    {'kind': 'not-claimable'" in failure
    assert "actual      {'kind': 'claimed'" in failure
    assert "storeproof rules claimRun.leased" in failure
    report = Report.model_validate_json((tmp_path / "r.json").read_text())
    assert (report.verdict, report.failures[0].rules[0]) == ("fails", "claimRun.leased")
    repro = tmp_path / str(report.failures[0].repro)
    assert f"storeproof replay .storeproof/{repro.name} --target report_stores:Steals" in failure
    case = ElementTree.parse(tmp_path / "r.xml").find("testsuite/testcase[@name='claimRun.leased']/failure")
    assert case is not None
    assert "The program" in (case.text or "")


def test_a_rule_that_was_asked_for_decides_and_no_other(tmp_path: Path) -> None:
    ran = storeproof("verify", "report_stores:Steals", *QUICK, "--rule", "createRun.created", folder=tmp_path)
    assert (ran.code, "conforms" in ran.out) == (0, True), ran


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("Hangs", "no answer within 0.1 s"),
        ("Blocks", "no answer within 0.1 s; it blocks the event loop"),
    ],
)
def test_a_store_that_hangs(tmp_path: Path, store: str, said: str) -> None:
    ran = storeproof(
        "verify", f"report_stores:{store}", *QUICK, "--rule", "claimRun", "--limit-s", "0.1", folder=tmp_path
    )
    assert (ran.code, "answers.taxonomy" in ran.out, "Traceback" in ran.err) == (1, True, False), ran
    assert said in " ".join(ran.out.split())


def test_a_store_that_cannot_be_stopped_ends_the_run_not_the_patience(tmp_path: Path) -> None:
    ran = storeproof(
        "verify", "report_stores:WillNotBeCancelled", *QUICK, "--rule", "claimRun", "--limit-s", "0.2", folder=tmp_path
    )
    assert (ran.code, "went on when it was cancelled" in ran.out) == (3, True), ran


@pytest.mark.parametrize("store", ["Exits", "Nonsense"])
def test_a_store_that_answers_nonsense(tmp_path: Path, store: str) -> None:
    ran = storeproof("verify", f"report_stores:{store}", *QUICK, "--rule", "loadRun", folder=tmp_path)
    assert (ran.code, "\x1b" in ran.out, "Traceback" in ran.err) == (1, False, False), ran


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nonsense",), 2, "unknown target 'nonsense'"),
        (("memory:", "no_such_module:make"), 2, "no module 'no_such_module'"),
        (("report_stores:Missing",), 2, "has no 'Missing'"),
        (("report_stores:NOT_CALLABLE",), 2, "is not callable"),
        (("sqlite:/no/such/folder/file",), 2, "there is no folder"),
        (("postgresql:nonsense",), 2, "postgresql://USER@HOST/DATABASE"),
        (("memory:", "--profile", "huge"), 2, "no profile 'huge'"),
        (("memory:", "--rule", "claimRun.nothing"), 2, "no rule 'claimRun.nothing'"),
        (("memory:", "--json", "no/such/folder.json"), 2, "cannot be written"),
        (("memory:", "--seed", "x"), 2, "--seed"),
        (("memory:", "--jobs", "0"), 2, "--jobs"),
        (("memory:", "sqlite:new.sqlite", "--jobs", "2"), 2, "is one place"),
        (("memory:", "--nonsense",), 2, "--nonsense"),
    ],
)  # fmt: skip
def test_bad_input_starts_nothing(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = storeproof("verify", *arguments, folder=tmp_path)
    assert (ran.code, said in ran.err, "Traceback" in ran.err, ran.out) == (code, True, False, ""), ran


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("report_stores:failing", "the factory failed: RuntimeError: no container could be started"),
        ("report_stores:failing_later", "the factory failed: RuntimeError: the container is gone"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "cannot connect to the server"),
    ],
)
def test_what_is_not_the_stores_fault(tmp_path: Path, target: str, said: str) -> None:
    ran = storeproof("verify", target, *QUICK, "--rule", "loadRun", "--json", "r.json", folder=tmp_path)
    assert (ran.code, said in ran.out, "Traceback" in ran.err, "secret" in ran.out) == (3, True, False, False), ran
    assert Report.model_validate_json((tmp_path / "r.json").read_text()).verdict == "unknown"


def test_one_bad_target_does_not_lose_the_others(tmp_path: Path) -> None:
    ran = storeproof("verify", "report_stores:failing", "memory:", *QUICK, "--rule", "loadRun", folder=tmp_path)
    assert (ran.code, "memory:  conforms" in ran.out) == (3, True), ran


def test_interrupted_in_the_middle(tmp_path: Path) -> None:
    ran = storeproof("verify", "report_stores:closing_told", *QUICK, folder=tmp_path)
    assert (ran.code, "closed by the factory" in ran.out, "Traceback" in ran.err) == (130, True, False), ran
    assert ran.err.count("interrupted") == 1

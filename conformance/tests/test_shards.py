"""A run shared out among processes rests on the same evidence as a run of one, and tells the same failures once."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from storeproof.conformance.failures import HarnessError
from storeproof.conformance.profiles import PROFILES
from storeproof.conformance.report import FailureReport, PairReport, Report, RuleReport
from storeproof.conformance.shards import Job, merged_reports, verify_in_shares
from storeproof.conformance.targets import resolve
from storeproof.conformance.verify import verify
from storeproof.spec.loader import load

RULES = ("createRun", "values.text", "claims.exclusive")
CHECKS_THAT_COUNT_THE_SAME = ("vectors", "values", "ids", "arguments", "histories")


class Seen:
    """How far each check was told to be."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}

    def advance(self, check: str, done: int, total: int) -> None:
        assert done <= total
        self.last[check] = (done, total)


def test_two_processes_gather_the_evidence_of_one() -> None:
    seen = Seen()
    job = Job("memory:", PROFILES["quick"], 5, RULES, 10.0)
    shared = verify_in_shares(job, 2, seen)
    alone = verify(resolve("memory:", load()), load(), PROFILES["quick"], seed=5, rules=RULES)
    assert (shared.verdict, alone.verdict) == ("conforms", "conforms")
    assert [(rule.id, rule.status) for rule in shared.rules] == [(rule.id, rule.status) for rule in alone.rules]
    for one, other in zip(shared.rules, alone.rules, strict=True):
        assert _counted(one) == _counted(other), one.id
    assert {pair.operations: pair.scenarios for pair in shared.pairs} == {
        pair.operations: pair.scenarios for pair in alone.pairs
    }
    assert shared.environment["jobs"] == "2"
    assert all(done == total for done, total in seen.last.values())
    assert seen.last["vectors"][0] > 10


def test_a_broken_store_is_told_once_and_saved_by_the_parent(broken_module: str) -> None:
    saved: list[FailureReport] = []

    def save(failure: FailureReport) -> FailureReport:
        saved.append(failure)
        return failure.model_copy(update={"repro": "here"})

    job = Job(broken_module, PROFILES["quick"], 5, ("claimRun",), 10.0)
    report = verify_in_shares(job, 2, on_failure=save)
    assert report.verdict == "fails"
    stories = [(failure.check, *failure.rules) for failure in report.failures]
    assert "claimRun.claimed" in {rule for story in stories for rule in story}
    assert len(stories) == len(set(stories)) == len(saved)
    assert {failure.repro for failure in report.failures} == {"here"}


def test_a_process_that_dies_makes_the_verdict_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        import os, signal
        from pathlib import Path
        from storeproof.adapters.memory import MemoryStore

        def make():
            try:
                Path("first").mkdir()
            except FileExistsError:
                os.kill(os.getpid(), signal.SIGKILL)
            return MemoryStore()
    """
    _module(tmp_path, monkeypatch, textwrap.dedent(text))
    job = Job("shared_broken_store:make", PROFILES["quick"], 5, ("createRun.created",), 10.0)
    with pytest.raises(HarnessError, match=r"no process of the run came to its end; exit codes -9, -9"):
        verify_in_shares(job, 2)


def test_what_one_process_could_not_tell_is_unknown_and_no_failure() -> None:
    merged = merged_reports([_report()], "a process of the run ended too early, with exit code -9")
    assert (merged.verdict, merged.failures) == ("unknown", [])


def test_reports_are_merged_by_rule_pair_and_story() -> None:
    long, short = _failure(2), _failure(1)
    one = _report("passed", {"vectors": 2}, pairs=[_pair(1, 3, complete=True)], failures=[long])
    other = _report("failed", {"vectors": 1, "ids": 4}, pairs=[_pair(2, 5, complete=False)], failures=[short])
    merged = merged_reports([one, other])
    assert merged.verdict == "fails"
    assert merged.rules[0].status == "failed"
    assert merged.rules[0].evidence == {"ids": 4, "vectors": 3}
    assert merged.pairs == [_pair(3, 8, complete=False)]
    assert merged.failures == [short]
    assert merged.cut_points == 2
    assert merged.outages == {"connections dropped": 6}
    assert merged.skipped == {"cuts": 4}


def test_a_rule_that_one_share_never_met_is_passed_by_another() -> None:
    merged = merged_reports([_report("untested", {}), _report("passed", {"vectors": 1})])
    assert (merged.verdict, merged.rules[0].status) == ("conforms", "passed")
    assert merged_reports([_report("untested", {}), _report("untested", {})]).verdict == "partial"


@pytest.fixture
def broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    text = """
        from storeproof.adapters.memory import MemoryStore

        class Broken(MemoryStore):
            @staticmethod
            def _lease_is_free(row, owner, now):
                held = row.get("lease")
                return held is None or held["owner"] == owner or held["expiresAt"] < now

        def make():
            return Broken()
    """
    _module(tmp_path, monkeypatch, textwrap.dedent(text))
    return "shared_broken_store:make"


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "shared_broken_store.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)  # where a target's module is looked for, in the processes too


def _counted(rule: RuleReport) -> dict[str, int]:
    return {check: rule.evidence.get(check, 0) for check in CHECKS_THAT_COUNT_THE_SAME}


def _pair(scenarios: int, schedules: int, *, complete: bool) -> PairReport:
    return PairReport(operations=("createRun", "loadRun"), scenarios=scenarios, schedules=schedules, complete=complete)


def _failure(length: int) -> FailureReport:
    return FailureReport(
        rules=["claimRun.claimed"],
        check="vectors",
        message="",
        program=[{"op": "loadRun", "args": {}}] * length,
        python="",
        expected="",
        actual="",
        step=1,
        wrong_after=None,
    )


def _report(
    status: str = "passed",
    evidence: dict[str, int] | None = None,
    pairs: list[PairReport] | None = None,
    failures: list[FailureReport] | None = None,
) -> Report:
    rule = RuleReport.model_validate(
        {
            "id": "claimRun.claimed",
            "operation": "claimRun",
            "level": "MUST",
            "status": status,
            "evidence": evidence if evidence is not None else {"vectors": 1},
            "says": "",
        }
    )
    return Report(
        target="memory:",
        verdict="conforms",
        rules=[rule],
        failures=failures or [],
        cut_points=1,
        outages={"connections dropped": 3},
        skipped={"cuts": 2},
        pairs=pairs or [],
        environment={},
        duration_s=1.0,
    )

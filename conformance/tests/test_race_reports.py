"""What is told of races and cuts: short enough to read, and whole in the files. `test_hostile_reports` has the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.junit import junit_xml
from storeproof.conformance.profiles import Profile
from storeproof.conformance.report import PairReport, Report, reports_json
from storeproof.conformance.repro import save
from storeproof.conformance.verify import verify
from tests.command_session import strictly, unfit
from tests.race_reports import CUTS, RACES, WIDTHS, failure, hostile_moments, printed, report
from tests.race_stages import SPECIFICATION, target

PROFILE = Profile("test", 6, 60, worlds=1, cut_pairs=4, most_failures=4)


# the text of one failure


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [*RACES, *CUTS])
def test_it_fits_a_screen_and_begins_with_what_broke(name: str, width: int) -> None:
    found = failure(name).model_copy(update={"repro": ".storeproof/a file.json"})
    text = failure_text(found, SPECIFICATION, "sqlite:", width)
    lines = text.split("\n")
    assert len(lines) < 40
    # The command to type is not broken into pieces.
    assert max(map(len, lines[:-1])) <= width
    assert lines[0].startswith(f"broke {found.rules[0]}: ")
    assert all(rule in text for rule in found.rules[:3])
    assert lines[-1] == "    storeproof replay '.storeproof/a file.json' --target sqlite:"
    assert f"storeproof rules {found.rules[0]}" in text


@pytest.mark.parametrize("name", RACES)
def test_it_shows_who_did_what_when(name: str) -> None:
    found = failure(name)
    lines = failure_text(found, SPECIFICATION, "sqlite:", 120).split("\n")
    calls = sum(map(len, found.clients))
    assert any(line.startswith(f"{len(found.clients)} clients make {calls} calls") for line in lines)
    [lanes] = [place for place, line in enumerate(lines) if line.split() == ["A", "B"]]
    timeline = lines[lanes:]
    assert sum("┌ " in line for line in timeline) == calls
    assert sum("└→" in line for line in timeline) == calls
    assert [line for line in timeline if line.startswith("allowed as far as")] or not found.states
    if found.program:
        [setup] = [line for line in lines if line.strip().startswith("setup: ")]
        assert [step["op"] for step in found.program] == setup.strip().removeprefix("setup: ").split(", ")


def test_two_clients_side_by_side_in_the_order_of_their_schedule() -> None:
    found = failure("ClaimTwoWinners")
    text = failure_text(found, SPECIFICATION, "sqlite:", 100)
    timeline = text[text.index("\nA ") + 1 : text.index("\nallowed as far as")].split("\n")
    # A statement goes with its call, an answer with its last statement.
    assert found.schedule == [0, 1, 1, 0]
    right = timeline[0].index("B")
    marks = [(line[right:] or line)[0] for line in timeline[1:]]
    lanes = ["B" if len(line) > right else "A" for line in timeline[1:]]
    assert "".join(lanes) == "AABBBBAA"
    assert "".join(marks) == "┌│┌││└│└"
    assert [moment.client for moment in found.moments if moment.kind == "statement"] == found.schedule
    assert found.states[0].startswith("A claimRun: runs r ")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_huge_race_stays_readable(width: int) -> None:
    small = failure("ClaimTwoWinners")
    huge = small.model_copy(
        update={
            "rules": list(SPECIFICATION.rules)[:9],
            "program": [{"op": "claimDueScheduleBuckets", "args": {"limit": number}} for number in range(200)],
            "message": "m " * 5_000,
            "expected": "y" * 9_000 + "1",
            "actual": "y" * 9_000 + "2",
            "clients": [*small.clients] * 3,
            "moments": [*hostile_moments(6)] * 4,
            "states": ["s" * 500] * 50,
            "repro": "a.json",
        }
    )
    text = failure_text(huge, SPECIFICATION, "sqlite:", width)
    assert len(text.split("\n")) < 40
    assert max(map(len, text.split("\n"))) <= width
    assert "yyy1" in text
    assert "yyy2" in text
    assert "storeproof replay a.json --target sqlite:" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("AppendRowByRow", "dies here, after it"),
        ("DeleteInSteps", "dies here, after it"),
        ("FinishAnswersFirst", "dies here, after it"),
    ],
)
def test_a_cut_is_shown_where_it_was(name: str, said: str) -> None:
    found = failure(name)
    text = failure_text(found, SPECIFICATION, "sqlite:", 100)
    assert "One client makes 1 call" in text
    assert f"✂ {said}" in text
    assert found.cut is not None
    statements = [moment for moment in found.moments if moment.client == 0 and moment.kind == "statement"]
    if found.cut.when == "after":
        assert len(statements) == found.cut.at + 1


def test_a_lost_answer_is_shown() -> None:
    found = failure("CreateAgainWhenLost")
    assert (found.cut is not None and found.cut.when) == "lost"
    assert [moment.kind for moment in found.moments] == ["call", "statement", "lost", "statement", "answer"]


# files


@pytest.mark.parametrize("name", [*RACES, *CUTS])
def test_files_fit_their_schemas(name: str, tmp_path: Path) -> None:
    found = failure(name)
    pairs = [PairReport(operations=("createRun", "loadRun"), scenarios=2, schedules=9, complete=True)]
    whole = report(found, pairs=pairs, cut_points=17)
    data = strictly(reports_json([whole]))
    assert unfit("report", data) == []
    assert Report.model_validate(data) == whole
    assert data["failures"][0]["schedule"] == list(found.schedule)
    path = save(found, "sqlite:", 1, tmp_path, SPECIFICATION)
    assert unfit("repro", strictly(path.read_text())) == []
    picture = ElementTree.parse(path.with_suffix(".svg")).getroot()
    assert picture.tag.endswith("svg")
    assert found.rules[0] in "".join(picture.itertext())


_UNFIT: dict[str, dict[str, Any]] = {
    "schedule": {"schedule": ["A"]},
    "clients": {"clients": [[{"args": {}}]]},
    "when": {"cut": {"client": 0, "at": 0, "when": "sometime"}},
    "cut": {"cut": {"client": 0, "at": 0}},
    "moment": {"moments": [{"client": 0, "kind": "guess", "text": ""}]},
    "more": {"more": 1},
}


@pytest.mark.parametrize("change", _UNFIT.values(), ids=_UNFIT)
def test_what_is_no_race_does_not_fit(change: dict[str, Any], tmp_path: Path) -> None:
    path = save(failure("ClaimTwoWinners"), "sqlite:", 1, tmp_path, SPECIFICATION)
    assert unfit("repro", json.loads(path.read_text()) | change)


def test_two_races_of_one_setup_have_files_of_their_own(tmp_path: Path) -> None:
    one = failure("ClaimTwoWinners")
    other = one.model_copy(update={"clients": [*one.clients, [{"op": "loadRun", "args": {"runId": "r"}}]]})
    paths = {save(each, "sqlite:", 1, tmp_path, SPECIFICATION) for each in (one, other, one)}
    assert len(paths) == 2


def test_junit_tells_a_race_under_each_of_its_rules() -> None:
    found = failure("TimersLost")
    suite = ElementTree.fromstring(junit_xml([report(found)], SPECIFICATION).encode()).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == str(len(found.rules))
    for rule in found.rules:
        said = suite.find(f"testcase[@name='{rule}']/failure")
        assert said is not None
        assert "┌ claim_due_timers(" in (said.text or "")


# the verdict


def test_the_verdict_says_how_far_it_was_explored() -> None:
    pairs = [
        PairReport(operations=("createRun", "createRun"), scenarios=9, schedules=1_200, complete=True),
        PairReport(operations=("createRun", "loadRun"), scenarios=9, schedules=34, complete=True),
    ]
    text = printed(report(pairs=pairs, cut_points=5_678, verdict="conforms"))
    lines = [line.strip() for line in text.split("\n")]
    assert "interleavings: 1,234 schedules; 2 pairs of operations explored, all completely" in lines
    [cuts] = [line for line in lines if line.startswith("cuts: ")]
    assert cuts.startswith("cuts: 5,678 points at which an operation was cut off")

    half = [pairs[0], pairs[1].model_copy(update={"complete": False})]
    assert "2 pairs of operations explored, 1 of them completely" in printed(report(pairs=half))
    sample = [pair.model_copy(update={"complete": False}) for pair in pairs]
    assert "2 pairs of operations explored, a sample of them" in printed(report(pairs=sample))
    assert "skipped: 5 scenarios, wrong before any race or crash (cuts 2, histories 3)" in printed(
        report(skipped={"cuts": 2, "histories": 3})
    )
    nothing = printed(report())
    assert "interleavings:" not in nothing
    assert "cuts:" not in nothing
    assert "skipped:" not in nothing


def test_a_run_of_both_checks_prints_what_it_did() -> None:
    names = ("claims.exclusive", "atomic.cut", "atomic.acknowledged", "retry.converges")
    found = verify(target("sqlite"), SPECIFICATION, PROFILE, seed=1, rules=names, checks=("interleavings", "cuts"))
    assert (found.failures, found.error, found.verdict) == ([], None, "conforms")
    assert found.cut_points > 300
    assert all(pair.complete for pair in found.pairs)
    schedules = sum(pair.schedules for pair in found.pairs)
    text = printed(found)
    assert f"interleavings: {schedules:,} schedules; {len(found.pairs)} pairs of operations explored, all" in text
    assert f"cuts: {found.cut_points:,} points" in text
    evidence = {rule.id: set(rule.evidence) for rule in found.rules}
    assert "interleavings" in evidence["claims.exclusive"]
    assert evidence["atomic.cut"] == evidence["retry.converges"] == {"cuts"}


def test_the_failures_of_a_run_are_printed_with_their_timelines() -> None:
    both = [failure("ClaimTwoWinners"), failure("AppendRowByRow")]
    for width in (80, 100):
        text = printed(report(*both), width=width)
        assert text.count("What to do:") == 2
        assert text.count("claim_run(") >= 3
        assert "✂ dies here, after it" in text
        assert "\x1b" not in text

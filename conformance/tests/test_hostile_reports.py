"""Races whose values are hostile: told, saved and shown, harmless."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from storeproof.conformance.failuretext import failure_text
from storeproof.conformance.junit import junit_xml
from storeproof.conformance.programs import Call
from storeproof.conformance.racefailures import told
from storeproof.conformance.racejudgement import Readings
from storeproof.conformance.races import explore, rerun
from storeproof.conformance.report import FailureReport, reports_json
from storeproof.conformance.repro import load, save, scenario_of
from storeproof.conformance.scenarios import Scenario
from tests.command_session import strictly, unfit
from tests.race_reports import WIDTHS, hostile_moments, printed, report
from tests.race_stages import MODEL, SPECIFICATION, racy, staged
from tests.timeline_moments import HOSTILE

IDS = ["\n" * 100, "\r\x85\u2029" * 9, *(text for text in HOSTILE if text and not {"\x00", "\ud800"} & set(text))]


@pytest.mark.parametrize("text", IDS, ids=range(len(IDS)))
def test_hostile_arguments_of_a_real_race(text: str, tmp_path: Path) -> None:
    """As ids, as free text and inside of JSON: told, saved, loaded and run again."""
    create = Call("createRun", {"runId": text, "workflowId": text, "input": {text: [text]}, "now": 1})
    claims = [
        Call("claimRun", {"runId": text, "leaseOwner": owner, "leaseMs": 5, "now": 10}) for owner in (text, text + "x")
    ]
    scenario = Scenario((create,), tuple((claim,) for claim in claims))
    with staged("sqlite", racy("sqlite", "ClaimTwoWinners").store) as (runner, stage):
        explored = runner.wait(explore(stage, MODEL, scenario, Readings()))
        tried = explored.tried(scenario)
        assert tried is not None
        assert tried.wrong.rules[0] == "claims.exclusive"
        found = told("interleavings", tried, MODEL)
        path = save(found, "sqlite:", 1, tmp_path, SPECIFICATION)
        repro = load(path, SPECIFICATION)
        assert scenario_of(repro) == scenario
        again = runner.wait(rerun(stage, MODEL, scenario_of(repro), Readings(), repro.schedule, None))
        assert again is not None
        assert told("interleavings", again, MODEL) == found
    harmless(found, path)


def test_hostile_moments_of_any_kind(tmp_path: Path) -> None:
    """What no real run would leave: control characters and lone surrogates everywhere."""
    odd = "\ud800\x00\x1b[31m</text>]]>[bold]\u202e\n\n"
    calls = [{"op": "loadRun", "args": {"runId": {"$json": json.dumps(odd)}}}]
    found = FailureReport(
        rules=["claims.exclusive", "atomic.linearizable"],
        check="interleavings",
        message=odd * 50,
        program=calls,
        python=odd,
        expected=odd * 100 + "1",
        actual=odd * 100 + "2",
        step=2,
        wrong_after=None,
        clients=[calls, calls],
        schedule=[0, 1],
        moments=hostile_moments(2),
        states=[odd] * 9,
    )
    path = save(found, "sqlite:", 1, tmp_path, SPECIFICATION)
    assert scenario_of(load(path, SPECIFICATION)).clients[0][0].args == {"runId": odd}
    harmless(found, path)


def harmless(found: FailureReport, path: Path) -> None:
    for width in WIDTHS:
        lines = failure_text(found, SPECIFICATION, "sqlite:", width).split("\n")
        assert len(lines) < 40
        # textwrap counts characters, the timeline columns: combining characters take none.
        assert max(min(len(line), cell_len(line)) for line in lines) <= width
        for line in lines:
            line.encode("utf-8")
            assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in line}, line
    whole = report(found)
    assert unfit("report", strictly(reports_json([whole]))) == []
    assert unfit("repro", strictly(path.read_text(encoding="utf-8"))) == []
    picture = path.with_suffix(".svg").read_text(encoding="utf-8")
    assert not [each for each in ElementTree.fromstring(picture).iter() if each.tag.endswith("script")]
    cases = ElementTree.fromstring(junit_xml([whole], SPECIFICATION).encode()).findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == found.rules
    shown = printed(whole)
    assert "\x1b" not in shown
    assert "\x00" not in shown
    assert "[bold]" in shown or "[bold]" not in found.message

"""Badges: what they say for each verdict, and that browsers and shields.io can read them; only a report has one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from storeproof.conformance.badge import badge_json, badge_svg
from storeproof.conformance.report import Report, RuleReport, Status, Verdict, reports_json
from tests.command_session import storeproof

SVG = "{http://www.w3.org/2000/svg}"


def report(verdict: Verdict, *statuses: Status, **environment: str) -> Report:
    rules = [
        RuleReport(id=f"a.{number}", operation="a", level="MUST", status=status, evidence={}, says="")
        for number, status in enumerate(statuses)
    ]
    return Report(
        target="t",
        verdict=verdict,
        rules=rules,
        failures=[],
        environment={"specification": "1", **environment},
        duration_s=1,
    )


EXPECTED: list[Status] = ["expected-failure"] * 3
CASES: list[tuple[Sequence[Report], str, str]] = [
    ([report("conforms", "passed")], "conforms · r1", "brightgreen"),
    ([report("conforms", "expected-failure")], "conforms, 1 expected failure", "yellowgreen"),
    ([report("conforms", *EXPECTED)], "conforms, 3 expected failures", "yellowgreen"),
    ([report("conforms", "passed", **{"selected rules": "a"})], "partial", "yellow"),
    ([report("partial", "untested")], "partial", "yellow"),
    ([report("unknown")], "unknown", "lightgrey"),
    ([report("fails", "failed", "expected-failure")], "fails", "red"),
    ([report("conforms"), report("fails"), report("unknown")], "fails", "red"),
    ([report("conforms", "expected-failure"), report("conforms")], "conforms, 1 expected failure", "yellowgreen"),
]


@pytest.mark.parametrize(("reports", "message", "colour"), CASES)
def test_a_badge_says_the_worst(reports: Sequence[Report], message: str, colour: str) -> None:
    shown = json.loads(badge_json(reports))
    wanted = {"schemaVersion": 1, "label": "storeproof", "message": message, "color": colour}
    assert shown == wanted | ({"isError": True} if colour == "red" else {})
    picture = ElementTree.fromstring(badge_svg(reports))
    assert picture.attrib["aria-label"] == f"storeproof: {message}"
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["storeproof", message]
    assert "http" not in badge_svg(reports).replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(("reports", "message", "colour"), CASES)
def test_white_letters_are_readable(reports: Sequence[Report], message: str, colour: str) -> None:
    picture = ElementTree.fromstring(badge_svg(reports))
    fills = [shape.attrib["fill"] for shape in picture if shape.tag in (f"{SVG}rect", f"{SVG}path")]
    assert len(fills) == 2
    assert min(1.05 / (_luminance(fill) + 0.05) for fill in fills) >= 4.5


def _luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    full = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    channels = [int(full[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(factor * each for factor, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(reports_json([report("conforms", "passed")]))
    written = storeproof("report", "r.json", "--badge", "b.json", "--badge", "b.svg", folder=tmp_path)
    assert (written.code, written.out) == (0, ""), written
    assert json.loads((tmp_path / "b.json").read_text())["message"] == "conforms · r1"
    assert (tmp_path / "b.svg").read_text().startswith("<svg ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "is no report"),
        ("[1]", "is no report"),
        ('{"format": "storeproof-report/1"}', "is no report: target: Field required"),
        ('{"format": "storeproof-reports/1"}', "is no report"),
        ('{"format": "storeproof-reports/1", "reports": []}', "holds no report"),
        ('{"format": "storeproof-reports/1", "reports": 5}', "is no report"),
    ],
)
def test_only_a_report_makes_a_badge(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "r.json").write_text(text)
    ran = storeproof("report", "r.json", "--badge", "b.svg", folder=tmp_path)
    assert (ran.code, said in ran.err, "Traceback" in ran.err, (tmp_path / "b.svg").exists()) == (2, True, False, False)

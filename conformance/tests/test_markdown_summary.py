"""The summary of a run as Markdown: short, right, and not to be broken out of."""

from __future__ import annotations

import re

from storeproof.conformance.markdownreport import escaped, fenced, markdown_summary
from storeproof.conformance.report import ClaimReport
from storeproof.spec.loader import load
from tests.report_samples import EVIL, failure, hostile, race, report

SPECIFICATION = load()


def outside(text: str) -> list[str]:
    """The lines that are in no block of code."""
    found: list[str] = []
    fence = None
    for line in text.split("\n"):
        mark = re.match(r"(`{3,})", line)
        if fence is None and mark:
            fence = mark.group(1)
        elif fence is not None and line == fence:
            fence = None
        elif fence is None:
            found.append(line)
    assert fence is None
    return found


def test_what_it_says() -> None:
    lines = outside(markdown_summary([report(failure(), race())], SPECIFICATION))
    assert lines[:5] == [
        "## ❌ memory\\:: fails",
        "",
        "| failed | untested | expected-failure | passed | not-applicable |",
        "| ---: | ---: | ---: | ---: | ---: |",
        "| 2 | 1 | 1 | 1 | 1 |",
    ]
    assert "- expected failure listRuns\\.ties\\: known \\(https\\://example\\.com/issues/1\\)" in lines
    assert "- never exercised, which is no pass\\: claims\\.exclusive" in lines
    assert [line for line in lines if line.startswith("### ")] == ["### createRun\\.created", "### claims\\.exclusive"]


def test_many_failures_are_named() -> None:
    failures = [failure(rules=[f"createRun.{number}"]) for number in range(8)]
    text = markdown_summary([report(*failures)], SPECIFICATION)
    assert text.count("What to do:") == 5
    assert "And 3 more: createRun\\.5, createRun\\.6, createRun\\.7." in text


def test_a_conforming_run_and_a_claim_that_does_not_hold() -> None:
    whole = report(verdict="conforms", target="a", rules=[], expected=[], claim=None)
    assert markdown_summary([whole], SPECIFICATION).startswith("## ✅ a: conforms\n")
    claim = ClaimReport(adapter="a", capabilities=[], expected=[], problems=["x.y: stale"])
    assert "- the claim file\\: x\\.y\\: stale" in markdown_summary([report(claim=claim)], SPECIFICATION)


def test_hostile_text_stays_in_its_block() -> None:
    lines = outside(markdown_summary([hostile()], SPECIFICATION))
    for line in lines:
        assert not re.search(r"(?<!\\)[<>`]", re.sub(r"^<sub>|</sub>$", "", line)), line
    assert [line for line in lines if line.lstrip().startswith("#")] == [
        line for line in lines if line.startswith(("## ❌", "### "))
    ]


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fenced("a") == ["```text", "a", "```"]
    assert fenced("x ```` y")[0] == "`````text"
    assert "\n" not in escaped(EVIL)

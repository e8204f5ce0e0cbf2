"""The report as HTML: valid, whole in itself, for keyboard and screen reader, harmless whatever a store answered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from storeproof.conformance.htmlreport import html_report
from storeproof.conformance.report import Report, reports_json
from storeproof.conformance.sidebyside import Line, side_by_side, unfolded
from storeproof.spec.loader import load
from tests.command_session import storeproof
from tests.report_samples import EVIL, HOSTILE, failure, hostile, race, report, rule

SPECIFICATION = load()
CASES: dict[str, list[Report]] = {
    "failing": [report(failure(), race())],
    "conforming": [report(verdict="conforms", expected=[], claim=None, rules=[])],
    "unknown": [report(verdict="unknown", error="no server", pairs=[], programs={}, cut_points=0)],
    "several": [report(failure(), race()), report(race(), race()), report(target="sqlite:")],
    "hostile": [hostile()],
    "huge": [report(failure(message="m" * 10**6, expected=repr(["x" * 10**6] * 9), python="p" * 10**6))],
}


def page(name: str) -> str:
    return html_report(CASES[name], SPECIFICATION)


def parsed(text: str) -> Element:
    """By a parser that takes nothing wrong."""
    parser: Any = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    found: Element = parser.parse(text)
    return found


@pytest.fixture(params=CASES)
def root(request: pytest.FixtureRequest) -> Element:
    return parsed(page(request.param))


def text_of(element: Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def attributes(root: Element) -> Iterator[tuple[str, str, str]]:
    for element in root.iter():
        yield from ((str(element.tag), name, value) for name, value in element.attrib.items())


def test_nothing_is_loaded_and_nothing_runs(root: Element) -> None:
    tags = {str(element.tag).split("}")[-1] for element in root.iter()}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "embed", "video", "audio", "form", "base", "image"})
    for tag, name, value in attributes(root):
        assert not name.lower().startswith("on"), (tag, name)
        if name.split("}")[-1] in ("href", "src", "srcset", "action", "data"):
            assert value.startswith("#") or value == "data:,", (tag, name, value)
    for style in root.iter("style"):
        assert not re.search(r"@import|url\((?!#)|https?:", style.text or "")


def test_links_lead_somewhere_and_ids_are_unique(root: Element) -> None:
    ids = Counter(value for _, name, value in attributes(root) if name == "id")
    assert [each for each, count in ids.items() if count > 1] == []
    for _, name, value in attributes(root):
        if name == "href" and value.startswith("#"):
            assert value[1:] in ids
        if name in ("aria-labelledby", "aria-describedby"):
            assert value in ids


def test_headings_and_landmarks_are_in_order(root: Element) -> None:
    levels = [int(str(each.tag)[1]) for each in root.iter() if re.fullmatch("h[1-6]", str(each.tag))]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later <= level + 1 for level, later in pairwise(levels))
    body = root.find("body")
    assert body is not None
    found = [str(child.tag) for child in body]
    assert [name for name in found if name != "nav"] == ["a", "header", "main", "footer"]
    labels = [each.attrib["aria-label"] for each in root.iter("nav")]
    assert len(set(labels)) == len(labels)
    assert root.attrib["lang"] == "en"
    assert all(text_of(each) for each in root.iter() if re.fullmatch("h[1-6]|summary|a|th", str(each.tag)))


def test_tables_name_their_cells(root: Element) -> None:
    for table in root.iter("table"):
        assert [each.attrib.get("scope") for each in table.iter("th") if "scope" not in each.attrib] == []
    for element in root.iter():
        if element.attrib.get("role") == "group":
            assert (element.attrib["tabindex"], bool(element.attrib["aria-label"])) == ("0", True)


def test_a_failure_has_all_that_is_needed() -> None:
    found = parsed(page("failing"))
    first, second, _expected = found.iter("article")
    said = text_of(first)
    assert "Failure 1: createRun .created" in said or "Failure 1: createRun. created" in said
    assert "await store.create_run(run_id='a'" in said
    assert "storeproof replay .storeproof/x.json --target memory:" in said
    assert '"format": "storeproof-repro/1"' in said
    [changed] = [each for each in first.iter("tr") if each.attrib.get("class") == "differs"]
    assert [text_of(each)[2:] for each in changed.iter("td")] == [
        "only expected: 'kind': 'created',",
        "only answered: 'kind': 'existing',",
    ]
    details = [text_of(each) for each in second.iter("summary")]
    assert details == ["Before it, a setup of 1 call", "The repro file, to copy"]
    pictures = [each for each in second.iter() if str(each.tag).endswith("svg")]
    assert [each.attrib["role"] for each in pictures] == ["img"]
    assert "async def client_a()" in text_of(second)


def test_the_verdict_and_what_it_rests_on() -> None:
    said = text_of(parsed(page("failing")))
    for part in (
        "2 rules that MUST hold failed.", "programs of one client: 1,263 (vectors 63, sequences 1,200)",
        "interleavings: 12 schedules; 1 pairs", "cuts: 5 points", "listRuns.ties: known (https://example.com/issues/1)",
        "never exercised, which is no pass: claims.exclusive", "the store is not durable", "✗ failed", "○ untested",
    ):  # fmt: skip
        assert part in said, part


def test_several_reports_have_an_overview() -> None:
    found = parsed(page("several"))
    overview = next(found.iter("nav"))
    assert [text_of(each) for each in overview.iter("a")] == ["memory:", "memory:", "sqlite:"]
    assert len(list(found.iter("section"))) == 3


def test_hostile_text_is_text() -> None:
    text = page("hostile")
    assert [each for each in ("<script>", "<img", "\ud800", "\x00", "\x1b", "\u202e") if each in text] == []
    said = "".join(parsed(text).itertext())
    for each in HOSTILE:
        if each.isprintable():
            assert said.count(each) >= 8, each


def test_what_is_huge_is_cut() -> None:
    assert len(page("huge")) < 400_000


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(dark: bool) -> None:
    css = files("storeproof.conformance").joinpath("templates/report.css").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in css.split("prefers-color-scheme: dark")[:2]]
    colours = schemes[dark]
    grounds = {name: colours[name] for name in ("ground", "raised", "bad-ground", "good-ground", "warn-ground")}
    inks = {"ink": grounds, "muted": ("ground", "raised", "warn-ground"), "link": ("ground", "warn-ground"),
            "good": ("ground", "good-ground", "warn-ground"), "bad": ("ground", "bad-ground", "warn-ground"),
            "warn": ("ground", "warn-ground")}  # fmt: skip
    for ink, on in inks.items():
        for ground in on:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """WCAG's ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    channels = [int(full[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(factor * each for factor, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_sides() -> None:
    assert side_by_side("{'a': 1, 'b': [1]}", "{'b': [1, 2], 'a': 1}") == [
        Line("{", "{"),
        Line("  'a': 1,", "  'a': 1,"),
        Line("  'b': [", "  'b': ["),
        Line("    1,", "    1,"),
        Line(None, "    2,"),
        Line("  ],", "  ],"),
        Line("}", "}"),
    ]
    assert side_by_side("None", "LogConflict {'runId': 'a'}") == [
        Line("None", "LogConflict {"),
        Line(None, "  'runId': 'a',"),
        Line(None, "}"),
    ]
    assert side_by_side("every event, in order", "x") == [Line("every event, in order", "x")]
    assert unfolded("{}") == ["{}"]
    assert unfolded("[" * 500) == ["[" * 500]
    assert len(unfolded(repr(list(range(10_000))))) == 400


def test_the_report_command_makes_the_same_files_again(tmp_path: Path) -> None:
    files = ("--html", "r.html", "--markdown", "r.md", "--junit", "r.xml", "--badge", "b.json", "--badge", "b.svg")
    run = ("verify", "report_stores:Steals", "--profile", "quick", "--seed", "3", "--rule", "claimRun.leased")
    ran = storeproof(*run, "--json", "r.json", *files, folder=tmp_path)
    assert ran.code == 1, ran
    first = {name: (tmp_path / name).read_bytes() for name in files[1::2]}
    for name in first:
        (tmp_path / name).unlink()
    again = storeproof("report", "r.json", *files, folder=tmp_path)
    assert (again.code, again.out) == (0, ""), again
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    shown = storeproof("report", "r.json", folder=tmp_path)
    assert (shown.code, shown.out) == (0, ran.out), shown


@pytest.mark.parametrize("command", ["verify", "report"])
def test_a_file_that_cannot_be_written_is_told_first(tmp_path: Path, command: str) -> None:
    (tmp_path / "r.json").write_text(reports_json([report()]))
    subject = "memory:" if command == "verify" else "r.json"
    ran = storeproof(command, subject, "--html", "none/r.html", folder=tmp_path)
    assert (ran.code, "cannot be written" in ran.err, ran.out) == (2, True, ""), ran


def test_the_sample_would_do_harm_if_it_got_through() -> None:
    with pytest.raises(html5lib.html5parser.ParseError):
        parsed(f"<!DOCTYPE html><html><head><title>x</title></head><body>{EVIL}</body></html>")


def test_what_stands_between_backticks_is_code_and_harmless() -> None:
    said = report(rules=[rule("createRun.created", "passed", says="The id `<b>:x` is `one")])
    assert "The id <code>&lt;b&gt;:x</code> is `one" in html_report([said], SPECIFICATION)

"""Timelines as pictures: well-formed, laid out, complete, accessible."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from storeproof.conformance.timelines import timeline_text
from storeproof.conformance.timelinesvg import timeline_svg
from tests.timeline_moments import CUT, HOSTILE, TWO, delivered, hostile, said


class Box(NamedTuple):
    """Where a text of the picture is at most, in its units."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.encode())  # as a file: a lone surrogate would fail here


def boxes(root: ElementTree.Element) -> list[Box]:
    """Every text with something to see."""
    found: list[Box] = []
    for element in root.iter(f"{SVG}text"):
        kind, text = element.get("class", ""), element.text or ""
        size = {"title": 15, "number": 10}.get(kind, 12)
        x, y = float(element.get("x", "")), float(element.get("y", ""))
        width = cell_len(text) * 0.62 * size
        left = x - {"number": 1.0, "name": 0.5}.get(kind, 0.0) * width
        if text:
            found.append(Box(left, y - 0.8 * size, left + width, y + 0.25 * size, text))
    return found


def assert_laid_out(svg: str) -> None:
    """All texts are inside the picture, and none covers another."""
    root = parsed(svg)
    left, top, width, height = (float(number) for number in root.get("viewBox", "").split())
    texts = boxes(root)
    outside = [
        box.text
        for box in texts
        if box.left < left or box.top < top or box.right > left + width or box.bottom > top + height
    ]
    assert outside == []
    assert [(one.text, other.text) for one, other in combinations(texts, 2) if one.meets(other)] == []


def labels(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text") if element.get("class") == "label"]


def drawn(svg: str, kind: str) -> int:
    """How many shapes of a class there are."""
    return sum(kind in element.get("class", "").split() for element in parsed(svg).iter() if element.tag != f"{SVG}g")


STATES = ("a is paused", "a is queued " * 40, "漢字" * 200, "W" * 500, "")


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 6])
def test_the_picture_is_laid_out_whatever_the_values(clients: int) -> None:
    assert_laid_out(timeline_svg(hostile(clients), clients, STATES, "Two winners: " + "W" * 400))
    assert_laid_out(timeline_svg(hostile(clients), clients, HOSTILE, HOSTILE[0]))
    assert_laid_out(timeline_svg(TWO, max(2, clients)))
    assert_laid_out(timeline_svg((said(0, "COMMIT"),), clients, STATES))


def test_the_picture_shows_every_moment() -> None:
    svg = timeline_svg(TWO, 2, STATES, "Two winners")
    assert labels(svg) == [
        "deliver_signal(a, signal=s, name=go, now=5)",
        "select workflow_runs …",
        "deliver_signal(a, signal=s, name=go, now=6)",
        "select workflow_runs …",
        "insert workflow_signal_deliveries …",
        "update workflow_runs set status, waiting_for …",
        "update workflow_runs set status, waiting_for …",
        "… waits for a lock",
        "COMMIT",
        "→ delivered: queued, updated_at=5",
        "COMMIT",
        "→ delivered: queued, updated_at=6",
    ]
    assert {kind: drawn(svg, kind) for kind in ("head", "run", "wait", "tick", "cross")} == {
        "head": 2, "run": 2, "wait": 1, "tick": 7, "cross": 0,
    }  # fmt: skip
    cut = timeline_svg(CUT, 1)
    assert {kind: drawn(cut, kind) for kind in ("run", "tick", "cross")} == {"run": 2, "tick": 2, "cross": 2}
    assert "dies here, before it" in labels(cut)


def test_a_bar_goes_from_its_call_to_its_answer_and_is_hatched_while_it_waits() -> None:
    root = parsed(timeline_svg(TWO, 2))
    rows = [float(text.get("y", "")) - 4 for text in root.iter(f"{SVG}text") if text.get("class") == "label"]
    spans = {
        (shape.get("class"), shape.get("fill", "")[:4]): (float(shape.get("y", "")), float(shape.get("height", "")))
        for shape in root.iter(f"{SVG}rect")
        if "lane" in shape.get("class", "")
    }
    assert spans == {
        ("run lane0", ""): (rows[0] - 4, rows[9] - rows[0] + 8),
        ("run lane1", ""): (rows[2] - 4, rows[11] - rows[2] + 8),
        ("wait lane1", "url("): (rows[7], rows[10] - rows[7]),
    }
    open_end = parsed(timeline_svg(TWO[:4], 2))
    ends = {
        float(shape.get("y", "")) + float(shape.get("height", ""))
        for shape in open_end.iter(f"{SVG}rect")
        if "run" in shape.get("class", "")
    }
    assert len(ends) == 1  # neither has an answer: both go on to the end
    assert ends.pop() > rows[3]


def test_the_picture_is_self_contained_accessible_and_the_same_each_time() -> None:
    svg = timeline_svg(hostile(2), 2, STATES, HOSTILE[0])
    assert svg == timeline_svg(hostile(2), 2, STATES, HOSTILE[0])
    root = parsed(svg)
    assert root.get("role") == "img"
    named = {element.get("id"): element for element in root.iter() if element.get("id")}
    title, described = named[root.get("aria-labelledby")], named[root.get("aria-describedby")]
    assert title.tag == f"{SVG}title"
    assert title.text == HOSTILE[0]
    assert described.text is not None
    assert described.text.startswith(timeline_text(hostile(2), 2, most_lines=1000))
    assert STATES[0] in described.text
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "style", "defs", "pattern", "rect", "g", "line", "circle", "text",
    }  # fmt: skip
    assert "@import" not in svg
    assert svg.count("http") == 1  # the name of SVG itself
    assert "prefers-color-scheme: dark" in svg
    assert timeline_svg(TWO, 2).count("<title") == 1 + len(TWO)  # each label's whole text is its tooltip
    other = parsed(timeline_svg(CUT, 1))
    assert not named.keys() & {element.get("id") for element in other.iter() if element.get("id")}


def test_no_moments_and_more_clients_than_said() -> None:
    assert_laid_out(timeline_svg((), 0))
    assert labels(timeline_svg((delivered(2, 1),), 1)) == ["→ delivered: queued, updated_at=1"]

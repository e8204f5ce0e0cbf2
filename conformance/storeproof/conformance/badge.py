"""The badge of a run: JSON for an endpoint of shields.io, and the same as an SVG. Only a report makes one.

Both need no network to be made. A run of some rules only has no badge that says more than `partial`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from storeproof.conformance.report import Report, counted, expected_rules

LABEL = "storeproof"
GLYPH = 6.5
"""Pixels that a character takes at 11 pixels of height; `textLength` makes any font fit."""
MARGIN = 6
HEIGHT = 20
_ORDER = ("conforms", "partial", "unknown", "fails")
_COLOURS = {
    "conforms": ("brightgreen", "#2a7a0f"),
    "expected": ("yellowgreen", "#5b6b00"),
    "partial": ("yellow", "#8a6100"),
    "unknown": ("lightgrey", "#595959"),
    "fails": ("red", "#b3261e"),
}
"""The name that shields.io knows, and a colour on which white letters have a contrast of 4.5 to 1 at least."""


class Badge(NamedTuple):
    """`message` is what stands beside the label; `kind` decides the colour."""

    message: str
    kind: str


def badge(reports: Sequence[Report]) -> Badge:
    """The badge of the worst of the reports; there is one at least."""
    return max(map(_badge, reports), key=lambda found: (_ORDER.index(_verdict(found)), found.kind == "expected"))


def badge_json(reports: Sequence[Report]) -> str:
    """What https://shields.io/badges/endpoint-badge reads."""
    found = badge(reports)
    colour, _ = _COLOURS[found.kind]
    shown = {"schemaVersion": 1, "label": LABEL, "message": found.message, "color": colour}
    return json.dumps(shown | ({"isError": True} if found.kind == "fails" else {}), ensure_ascii=False) + "\n"


def badge_svg(reports: Sequence[Report]) -> str:
    """The badge as a picture, 20 pixels high."""
    found = badge(reports)
    _, fill = _COLOURS[found.kind]
    left, right = (round(len(text) * GLYPH) + 2 * MARGIN for text in (LABEL, found.message))
    name = escape(f"{LABEL}: {found.message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" '
        f'aria-label="{name}"><title>{name}</title>'
        f'<rect width="{left + right}" height="{HEIGHT}" rx="3" fill="#3c3c3c"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v{HEIGHT - 6}a3 3 0 0 1 -3 3h-{right - 3}z" fill="{fill}"/>'
        '<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f"{_text(LABEL, MARGIN, left)}{_text(found.message, left + MARGIN, right)}</g></svg>\n"
    )


def _text(text: str, x: int, width: int) -> str:
    return f'<text x="{x}" y="14" textLength="{width - 2 * MARGIN}">{escape(text)}</text>'


def _badge(report: Report) -> Badge:
    if report.verdict != "conforms":
        return Badge(report.verdict, report.verdict)
    if "selected rules" in report.environment:
        return Badge("partial", "partial")
    known = len(expected_rules(report))
    if known:
        return Badge(f"conforms, {counted(known, 'expected failure')}", "expected")
    return Badge(f"conforms · r{report.environment['specification']}", "conforms")


def _verdict(found: Badge) -> str:
    return "conforms" if found.kind == "expected" else found.kind

"""A run of several clients as a picture: one self-contained SVG, for a report and for the eye. Knows no report.

What `timelines` shows as text, with room for all of it: every moment is there, and a label's whole text is its tooltip.
No script, no font and no address from outside; it follows the reader's light or dark scheme by itself, and brings its
own ground, because a page's may be of the other scheme.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Template
from textwrap import wrap
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.cells import cell_len, chop_cells
from storeproof.conformance.histories import Moment
from storeproof.conformance.labels import fitted, flat, wordings
from storeproof.conformance.scenarios import name_of
from storeproof.conformance.timelines import timeline_text

CHARACTER = 0.62
"""How wide a character of a monospaced font is at most, in its own size."""
_SIZE = 12
_STEP = _SIZE * CHARACTER
_TITLE_SIZE = 15
_ROW = 22
_MARGIN = 20
_NUMBERS = 30
_BAR = 10
_BESIDE = 12
"""From a bar to its labels, and from those to the next lane."""
_ROOM = {1: 90, 2: 52, 3: 44}
_LEAST_ROOM = 38
_LEAST_WIDTH = 560
_MOST_TITLE_LINES = 3
_MOST_STATE_LINES = 3
_WHOLE = 2_000
"""Of a text in a tooltip."""

_STYLE = """
& { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
    max-width: 100%; height: auto; color-scheme: light dark }
& text { fill: $ink; unicode-bidi: isolate }
& .title { font-size: 15px; font-weight: 600 }
& .heading, & .call .label, & .answer .label, & .cut .label { font-weight: 600 }
& .number { fill: $muted; font-size: 10px; text-anchor: end }
& .statement .label, & .sleep .label, & .blocked .label { fill: $muted }
& .blocked .label { font-style: italic }
& .answer .label { fill: currentColor }
& .cut .label { fill: $death }
& .head, & .run { fill: currentColor }
& .name { fill: $ground; font-weight: 700; text-anchor: middle }
& .life { stroke: currentColor; stroke-width: 1.5; stroke-dasharray: 1 5; stroke-linecap: round }
& .wait { stroke: currentColor }
& .tick { stroke: currentColor; stroke-width: 2 }
& .cross { stroke: $death; stroke-width: 3; stroke-linecap: round }
& .guide { stroke: $line; opacity: .6 }
& .stripe { fill: $ground }
& .ground { fill: $ground; stroke: $line }
& .lane0 { color: $lane0 }
& .lane1 { color: $lane1 }
& .lane2 { color: $lane2 }
& .lane3 { color: $lane3 }
"""
_LANES = 4
"""As many colours; from the fifth client on they come again."""
_LIGHT = {
    "ink": "#1f2328", "muted": "#59636e", "line": "#d8dee4", "ground": "#ffffff", "death": "#cf222e",
    "lane0": "#0969da", "lane1": "#bc4c00", "lane2": "#1a7f37", "lane3": "#8250df",
}  # fmt: skip
_DARK = {
    "ink": "#e6edf3", "muted": "#9198a1", "line": "#2b323b", "ground": "#0d1117", "death": "#ff7b72",
    "lane0": "#58a6ff", "lane1": "#f0883e", "lane2": "#3fb950", "lane3": "#bc8cff",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Span:
    """From one moment of a client to another of its moments; `end` None: to the end of the picture."""

    client: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class _Lane:
    x: float
    """Of the middle of its bar; the labels begin `_BAR` / 2 + `_BESIDE` to the right."""
    labels: float


def timeline_svg(
    moments: Sequence[Moment], clients: int, states: Sequence[str] = (), title: str = "", salt: str = ""
) -> str:
    """The text of the file. Two runs with the same moments give the same text.

    `states` are the model's states after each operation in the order that fits, one line each, printed below.
    `salt` tells two pictures of the same run apart that stand on one page.
    """
    count = max([clients, 1, *(moment.client + 1 for moment in moments)])
    said = [fitted(wordings(moment), _ROOM.get(count, _LEAST_ROOM)) for moment in moments]
    lanes, width = _lanes(moments, said, count)
    name = flat(title) or f"Timeline of {count} client{'' if count == 1 else 's'}"
    described = timeline_text(moments, count, most_lines=len(moments) + 1)
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "class": "storeproof-timeline"})
    # One page may hold several: names inside are their own.
    content = f"{(name, described, states)!r}{salt}"
    own = f"t{zlib.crc32(content.encode('utf-8', 'backslashreplace')):08x}"
    SubElement(root, "title", id=f"{own}-title").text = name
    SubElement(root, "desc", id=f"{own}-text").text = "\n".join([described, *map(flat, states)])
    root.set("aria-labelledby", f"{own}-title")
    root.set("aria-describedby", f"{own}-text")
    SubElement(root, "style").text = _style()
    _hatching(root, own)
    ground = SubElement(root, "rect", {"class": "ground"})
    y = _title(root, flat(title), width)
    bottom = _picture(root, moments, said, lanes, y, width, own)
    height = _states(root, states, bottom, width) + _MARGIN
    _place(ground, x=0.5, y=0.5, width=width - 1, height=height - 1, rx=8)
    _place(root, width=width, height=height)
    root.set("viewBox", f"0 0 {_number(width)} {_number(height)}")
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _lanes(moments: Sequence[Moment], said: Sequence[str], count: int) -> tuple[list[_Lane], float]:
    """Where each lane is, and how wide the picture is."""
    lanes: list[_Lane] = []
    x: float = _MARGIN + _NUMBERS
    for client in range(count):
        labels = x + _BAR + _BESIDE
        lanes.append(_Lane(x + _BAR / 2, labels))
        longest = max([cell_len(text) for text, one in zip(said, moments, strict=True) if one.client == client] + [16])
        x = labels + longest * _STEP + 2 * _BESIDE
    return lanes, max(_LEAST_WIDTH, round(x - 2 * _BESIDE + _MARGIN))


def _title(root: Element, title: str, width: float) -> float:
    """Draws it and gives the y below it."""
    y = _MARGIN
    columns = int((width - 2 * _MARGIN) / (_TITLE_SIZE * CHARACTER))
    for line in _wrapped(title, columns, _MOST_TITLE_LINES) if title else ():
        y += _TITLE_SIZE + 5
        _text(root, line, _MARGIN, y - 5, "title")
    return y + (12 if title else 0)


def _picture(
    root: Element,
    moments: Sequence[Moment],
    said: Sequence[str],
    lanes: Sequence[_Lane],
    y: float,
    width: float,
    own: str,
) -> float:
    """Draws the lanes and all that happens in them, and gives the y below."""
    first = y + 2 * _ROW - 4
    rows = [first + place * _ROW for place in range(len(moments))]
    bottom = first + max(0, len(moments) - 1) * _ROW + 14
    for client, lane in enumerate(lanes):
        head = SubElement(root, "g", {"class": f"lane{client % _LANES}"})
        _place(SubElement(head, "line", {"class": "life"}), x1=lane.x, x2=lane.x, y1=y + 20, y2=bottom)
        _place(SubElement(head, "circle", {"class": "head"}), cx=lane.x, cy=y + 10, r=11)
        _text(head, name_of(client), lane.x, y + 14, "name")
    for place, row in enumerate(rows):
        guide = SubElement(root, "line", {"class": "guide"})
        _place(guide, x1=_MARGIN + _NUMBERS - 6, x2=width - _MARGIN, y1=row + _ROW / 2, y2=row + _ROW / 2)
        _text(root, str(place + 1), _MARGIN + _NUMBERS - 12, row + 4, "number")
    for span in _spans(moments):
        _bar(root, span, lanes[span.client], rows, bottom, "run")
    for span in _waits(moments):
        _bar(root, span, lanes[span.client], rows, bottom, "wait", f"url(#{own}-waits)")
    for moment, text, row in zip(moments, said, rows, strict=True):
        _moment(root, moment, text, lanes[moment.client], row)
    return bottom


def _bar(
    root: Element, span: _Span, lane: _Lane, rows: Sequence[float], bottom: float, kind: str, fill: str = ""
) -> None:
    start = rows[span.start]
    end = bottom if span.end is None else rows[span.end]
    drawn = SubElement(root, "rect", {"class": f"{kind} lane{span.client % _LANES}"})
    over = 4 if kind == "run" else 0
    _place(drawn, x=lane.x - _BAR / 2, y=start - over, width=_BAR, height=end - start + 2 * over, rx=over / 2)
    if fill:
        drawn.set("fill", fill)


def _moment(root: Element, moment: Moment, text: str, lane: _Lane, row: float) -> None:
    drawn = SubElement(root, "g", {"class": f"{moment.kind} lane{moment.client % _LANES}"})
    if moment.text:
        SubElement(drawn, "title").text = flat(moment.text, _WHOLE)
    if moment.kind in ("statement", "sleep"):
        _place(SubElement(drawn, "line", {"class": "tick"}), x1=lane.x, x2=lane.x + _BAR / 2 + 5, y1=row, y2=row)
    elif moment.kind == "cut":
        for way in (1, -1):
            cross = SubElement(drawn, "line", {"class": "cross"})
            _place(cross, x1=lane.x - 7, x2=lane.x + 7, y1=row - 7 * way, y2=row + 7 * way)
    _text(drawn, text, lane.labels, row + 4, "label")


def _spans(moments: Sequence[Moment]) -> Iterator[_Span]:
    """From every call to its answer or to where it was cut."""
    for start, moment in enumerate(moments):
        if moment.kind == "call":
            ends = (
                place
                for place, later in enumerate(moments)
                if place > start and later.client == moment.client and later.kind in ("call", "answer", "cut")
            )
            yield _Span(moment.client, start, next(ends, None))


def _waits(moments: Sequence[Moment]) -> Iterator[_Span]:
    """From where a client was blocked to what it does next."""
    for start, moment in enumerate(moments):
        if moment.kind == "blocked":
            ends = (place for place, later in enumerate(moments) if place > start and later.client == moment.client)
            yield _Span(moment.client, start, next(ends, None))


def _states(root: Element, states: Sequence[str], y: float, width: float) -> float:
    """Draws them and gives the y below."""
    if not states:
        return y
    y += 2 * _ROW
    _text(root, "The model after each operation", _MARGIN, y - _ROW / 4, "heading")
    columns = int((width - 2 * _MARGIN - _NUMBERS) / _STEP)
    for number, state in enumerate(states, 1):
        y += 6
        for index, line in enumerate(_wrapped(flat(state), columns, _MOST_STATE_LINES)):
            y += _ROW - 5
            if index == 0:
                _text(root, str(number), _MARGIN + _NUMBERS - 12, y - 4, "number")
            _text(root, line, _MARGIN + _NUMBERS, y - 4, "state")
    return y


def _wrapped(text: str, columns: int, most: int) -> list[str]:
    """In lines of `columns` columns, at words where there are any; `wrap` alone takes a wide character for a narrow."""
    lines = [piece for line in wrap(text, columns) for piece in chop_cells(line, columns)] or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], fitted([f"{lines[most - 1]} …"], columns)]


def _hatching(root: Element, own: str) -> None:
    """Stripes in the colour of the ground, over a bar of any colour."""
    size = {"width": "6", "height": "6", "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
    pattern = SubElement(SubElement(root, "defs"), "pattern", {"id": f"{own}-waits", **size})
    _place(SubElement(pattern, "rect", {"class": "stripe"}), width=3.5, height=6)


def _text(parent: Element, text: str, x: float, y: float, kind: str) -> None:
    drawn = SubElement(parent, "text", {"class": kind})
    _place(drawn, x=x, y=y)
    drawn.text = text


def _place(element: Element, **numbers: float) -> None:
    for name, number in numbers.items():
        element.set(name, _number(number))


def _number(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _style() -> str:
    """The rules with the light colours, then those whose colours differ in the dark."""
    rules = _STYLE.replace("&", ".storeproof-timeline")
    coloured = "\n".join(line for line in rules.split("\n") if "$" in line)
    dark = Template(coloured).substitute(_DARK)
    return f"{Template(rules).substitute(_LIGHT)}@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"

"""A run of several clients as text: a lane per client, a row per moment, time downwards. Knows no console.

A bar runs down each lane from a call to its answer, so that one sees which operations overlap:

    A                               B
    ┌ deliver_signal(a, signal=s)
    │   select workflow_runs …
    │                               ┌ deliver_signal(a, signal=s)
    │   update workflow_runs …      │
    │                               │   update workflow_runs …
    │                               ┊   … waits for a lock
    │   COMMIT                      ┊
    └→ delivered: queued            ┊
                                    └→ delivered: queued
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from rich.cells import cell_len
from storeproof.conformance.histories import Moment
from storeproof.conformance.labels import fitted, in_ascii, wordings
from storeproof.conformance.scenarios import name_of

NARROWEST_LANE = 24
"""In columns; below it a label says nothing, and one column for all says more."""
_WIDEST_GAP = 3
_BARS = {"call": "┌ ", "answer": "└", "cut": "✂ "}
_INSIDE = "│"
_WAITING = "┊"
_MARKS = {"statement": "  ", "blocked": "  ", "sleep": "  ", "cut": "✂ "}

_Said: TypeAlias = Mapping[int, Sequence[str]]
"""The wordings of the moments that are shown, by their place among all."""


def timeline_text(
    moments: Sequence[Moment], clients: int, width: int = 100, most_lines: int = 24, *, ascii: bool = False
) -> str:
    """At most `most_lines` lines of at most `width` columns, without a newline at the end.

    Where there are too many moments, statements go first, those that run beside no other operation before the others;
    the last line then says how many went. `ascii` is for terminals that have nothing else.
    """
    lanes = max([clients, 1, *(moment.client + 1 for moment in moments)])
    share = (width - lanes + 1) // lanes
    beside = share >= NARROWEST_LANE
    kept = _kept(moments, most_lines - beside)
    said = {place: wordings(moments[place]) for place in kept}
    lines = _beside(moments, lanes, share, width, said, ascii) if beside else _below(moments, width, said, ascii)
    if left_out := len(moments) - len(kept):
        lines.append(fitted([_left_out(moments, kept), f"({left_out} left out)"], width, ascii=ascii))
    return "\n".join(lines)


def _beside(moments: Sequence[Moment], lanes: int, share: int, width: int, said: _Said, ascii: bool) -> list[str]:
    """The lanes side by side, with the largest room for all with which the widest cells still fit into `width`.

    So a lane that says little leaves its share to the others.
    """
    names = [name_of(lane) for lane in range(lanes)]
    layouts = ([names, *_cells(moments, lanes, room, said, ascii)] for room in range(width, share - 1, -1))
    rows = next(rows for rows in layouts if sum(_widths(rows)) + lanes - 1 <= width)
    widths = _widths(rows)
    spare = (width - sum(widths)) // max(1, lanes - 1)
    gap = " " * max(1, min(spare, _WIDEST_GAP))
    return [
        gap.join(cell + " " * (wide - cell_len(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _widths(rows: list[list[str]]) -> list[int]:
    return [max(map(cell_len, lane)) for lane in zip(*rows, strict=True)]


def _cells(moments: Sequence[Moment], lanes: int, room: int, said: _Said, ascii: bool) -> Iterator[list[str]]:
    """The rows of the lanes, a cell for each."""
    bars = [""] * lanes
    for place, moment in enumerate(moments):
        inside = "" if moment.kind in ("answer", "cut") else _WAITING if moment.kind == "blocked" else _INSIDE
        mark = _BARS.get(moment.kind) or f"{inside}   "
        bars[moment.client] = inside
        if place in said:
            row = [in_ascii(bar) if ascii else bar for bar in bars]
            mark = in_ascii(mark) if ascii else mark
            row[moment.client] = mark + fitted(said[place], room - len(mark), ascii=ascii)
            yield row


def _below(moments: Sequence[Moment], width: int, said: _Said, ascii: bool) -> list[str]:
    """All moments in one column, the client's name in front."""
    lines: list[str] = []
    for place, moment in enumerate(moments):
        if place in said:
            mark = _MARKS.get(moment.kind, "")
            front = f"{name_of(moment.client)}  {in_ascii(mark) if ascii else mark}"
            lines.append(front + fitted(said[place], width - len(front), ascii=ascii))
    return lines


def _kept(moments: Sequence[Moment], most: int) -> frozenset[int]:
    """The places of the moments that are shown: all, or `most` less a line that says what is missing."""
    if len(moments) <= most:
        return frozenset(range(len(moments)))
    worth = list(_worth(moments))
    # Of the same worth the later stays: the end is what fails.
    order = sorted(range(len(moments)), key=lambda place: (worth[place], place))
    return frozenset(order[len(moments) - max(1, most - 1) :])


def _worth(moments: Sequence[Moment]) -> Iterator[int]:
    """How much each moment says about a race."""
    open_calls: set[int] = set()
    # A lock and a cut are about the statement before them.
    decisive: set[int] = set()
    last: dict[int, int] = {}
    for place, moment in enumerate(moments):
        if moment.kind in ("blocked", "cut"):
            decisive.add(last.get(moment.client, place))
        last[moment.client] = place
    for place, moment in enumerate(moments):
        if moment.kind == "call":
            open_calls.add(moment.client)
        elif moment.kind in ("answer", "cut"):
            open_calls.discard(moment.client)
        if moment.kind not in ("statement", "sleep"):
            yield 3
        elif place in decisive:
            yield 2
        else:
            yield 1 if moment.kind == "statement" and open_calls - {moment.client} else 0


def _left_out(moments: Sequence[Moment], kept: frozenset[int]) -> str:
    gone = [moment.kind for place, moment in enumerate(moments) if place not in kept]
    statements = gone.count("statement")
    parts = [(statements, "statement"), (len(gone) - statements, "other moment")]
    said = " and ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts if count)
    return f"({said} left out)"

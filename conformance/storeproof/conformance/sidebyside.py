"""What was expected beside what was answered, line by line: values unfolded so that one difference is one line.

Both are texts of Python values, as a report has them. What is no such text is compared as it stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, NamedTuple

from storeproof.spec.jsonvalues import is_array, is_object

MOST_LINES = 400
"""Of each side; what a comparison costs grows with the square."""
LONGEST = 600
"""Characters of a line."""
_NAMED = re.compile(r"([A-Za-z]\w*) (\{.*\})", re.DOTALL)
"""An exception with its fields."""


class Line(NamedTuple):
    """One row of the comparison; None where a side has nothing there."""

    expected: str | None
    actual: str | None

    @property
    def same(self) -> bool:
        return self.expected == self.actual


def side_by_side(expected: str, actual: str) -> list[Line]:
    """The rows, from both texts as a whole."""
    left, right = unfolded(expected), unfolded(actual)
    lines: list[Line] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [Line(line, line) for line in left[a:b]]
        else:
            lines += [Line(*pair) for pair in zip_longest(left[a:b], right[c:d])]
    return lines


def unfolded(text: str) -> list[str]:
    """A value as lines, a field or an element each, fields by name; another text as it is."""
    named = _NAMED.fullmatch(text)
    head, literal = (named.group(1), named.group(2)) if named else ("", text)
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        lines = text.split("\n")
    else:
        lines = list(_lines(value, f"{head} " if head else "", "", ""))
    cut = [line if len(line) <= LONGEST else f"{line[:LONGEST]} … ({len(line):,} characters)" for line in lines]
    return cut if len(cut) <= MOST_LINES else [*cut[: MOST_LINES - 1], f"… ({len(cut) - MOST_LINES + 1:,} more lines)"]


def _lines(value: Any, label: str, indent: str, end: str) -> Iterator[str]:
    if is_object(value) and value:
        yield f"{indent}{label}{{"
        for name in sorted(value, key=str):
            yield from _lines(value[name], f"{name!r}: ", f"{indent}  ", ",")
        yield f"{indent}}}{end}"
    elif is_array(value) and value:
        yield f"{indent}{label}["
        for item in value:
            yield from _lines(item, "", f"{indent}  ", ",")
        yield f"{indent}]{end}"
    else:
        yield f"{indent}{label}{value!r}{end}"

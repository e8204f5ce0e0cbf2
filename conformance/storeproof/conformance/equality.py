"""When two JSON values are the same, and where they are not. Ruling 5: true is not 1, 1 is 1.0, key order is free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from storeproof.spec.jsonvalues import is_array, is_object


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the actual value differs. `path` holds object keys and list indexes."""

    path: tuple[str | int, ...]
    kind: str
    """`missing` (expected only), `extra` (actual only) or `other`."""
    expected: Any = None
    actual: Any = None

    def describe(self) -> str:
        """For people: `run.lease.expiresAt: expected 10, got 11`."""
        place = show_path(self.path)
        if self.kind == "missing":
            return f"{place}: missing, expected {self.expected!r}"
        if self.kind == "extra":
            return f"{place}: should be absent, got {self.actual!r}"
        return f"{place}: expected {self.expected!r}, got {self.actual!r}"


def show_path(path: tuple[str | int, ...]) -> str:
    """A path as people write it: `events[0].type`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the answer"


def differences(expected: Any, actual: Any, path: tuple[str | int, ...] = ()) -> Iterator[Difference]:
    """Every place where `actual` differs from `expected`, outermost first."""
    if is_object(expected) and is_object(actual):
        for name in expected:
            if name not in actual:
                yield Difference((*path, name), "missing", expected[name])
            else:
                yield from differences(expected[name], actual[name], (*path, name))
        for name in actual:
            if name not in expected:
                yield Difference((*path, name), "extra", None, actual[name])
    elif is_array(expected) and is_array(actual):
        for index, (left, right) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(left, right, (*path, index))
        for index in range(len(actual), len(expected)):
            yield Difference((*path, index), "missing", expected[index])
        for index in range(len(expected), len(actual)):
            yield Difference((*path, index), "extra", None, actual[index])
    elif not _same_scalar(expected, actual):
        yield Difference(path, "other", expected, actual)


def _same_scalar(expected: object, actual: object) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return expected == actual
    return type(expected) is type(actual) and expected == actual

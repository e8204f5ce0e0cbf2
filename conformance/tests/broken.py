"""What a hand-broken store is: a memory store with one defect, and the rules whose breach a report must name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Broken:
    name: str
    make: Callable[[], Any]
    """Makes an empty store, or the context manager that yields one (`Reopenable` for a durable one)."""
    expected: frozenset[str]
    """Any of these is right; the best report has one of them first."""
    says: str


def broken(make: Callable[[], Any], says: str, *expected: str, name: str | None = None) -> Broken:
    return Broken(name or make.__name__, make, frozenset(expected), says)

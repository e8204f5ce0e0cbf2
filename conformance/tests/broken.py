"""What a hand-broken store is: a memory store with one defect, and the rules whose breach a report must name."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Broken:
    name: str
    make: Callable[[], Any]
    """Makes the context manager that yields an empty store (`Reopenable` for a durable one)."""
    expected: frozenset[str]
    """Any of these is right; the best report has one of them first."""
    says: str


def broken(make: Callable[[], Any], says: str, *expected: str, name: str | None = None) -> Broken:
    def context() -> Any:
        made = make()
        return made if hasattr(made, "__aenter__") else nullcontext(made)

    return Broken(name or make.__name__, context, frozenset(expected), says)

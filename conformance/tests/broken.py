"""What a hand-broken store is: a memory store with one defect, and the rules whose breach a report must name."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any

from storeproof.adapters.memory import MemoryStore
from storeproof.spec.errors import LogConflict


@dataclass(frozen=True)
class Broken:
    name: str
    make: Callable[[], Any]
    """Makes the context manager that yields an empty store (`Reopenable` for a durable one)."""
    expected: frozenset[str]
    """Any of these is right; the best report has one of them first."""
    says: str


def broken(
    make: Callable[[], Any], says: str, *expected: str, name: str | None = None, careful: bool = True
) -> Broken:
    """`careful`: bad arguments are refused before the defect is reached, so that it is the only one."""

    def context() -> Any:
        made = make()
        if hasattr(made, "__aenter__"):
            return made
        if careful:
            _guard(made)
        return nullcontext(made)

    return Broken(name or make.__name__, context, frozenset(expected), says)


def _guard(store: Any) -> None:
    for name, method in vars(MemoryStore).items():
        if not name.startswith("_") and callable(method) and getattr(type(store), name) is not method and hasattr(store, name):
            setattr(store, name, _guarded(getattr(store, name), method))


def _guarded(broken_method: Any, right_method: Any) -> Any:
    @wraps(broken_method)
    async def guarded(**given: Any) -> Any:
        try:
            await right_method(MemoryStore(), **given)
        except LogConflict:
            pass  # on an empty store, which says nothing about the arguments
        return await broken_method(**given)

    return guarded

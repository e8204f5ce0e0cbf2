"""What a hand-broken store is: a memory store with one defect, and the rules whose breach a report must name."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

from storeproof.adapters.memory import MemoryStore
from storeproof.spec.errors import LogConflict
from storeproof.spec.jsonvalues import is_object


@dataclass(frozen=True)
class Broken:
    name: str
    make: Callable[[], Any]
    """Makes the context manager that yields an empty store (`Reopenable` for a durable one)."""
    expected: frozenset[str]
    """Any of these is right; the best report has one of them first."""
    says: str


def broken(make: Callable[[], Any], says: str, *expected: str, name: str | None = None, careful: bool = True) -> Broken:
    """`careful`: bad arguments are refused before the defect is reached, so that it is the only one."""

    def context() -> Any:
        made = make()
        if hasattr(made, "__aenter__"):
            return made
        if careful:
            _guard(made)
        return nullcontext(made)

    return Broken(name or str(getattr(make, "__name__", "store")), context, frozenset(expected), says)


def wire(value: Any) -> dict[str, Any]:
    """A nested argument in wire form, whether it came as its model or as an object."""
    if is_object(value):
        return value
    plain: dict[str, Any] = value.to_wire()
    return plain


def _guard(store: object) -> None:
    kind = type(store)
    methods: dict[str, Any] = {name: method for name, method in vars(MemoryStore).items() if callable(method)}
    for name, method in methods.items():
        if not name.startswith("_") and getattr(kind, name) is not method and hasattr(store, name):
            setattr(store, name, _guarded(getattr(store, name), method))


def _guarded(broken_method: Any, right_method: Any) -> Any:
    @wraps(broken_method)
    async def guarded(**given: Any) -> Any:
        with suppress(LogConflict):  # the store is empty, so it says nothing about the arguments
            await right_method(MemoryStore(), **given)
        return await broken_method(**given)

    return guarded

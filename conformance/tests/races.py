"""What a racy store is: a store on a database, right for one client, with one defect that shows under concurrency,
when the client dies, or to a subscriber. Knows no defect.
"""

import inspect
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from storeproof.adapters.postgres import PostgresStore

Backend: TypeAlias = Literal["postgresql", "sqlite"]
Kind: TypeAlias = Literal["race", "cut", "subscription"]

_ALWAYS: dict[Kind, tuple[str, ...]] = {
    "race": ("atomic.linearizable",),
    # What a death leaves half done, another client may see half done.
    "cut": ("atomic.cut", "atomic.linearizable"),
    "subscription": (),
}


@dataclass(frozen=True, slots=True)
class Racy:
    name: str
    """The class's name; unique within a backend, and the same where both backends have the defect."""
    backend: Backend
    store: type[Any]
    """Made as PostgresStore or D1Store is; every instance stands for a process of its own."""
    expected: frozenset[str]
    """Any of these is right. Empty for a store that is right."""
    says: str
    """What is wrong, and the interleaving that shows it: the class's docstring in one line."""
    kind: Kind
    """The check that shows it: interleaved clients, a client that dies or loses an answer, a subscriber."""


def racy(store: type[Any], *expected: str, kind: Kind = "race") -> Racy:
    """`expected` holds the rules beside those that its kind always breaks."""
    return _racy(store, frozenset((*_ALWAYS[kind], *expected)), kind)


def right(store: type[Any]) -> Racy:
    """A store that is right, if unusual."""
    return _racy(store, frozenset(), "race")


def _racy(store: type[Any], expected: frozenset[str], kind: Kind) -> Racy:
    says = " ".join((inspect.getdoc(store) or "").split())
    backend: Backend = "postgresql" if issubclass(store, PostgresStore) else "sqlite"
    return Racy(store.__name__, backend, store, expected, says, kind)
